"""What every command writes: notes and warnings on stderr, results on stdout, as text or JSON."""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from birnn_cli.text import percent, printable


def note(message: str) -> None:
    """Write a line on stderr."""
    sys.stderr.write(f"{printable(message)}\n")
    sys.stderr.flush()


def note_unless(quiet: bool) -> Callable[[str], None]:
    """The function `note` or, after `--quiet`, one that writes nothing."""
    return (lambda message: None) if quiet else note


def warn(message: str) -> None:
    """Write a warning on stderr; `--quiet` does not silence it."""
    note(f"warning: {message}")


def result(text: str) -> None:
    """Write a line of the result on stdout, at once."""
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()


def result_json(values: dict[str, Any]) -> None:
    """Write a JSON object as one line on stdout, at once."""
    result(json.dumps(values, allow_nan=False))


def show_validation(scores: Mapping[str, float]) -> None:
    """Show the scores of a run on its validation images."""
    accuracy, n = percent(scores["accuracy"], 2), scores["n"]
    result(f"validation  loss {scores['loss']:.4f}, accuracy {accuracy} of {n:,} images")
