"""The files that `birnn predict` writes: predictions as JSON Lines, and folders of pictures."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from birnn_cli.errors import OutputError
from birnn_cli.files import check_output, write_atomically
from birnn_cli.reader.decode import encode_png
from birnn_cli.reader.inputs import Source


class PredictionFile(NamedTuple):
    """The file of `predict --output`, a line per picture, as `open_predictions` opens it.

    `done` are the paths of the pictures that it held, `any_failed` whether one could not be read.
    """

    file: BinaryIO
    done: set[str]
    any_failed: bool

    def add(self, line: str) -> None:
        """Add a picture's prediction, and write it out at once."""
        self.file.write(f"{line}\n".encode())
        self.file.flush()


@contextmanager
def open_predictions(
    path: Path, pictures: Sequence[str] = (), *, force: bool = False, skip_existing: bool = False
) -> Iterator[PredictionFile]:
    """Open the file of `predict --output`; with `skip_existing`, predictions are added to what it holds.

    Raises:
        OutputExistsError: The file exists, and neither `force` nor `skip_existing` is given.
        OutputError: It is one of the pictures, or another process writes it, or it holds something else.
    """
    advice = "add --skip-existing to go on with it, or --force to replace it"
    check_output(path, "--output", force=force or skip_existing, inputs=pictures, advice=advice)
    is_regular = path.is_file() or not path.exists()  # a pipe or a device can only be written to
    done: set[str] = set()
    any_failed = False
    with path.open("a+b" if is_regular else "wb") as file:
        if is_regular:
            if _is_taken(file):
                raise OutputError(f"{path} is written by another process now: name another --output")
            file.seek(0)
            if skip_existing:
                done, any_failed = _read_predictions(file, path)
            file.truncate()
        yield PredictionFile(file, done, any_failed)


def _read_predictions(file: BinaryIO, path: Path) -> tuple[set[str], bool]:
    """The paths in a file of predictions, and whether one failed; stops after the last whole line."""
    done, any_failed = set(), False
    for number, line in enumerate(file, start=1):
        if not line.endswith(b"\n"):  # torn: a process that was stopped may have left it
            file.seek(-len(line), os.SEEK_CUR)
            break
        try:
            values = json.loads(line)
            any_failed |= values["status"] == "error"
            done.add(values["path"])
        except (ValueError, KeyError, TypeError):
            raise OutputError(
                f"line {number} of {path} is no prediction, expected JSON Lines as `birnn predict` "
                "writes them: name another --output"
            ) from None
    return done, any_failed


class PictureFolder:
    """A folder for pictures about predictions, as PNG files; without one, none is saved.

    If it holds something already, and nothing is forced, an OutputExistsError names the `option`.
    """

    def __init__(self, folder: Path | None, option: str, *, force: bool) -> None:
        if folder is not None:
            advice = "or add --force to replace what it holds"
            check_output(folder, option, force=force, folder=True, advice=advice)
        self._folder = folder
        self._taken: set[Path] = set()

    def save(self, source: Source, pixels: NDArray[np.uint8] | None) -> None:
        """Save a picture, if there is one, under its source's name, with `-2` at its end if taken."""
        if self._folder is None or pixels is None:
            return
        name, number = source.name, 1
        while name in self._taken:
            number += 1
            name = source.name.with_stem(f"{source.name.stem}-{number}")
        self._taken.add(name)
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, encode_png(pixels))


def _is_taken(file: BinaryIO) -> bool:
    """Whether another process writes a file; if not, this one has it until it is closed."""
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks: some of those that clusters share
            pass
    return False
