"""How a command ends: the table of exit codes, and how an error is reported, in words and as JSON."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import typer

from birnn_cli.cli import console, interrupts
from birnn_cli.errors import (
    BelowMinimumError,
    BirnnError,
    InterruptedRunError,
    OtherProcessError,
    UsageError,
)


class ExitCode(IntEnum):
    """What the process returns to the shell. 128 + n: signal n ended it, as shells have it."""

    OK = 0
    FAILED = 1
    USAGE = 2  # Typer's own, also for a `typer.BadParameter` that we raise; no JSON
    BELOW_MINIMUM = 3
    INTERRUPTED = 130
    TERMINATED = 143


def exit_code_and_status(error: BaseException) -> tuple[ExitCode, str]:
    """The table: the exit code after an error, and the `status` that JSON gives it.

    Without an error, `birnn predict` ends with FAILED where a picture was one.
    """
    match error:
        case interrupts.Terminated():
            return ExitCode.TERMINATED, "interrupted"
        case KeyboardInterrupt():
            return ExitCode.INTERRUPTED, "interrupted"
        case InterruptedRunError():
            return ExitCode(128 + error.signal_number), "interrupted"
        case UsageError():
            return ExitCode.USAGE, "error"
        case BelowMinimumError():
            return ExitCode.BELOW_MINIMUM, "below-minimum"
        case _:
            return ExitCode.FAILED, "error"


@contextmanager
def reporting(command: str, *, as_json: bool) -> Iterator[dict[str, Any]]:
    """Report an error of a command in one line on stderr, as JSON if asked, and exit with its code.

    Yields a dictionary for the command's results: an error's JSON holds what is in it by then.
    """
    results: dict[str, Any] = {}
    interrupts.raise_when_terminated()
    # Pillow warns of what it repairs in damaged files; only the prediction or the error matters.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        yield results
    except BrokenPipeError:
        _give_up_stdout()  # nobody reads it any more (`| head`): end quietly
        raise typer.Exit(ExitCode.FAILED) from None
    except OtherProcessError:  # that process has said why
        raise typer.Exit(ExitCode.FAILED) from None
    except (BirnnError, OSError, KeyboardInterrupt) as error:
        exit_code, status = exit_code_and_status(error)
        code, message = _describe(error)
    else:
        return
    console.note(f"birnn {command}: {message}")
    try:
        if as_json and exit_code is not ExitCode.USAGE:
            values = {"command": command, "status": status, **results}
            console.result_json({**values, "error": {"code": code, "message": message}})
        sys.stdout.flush()
    except OSError:  # stdout itself failed, on a full disk perhaps: stderr has the message
        _give_up_stdout()
    raise typer.Exit(exit_code)


def _describe(error: BaseException) -> tuple[str, str]:
    """An error's stable code and its message."""
    if isinstance(error, BirnnError):
        return error.code, str(error)
    if isinstance(error, OSError):
        # When a file is renamed, the second name is the target; the first is a temporary file.
        name = error.filename2 or error.filename
        where = f"{name}: " if name else ""
        return "os", f"{where}{error.strerror or error}"
    return "interrupted", "stopped"


def _give_up_stdout() -> None:
    """Let what is buffered for stdout go nowhere: Python would fail to flush it at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
