"""Ctrl-C and SIGTERM while a run trains: the first is noted, the second raises."""

import signal
from collections.abc import Callable

import pytest

from birnn_cli.cli.interrupts import Terminated, noted_signals

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_noted_and_the_handlers_are_given_back(number: signal.Signals) -> None:
    before = handlers()
    with noted_signals() as stop:
        assert stop() == 0
        signal.raise_signal(number)
        assert stop() == number
    assert handlers() == before


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (signal.SIGINT, signal.SIGINT, KeyboardInterrupt),
        (signal.SIGINT, signal.SIGTERM, Terminated),
        (signal.SIGTERM, signal.SIGINT, Terminated),
    ],
)
def test_the_second_signal_raises(
    first: signal.Signals, second: signal.Signals, expected: type[BaseException]
) -> None:
    def interrupt(stop: Callable[[], int]) -> None:
        signal.raise_signal(first)
        assert stop() == first
        signal.raise_signal(second)

    with noted_signals() as stop, pytest.raises(expected) as raised:
        interrupt(stop)
    assert raised.type is expected


def test_who_is_patient_only_notes_the_second_signal() -> None:
    with noted_signals(patient=True) as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert stop() == signal.SIGTERM
