"""The files that `birnn predict` writes: predictions as JSON Lines, and folders of pictures."""

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from birnn_cli.errors import OutputError
from birnn_cli.files import check_output, write_atomically
from birnn_cli.reader.decode import encode_png
from birnn_cli.reader.inputs import Source


class PredictionFile:
    """The file of `predict --output`, a line per picture; to be used in a `with`.

    With `skip_existing`, predictions are added to a file that exists: `done` are the paths of the
    pictures that it holds, `any_failed` whether one of them could not be read. A torn last line, which a
    process that was stopped may have left, is cut off.

    Raises:
        OutputExistsError: The file exists, and neither `force` nor `skip_existing` is given.
        OutputError: It is one of the pictures, or another process writes it, or it holds something else.
    """

    def __init__(
        self,
        path: Path,
        pictures: Sequence[str] = (),
        *,
        force: bool = False,
        skip_existing: bool = False,
    ) -> None:
        self.done: set[str] = set()
        self.any_failed = False
        self._file: BinaryIO
        check_output(
            path,
            "--output",
            force=force or skip_existing,
            inputs=pictures,
            advice="add --skip-existing to go on with it, or --force to replace it",
        )
        with ExitStack() as opened:
            if path.exists() and not path.is_file():  # a pipe or a device can only be written to
                self._file = opened.enter_context(path.open("wb"))
                opened.pop_all()
                return
            self._file = opened.enter_context(path.open("a+b"))
            if _is_taken(self._file):
                raise OutputError(f"{path} is written by another process now: name another --output")
            self._file.seek(0)
            if skip_existing:
                self._read_existing(path)
            else:
                self._file.truncate()
            opened.pop_all()  # all is well: it stays open

    def _read_existing(self, path: Path) -> None:
        whole = 0  # where the last whole line ends, in bytes
        for number, line in enumerate(self._file, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                values = json.loads(line)
                self.any_failed |= values["status"] == "error"
                self.done.add(values["path"])
            except (ValueError, KeyError, TypeError):
                raise OutputError(
                    f"line {number} of {path} is no prediction, expected JSON Lines as `birnn predict` "
                    "writes them: name another --output"
                ) from None
            whole += len(line)
        self._file.truncate(whole)

    def add(self, line: str) -> None:
        """Add a picture's prediction, and write it out at once."""
        self._file.write(f"{line}\n".encode())
        self._file.flush()

    def __enter__(self) -> "PredictionFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._file.close()


class PictureFolder:
    """A folder for pictures about predictions, as PNG files; `option` names it in an error.

    Raises:
        OutputExistsError: The folder holds something already, and nothing is forced.
    """

    def __init__(self, folder: Path, option: str, *, force: bool) -> None:
        check_output(
            folder, option, force=force, folder=True, advice="or add --force to replace what it holds"
        )
        self._folder = folder
        self._taken: set[Path] = set()

    def save(self, source: Source, pixels: NDArray[np.uint8] | None) -> None:
        """Save a picture, if there is one, under its source's name, with `-2` at its end if taken."""
        if pixels is None:
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
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks: some of those that clusters share
        return False
    return False
