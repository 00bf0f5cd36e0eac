"""How a command ends: what went wrong as one line, as JSON where asked for, and as an exit code."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from birnn_cli import interrupts
from birnn_cli.errors import BirnnError, ElsewhereError, ExitCode, InterruptedRunError


@contextmanager
def reporting(command: str, *, as_json: bool) -> Iterator[None]:
    """Turn what goes wrong into one line on stderr, JSON where asked for, and an exit code."""
    interrupts.raise_when_terminated()
    # Pillow warns of what it mends in damaged files; the answer or the error is what counts.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        yield
    except InterruptedRunError as error:
        status, code, message, exit_code = "interrupted", error.code, str(error), error.exit_code
    except KeyboardInterrupt as error:
        exit_code = (
            ExitCode.TERMINATED if isinstance(error, interrupts.Terminated) else ExitCode.INTERRUPTED
        )
        status, code, message = "interrupted", "interrupted", "stopped"
    except BrokenPipeError:
        # Nobody reads stdout any more (`| head`): end quietly, and keep Python from flushing into it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(ExitCode.FAILED) from None
    except ElsewhereError:  # that other process has said why
        raise typer.Exit(ExitCode.FAILED) from None
    except BirnnError as error:
        status, code, message, exit_code = "error", error.code, str(error), ExitCode.FAILED
    except OSError as error:
        name = error.filename2 or error.filename  # of a renaming the target, not the temporary file
        where = f"{name}: " if name else ""
        status, code, exit_code = "error", "os", ExitCode.FAILED
        message = f"{where}{error.strerror or error}"
    else:
        return
    from birnn_cli import console

    console.note(f"birnn {command}: {message}")
    if as_json:
        error_values = {"code": code, "message": message}
        console.result_json({"command": command, "status": status, "error": error_values})
    raise typer.Exit(exit_code)
