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


def open_metrics(folder: Path, last_step: int) -> BinaryIO:
    """The `metrics.jsonl` of a run, open to `append_row` to.

    Rows after the step where the run resumes, which it will write again, are dropped, and so is a torn
    last line.
    """
    path, lines = folder / METRICS, _lines(folder)
    kept = [line for line in lines if _step(line) <= last_step]
    if kept != lines:
        write_atomically(path, b"".join(kept))
    return path.open("ab")


def append_row(file: BinaryIO, row: Mapping[str, float]) -> None:
    """Write a row out at once; only `os.fsync` makes it durable."""
    file.write((json.dumps(row) + "\n").encode())
    file.flush()


def _lines(folder: Path) -> list[bytes]:
    path = folder / METRICS
    return path.read_bytes().splitlines(keepends=True) if path.exists() else []


def _step(line: bytes) -> float:
    """The step of a row; NaN, which is never at or below a step, for a line that is no whole row."""
    try:
        return int(json.loads(line)["step"]) if line.endswith(b"\n") else math.nan
    except (ValueError, KeyError, TypeError):
        return math.nan
