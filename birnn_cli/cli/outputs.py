"""A file of answers as JSON Lines: begun, or gone on with where another process stopped."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from birnn_cli.errors import OutputError, OutputExistsError


class Answers:
    """The file of `predict --output`, to be used in a `with`; the answers to a picture get in together.

    Args:
        path: Where to.
        pictures: What is read: it must be none of them.
        force: Whether a file that exists is replaced.
        skip_existing: Whether it is gone on with: what a process that was stopped left half written
            at its end is cut off.

    Attributes:
        done: The paths of the pictures whose answers it holds.
        any_failed: Whether one of those could not be read.

    Raises:
        OutputExistsError: The file exists, and neither was asked for.
        OutputError: It is a picture that is to be read, or another process writes it, or it is to be
            gone on with and holds something else.
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
        self._held: list[str] = []
        self._file: BinaryIO
        if path.exists() and not (force or skip_existing):
            raise OutputExistsError(
                f"{path} exists already: name another --output, add --skip-existing to go on with it, "
                "or --force to replace it"
            )
        if path.exists() and any(Path(each).exists() and path.samefile(each) for each in pictures):
            raise OutputError(f"{path} is a picture that is to be read: name another --output")
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
                self._take_up(path)
            else:
                self._file.truncate()
            opened.pop_all()  # all is well: it stays open

    def _take_up(self, path: Path) -> None:
        whole, picture, last = 0, 0, {"path": None}  # where the last whole line ends, its picture begins
        for number, line in enumerate(self._file, start=1):
            if not line.endswith(b"\n"):
                if last.get("index") is not None:  # what is torn may be one more digit of it
                    whole = picture
                    self.done.discard(str(last["path"]))
                break
            try:
                values = json.loads(line)
                self.any_failed |= values["status"] == "error"
                self.done.add(values["path"])
            except (ValueError, KeyError, TypeError):
                raise OutputError(
                    f"line {number} of {path} is no answer, expected JSON Lines as `birnn predict` "
                    "writes them: name another --output"
                ) from None
            if values["path"] != last["path"]:
                picture = whole
            whole, last = whole + len(line), values
        self._file.truncate(whole)

    def add(self, line: str, index: int | None) -> None:
        """Add an answer: to a picture, or to one of its digits, `index` from 0."""
        if not index:
            self._write()
        self._held.append(line + "\n")
        if index is None:
            self._write()

    def _write(self) -> None:
        self._file.write("".join(self._held).encode())
        self._file.flush()
        self._held.clear()

    def __enter__(self) -> "Answers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Close the file; a picture that was left in the middle is left out."""
        try:
            if kind is None:
                self._write()
        finally:
            self._file.close()


def _is_taken(file: BinaryIO) -> bool:
    """Whether another process writes a file; if not, this one has it until it is closed."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks: some of those that clusters share
        return False
    return False
