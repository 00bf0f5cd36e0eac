"""What happens at Ctrl-C and SIGTERM: an exception at once or, while a run trains, a request to stop.

In a run the step under way is finished and saved first. Exit codes are decided in `exits.py`.
"""

import signal
from types import FrameType, TracebackType
from typing import Any, NoReturn


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived."""


def raise_when_terminated() -> None:
    """From now on SIGTERM raises `Terminated`, just as Ctrl-C raises KeyboardInterrupt."""
    signal.signal(signal.SIGTERM, _raise_terminated)


def _raise_terminated(*_: object) -> NoReturn:
    raise Terminated


class NotedSignals:
    """Within a `with`, the first Ctrl-C or SIGTERM is noted, and the second ends the process at once.

    Args:
        patient: Whether a second one is ignored: `torchrun` sends its own after Ctrl-C.
    """

    def __init__(self, *, patient: bool = False) -> None:
        self._patient, self._seen = patient, list[int]()
        self._before: dict[signal.Signals, Any] = {}

    def first(self) -> int:
        """The number of the signal that was noted, 0 before there is one."""
        return self._seen[0] if self._seen else 0

    def __enter__(self) -> "NotedSignals":
        self._before = {
            number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Handle signals as before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self._seen and not self._patient:
            raise Terminated if signal.SIGTERM in (number, *self._seen) else KeyboardInterrupt
        self._seen.append(number)
