"""The files that `birnn predict` writes: predictions, folders of pictures, an explanation."""

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from birnn_cli.errors import ConfigError, OutputError, UsageError
from birnn_cli.files import check_output, write_atomically
from birnn_cli.optional import require
from birnn_cli.prediction import Prediction
from birnn_cli.reader.decode import encode_png
from birnn_cli.reader.inputs import Source
from birnn_cli.text import percent

if TYPE_CHECKING:
    from birnn_cli.explanation import Explanation

COLUMNS = ("path", "status", "label", "probability", "error")  # of CSV


@contextmanager
def open_predictions(
    path: Path,
    inputs: Sequence[str | Path] = (),
    *,
    force: bool = False,
    skip_existing: bool = False,
) -> Iterator["PredictionFile"]:
    """Open the file of `predict --output`: JSON Lines or CSV by its ending.

    What is no plain file, such as a pipe, gets JSON Lines. With `skip_existing`, predictions are added
    to a file that exists. A torn last line, which a process that was stopped may have left, is cut off.

    Raises:
        OutputExistsError: The file exists, and neither `force` nor `skip_existing` is given.
        UsageError: It has another ending, or is one of the inputs.
        OutputError: Another process writes it, or it holds something else.
    """
    is_plain = path.is_file() or not path.exists()
    ending = path.suffix.lower()
    if is_plain and ending not in (".jsonl", ".csv"):
        raise UsageError(f"--output {path}: expected a file ending in .jsonl or .csv")
    check_output(
        path,
        "--output",
        force=force or skip_existing or not is_plain,
        inputs=inputs,
        advice="add --skip-existing to go on with it, or --force to replace it",
    )
    if not is_plain:  # a pipe or a device can only be written to
        with path.open("wb") as file:
            yield PredictionFile(file, is_csv=False)
        return
    with path.open("a+b") as file:
        if not _lock(file):
            raise OutputError(f"{path} is written by another process now: name another --output")
        if not skip_existing:
            file.truncate(0)
        predictions = PredictionFile(file, is_csv=ending == ".csv")
        predictions.read_existing(path)
        yield predictions


class PredictionFile:
    """An open file of predictions, a line or row a picture.

    `done` are the paths of the pictures that it held when it was opened, `any_failed` whether one of
    them could not be read.
    """

    def __init__(self, file: BinaryIO, *, is_csv: bool) -> None:
        self.done: set[str] = set()
        self.any_failed = False
        self._file, self._is_csv = file, is_csv
        # A path that is no UTF-8 keeps its bytes.
        self._text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")

    def read_existing(self, path: Path) -> None:
        """Read what the file holds and cut off a torn last line; an empty CSV file gets its header."""
        self._file.seek(0)
        number, end = 0, 0  # of the last whole line: its number, from 1, and where it ends, in bytes
        for number, record in enumerate(self._records(), start=1):
            try:
                values = self._parse(record)
                if not (self._is_csv and number == 1):
                    self.any_failed |= values["status"] == "error"
                    self.done.add(values["path"])
                elif tuple(values.values()) != COLUMNS:
                    raise ValueError
            except (ValueError, KeyError, TypeError, csv.Error):
                raise self._foreign(path, number) from None
            end += len(record)
        self._file.seek(end)
        if not self._is_torn(self._file.read(), is_first=end == 0):
            raise self._foreign(path, number + 1)
        self._file.truncate(end)
        if self._is_csv and end == 0:
            self._write_row(COLUMNS)

    def _foreign(self, path: Path, number: int) -> OutputError:
        """The error for a line that birnn has not written."""
        expected = "CSV" if self._is_csv else "JSON Lines"
        return OutputError(
            f"line {number} of {path} is no prediction, expected {expected} as `birnn predict` "
            "writes them: name another --output"
        )

    def _is_torn(self, rest: bytes, *, is_first: bool) -> bool:
        """Whether what stands behind the last whole line may be the beginning of a line of our own."""
        if self._is_csv:  # its header has shown whose file it is, unless that is torn itself
            return not is_first or f"{','.join(COLUMNS)}\r\n".encode().startswith(rest)
        start = b'{"path": '
        return rest.startswith(start) or start.startswith(rest)

    def _records(self) -> Iterator[bytes]:
        """The whole lines of the file or, of CSV, its whole rows: a quoted label has several."""
        record = b""
        for line in self._file:
            record += line
            if line.endswith(b"\n") and not (self._is_csv and record.count(b'"') % 2):
                yield record
                record = b""

    def _parse(self, record: bytes) -> Any:
        if not self._is_csv:
            return json.loads(record)
        (row,) = csv.reader([record.decode(errors="surrogateescape")])
        return dict(zip(COLUMNS, row, strict=True))

    def add(self, values: dict[str, Any]) -> None:
        """Add a picture's prediction, as `to_json` gives it, and write it out at once."""
        if self._is_csv:
            error = values["error"]["message"] if values["error"] else None
            self._write_row([*(values[name] for name in COLUMNS[:-1]), error])
        else:
            self._text.write(json.dumps(values) + "\n")
            self._text.flush()

    def _write_row(self, row: Sequence[Any]) -> None:
        csv.writer(self._text).writerow(row)
        self._text.flush()


class PictureFolder:
    """A folder for pictures about predictions, as PNG files; `option` names it in an error.

    Raises:
        OutputExistsError: The folder holds something already, and nothing is forced.
        UsageError: It is, is within or holds one of the inputs.
    """

    def __init__(
        self, folder: Path, option: str, *, force: bool, inputs: Sequence[str | Path] = ()
    ) -> None:
        advice = "or add --force to replace what it holds"
        check_output(folder, option, force=force, inputs=inputs, folder=True, advice=advice)
        self._folder, self._option = folder, option
        self._taken: set[Path] = set()

    def take_name(self, source: Source) -> Path:
        """The source's name for the next picture, with `-2` at its end if that is taken."""
        name, number = source.name, 1
        while name in self._taken:
            number += 1
            name = source.name.with_stem(f"{source.name.stem}-{number}")
        self._taken.add(name)
        return name

    def save(self, source: Source, pixels: NDArray[np.uint8] | None) -> None:
        """Save a picture, if there is one, under its source's next name."""
        if pixels is None:
            return
        path = self._folder / self.take_name(source)
        if not path.resolve().is_relative_to(self._folder.resolve()):
            raise OutputError(f"{path} is a link out of its folder: name another {self._option}")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, encode_png(pixels), durable=False)


def check_explanation(target: Path, inputs: Sequence[str | Path], *, force: bool) -> None:
    """Refuse, before any picture is read, a file to which no explanation could be written.

    Raises:
        OutputExistsError: The file exists, and nothing is forced.
        UsageError: It is one of the inputs.
        ConfigError: Its folder is not there, or matplotlib is not installed.
    """
    check_output(target, "--explain", force=force, inputs=inputs)
    if not target.parent.is_dir():
        raise ConfigError(f"--explain {target}: there is no folder {target.parent}, so make it first")
    require("matplotlib", "report")


def write_explanation(target: Path, explanation: "Explanation", prediction: Prediction) -> None:
    """Write the explanation of a prediction, which has a label, as a PNG file."""
    from birnn_cli.report import explanation_figure

    doubt = "?" if prediction.status == "unsure" else ""
    best = prediction.top[0]
    title = f"Which rows the prediction {best.label}{doubt} ({percent(best.probability)}) comes from"
    write_atomically(target, explanation_figure.draw(explanation, title))


def _lock(file: BinaryIO) -> bool:
    """Lock a file until it is closed, and return True; or False, where another process has locked it.

    The file itself is locked: a lock file beside it would stay behind where a process is killed. On
    Windows filelock would lock its first byte, and nobody could read the file while it is written.
    """
    if sys.platform == "win32":
        import msvcrt

        file.seek(0x7FFFFFFE)  # a locked byte cannot be read by others, so it is one that no file has
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: some of those that clusters share
        return True
    return True
