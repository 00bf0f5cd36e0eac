"""Ctrl-C and SIGTERM: an exception at once, or a note to stop when the step is done."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def raise_when_terminated() -> None:
    """From now on SIGTERM raises `Terminated`, as Ctrl-C raises KeyboardInterrupt."""
    signal.signal(signal.SIGTERM, _terminate)


def _terminate(*_: object) -> NoReturn:
    raise Terminated


@contextmanager
def noted(*, patient: bool = False) -> Iterator[list[int]]:
    """Note the first Ctrl-C or SIGTERM in the list that is given; the second ends at once.

    Args:
        patient: Whether a second one is passed over: `torchrun` sends its own after Ctrl-C.
    """
    seen: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if seen and not patient:
            raise Terminated if signal.SIGTERM in (number, *seen) else KeyboardInterrupt
        seen.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
