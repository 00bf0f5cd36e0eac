"""How a command ends: what went wrong as one line, as JSON where asked for, and as an exit code."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from birnn_cli.cli import interrupts
from birnn_cli.errors import BirnnError, ElsewhereError, ExitCode


@contextmanager
def reporting(command: str, *, as_json: bool) -> Iterator[dict[str, Any]]:
    """Turn what goes wrong into one line on stderr, JSON where asked for, and an exit code.

    Yields:
        For what the command finds out: what is in it by then is told in the JSON of an error too.
    """
    known: dict[str, Any] = {}
    interrupts.raise_when_terminated()
    # Pillow warns of what it mends in damaged files; the answer or the error is what counts.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        yield known
    except KeyboardInterrupt as error:
        exit_code = (
            ExitCode.TERMINATED if isinstance(error, interrupts.Terminated) else ExitCode.INTERRUPTED
        )
        status, code, message = "interrupted", "interrupted", "stopped"
    except BrokenPipeError:
        _give_up_stdout()  # nobody reads it any more (`| head`): end quietly
        raise typer.Exit(ExitCode.FAILED) from None
    except ElsewhereError:  # that other process has said why
        raise typer.Exit(ExitCode.FAILED) from None
    except BirnnError as error:
        status, code, message, exit_code = error.status, error.code, str(error), error.exit_code
    except OSError as error:
        name = error.filename2 or error.filename  # of a renaming the target, not the temporary file
        where = f"{name}: " if name else ""
        status, code, exit_code = "error", "os", ExitCode.FAILED
        message = f"{where}{error.strerror or error}"
    else:
        return
    from birnn_cli.cli import console

    console.note(f"birnn {command}: {message}")
    try:
        if as_json:
            values = {"command": command, "status": status, **known}
            console.result_json({**values, "error": {"code": code, "message": message}})
        sys.stdout.flush()
    except OSError:  # it is what failed, a full disk perhaps, and stderr has said so
        _give_up_stdout()
    raise typer.Exit(exit_code)


def _give_up_stdout() -> None:
    """Keep Python from flushing into it at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
