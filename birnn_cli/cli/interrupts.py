"""What happens at Ctrl-C and SIGTERM: an exception at once or, while a run trains, a request to stop.

In a run, `Run.steps` in training/run.py finishes and saves the step under way. Processes that read
pictures (workers.py) leave Ctrl-C to the one that started them. Exit codes are decided in `exits.py`.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived."""


def raise_terminated(*_: object) -> NoReturn:
    """Raise `Terminated`: what SIGTERM is to do while a command runs."""
    raise Terminated


@contextmanager
def noted_signals(*, patient: bool = False) -> Iterator[Callable[[], int]]:
    """Note Ctrl-C and SIGTERM instead of raising at once; the second of them raises all the same.

    Yields a function that returns the noted signal's number, 0 before there is one. If `patient`, a
    second signal is only noted too: after Ctrl-C `torchrun` sends one of its own.
    """
    arrived: list[int] = []

    def note(number: int, _: object) -> None:
        if arrived and not patient:
            raise Terminated if signal.SIGTERM in (number, *arrived) else KeyboardInterrupt
        arrived.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: max(arrived, default=0)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
