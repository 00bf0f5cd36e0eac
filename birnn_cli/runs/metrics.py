"""A run's `metrics.jsonl`: a row of scores per line, and what a resumed run does with it."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from birnn_cli.files import write_atomically

METRICS = "metrics.jsonl"


def read_metrics(folder: Path, last_step: float = math.inf) -> list[dict[str, float]]:
    """The rows of a run up to a step, without a torn last line; no rows where there is no run."""
    return [json.loads(line) for line in _lines(folder) if _step(line) <= last_step]


def open_metrics(folder: Path, last_step: int, validate_step: int) -> BinaryIO:
    """The `metrics.jsonl` of a run that is not finished, open to `append_row` to.

    Rows after the step where the run resumes, which it will write again, are dropped, and so is a torn
    last line. Where the run goes on beyond its old end, the validation there is dropped, too, unless
    that was at one of the `validate_step`s.
    """
    path, lines = folder / METRICS, _lines(folder)
    kept = [_without_end(line, validate_step) for line in lines if _step(line) <= last_step]
    if kept != lines:
        write_atomically(path, b"".join(kept))
    return path.open("ab")


def append_row(file: BinaryIO, row: Mapping[str, float]) -> None:
    """Write a row out at once; only `files.sync` makes it durable."""
    file.write(_line(row))
    file.flush()


def _line(row: Mapping[str, float]) -> bytes:
    return (json.dumps(row) + "\n").encode()


def _without_end(line: bytes, validate_step: int) -> bytes:
    """A row without a validation that only the end of a run has; nothing if that is all of the row."""
    if b"validation_" not in line or (validate_step and _step(line) % validate_step == 0):
        return line
    row = {name: value for name, value in json.loads(line).items() if not name.startswith("validation_")}
    return _line(row) if "loss" in row else b""


def _lines(folder: Path) -> list[bytes]:
    path = folder / METRICS
    return path.read_bytes().splitlines(keepends=True) if path.exists() else []


def _step(line: bytes) -> float:
    """The step of a row; NaN, which is never at or below a step, for a line that is no whole row."""
    try:
        return int(json.loads(line)["step"]) if line.endswith(b"\n") else math.nan
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return math.nan
