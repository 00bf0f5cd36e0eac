"""How a command ends: the exit code, the line on stderr and the JSON after each kind of error."""

import json
import signal
from collections.abc import Iterator

import pytest
import typer

from birnn_cli import errors
from birnn_cli.cli.exits import ExitCode, reporting
from birnn_cli.cli.interrupts import Terminated


@pytest.fixture(autouse=True)
def sigterm_restored() -> Iterator[None]:
    """`reporting` takes over SIGTERM; after a test it is as before."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("error", "exit_code", "status", "code", "message"),
    [
        (errors.DataError("no such set"), 1, "error", "data", "no such set"),
        (errors.BelowMinimumError("too low"), 3, "below-minimum", "below-minimum", "too low"),
        (errors.InterruptedRunError("saved", 2), 130, "interrupted", "interrupted", "saved"),
        (errors.InterruptedRunError("saved", 15), 143, "interrupted", "interrupted", "saved"),
        (KeyboardInterrupt(), 130, "interrupted", "interrupted", "stopped"),
        (Terminated(), 143, "interrupted", "interrupted", "stopped"),
        (OSError(28, "No space left", "run/x"), 1, "error", "os", "run/x: No space left"),
        (OSError(13, "Denied", "a.tmp", None, "a"), 1, "error", "os", "a: Denied"),
    ],
)
def test_an_error_has_its_exit_code_line_and_json(
    error: BaseException,
    exit_code: int,
    status: str,
    code: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as end, reporting("eval", as_json=True) as results:
        results["n"] = 128
        raise error
    assert end.value.exit_code == exit_code
    out, err = capsys.readouterr()
    assert err == f"birnn eval: {message}\n"
    assert json.loads(out) == {
        **{"command": "eval", "status": status, "n": 128},
        "error": {"code": code, "message": message},
    }


def test_a_process_whose_fellow_failed_ends_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as end, reporting("train", as_json=True):
        raise errors.OtherProcessError
    assert end.value.exit_code == ExitCode.FAILED
    assert capsys.readouterr() == ("", "")


def test_an_error_of_the_program_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), reporting("train", as_json=True):
        raise ZeroDivisionError
