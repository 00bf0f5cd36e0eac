"""How a command ends: the table of exit codes, and how an error is reported, in words and as JSON."""

import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any

import typer

from birnn_cli.cli import console, interrupts
from birnn_cli.errors import (
    BelowMinimumError,
    BirnnError,
    InterruptedRunError,
    OtherProcessError,
    RunError,
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


def exit_code_and_message(error: BirnnError | OSError | KeyboardInterrupt) -> tuple[ExitCode, str, str]:
    """The table: the exit code after an error, the error's stable code, and its message.

    Without an error, `birnn predict` ends with FAILED where a picture was one.
    """
    match error:
        case interrupts.Terminated():
            return ExitCode.TERMINATED, "interrupted", "stopped"
        case KeyboardInterrupt():
            return ExitCode.INTERRUPTED, "interrupted", "stopped"
        case InterruptedRunError():
            return ExitCode(128 + error.signal_number), error.code, str(error)
        case UsageError():
            return ExitCode.USAGE, error.code, str(error)
        case BelowMinimumError():
            return ExitCode.BELOW_MINIMUM, error.code, str(error)
        case BirnnError():
            return ExitCode.FAILED, error.code, str(error)
        case OSError():
            # When a file is renamed, the second name is the target; the first is a temporary file.
            name, reason = error.filename2 or error.filename, error.strerror or error
            return ExitCode.FAILED, "os", f"{name}: {reason}" if name else str(reason)


@contextmanager
def reporting(command: str, *, as_json: bool) -> Iterator[dict[str, Any]]:
    """Report an error of a command in one line on stderr, as JSON if asked, and exit with its code.

    Yields a dictionary for the command's results. At the end they are printed as one JSON object, if
    asked; an error's JSON holds what is in it by then.
    """
    results: dict[str, Any] = {}
    signal.signal(signal.SIGTERM, interrupts.raise_terminated)  # just as Ctrl-C raises KeyboardInterrupt
    # Pillow warns of what it repairs in damaged files; only the prediction or the error matters.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        _check_current_folder()
        yield results
        if as_json and results:
            console.result_json({"command": command, "status": "ok", **results})
        return
    except BrokenPipeError:
        _give_up_stdout()  # nobody reads it any more (`| head`): end quietly
        raise typer.Exit(ExitCode.FAILED) from None
    except OtherProcessError:  # that process has said why
        raise typer.Exit(ExitCode.FAILED) from None
    except (BirnnError, OSError, KeyboardInterrupt) as error:
        exit_code, code, message = exit_code_and_message(error)
    console.note(f"birnn {command}: {message}")
    try:
        if as_json and exit_code is not ExitCode.USAGE:
            status = "error" if exit_code == ExitCode.FAILED else code
            values = {"command": command, "status": status, **results}
            console.result_json({**values, "error": {"code": code, "message": message}})
        sys.stdout.flush()
    except OSError:  # stdout itself failed, on a full disk perhaps: stderr has the message
        _give_up_stdout()
    raise typer.Exit(exit_code)


def _check_current_folder() -> None:
    """Refuse a current folder that was deleted: no file can be found from it, and torch would abort."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise RunError("the current folder was deleted: change to one that exists (cd)") from None


def _give_up_stdout() -> None:
    """Let what is buffered for stdout go nowhere: Python would fail to flush it at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
