"""Writing files: nothing of the user's is overwritten unasked, and nobody ever finds half of a file."""

import hashlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from birnn_cli.errors import OutputExistsError, UsageError


def check_output(
    path: Path,
    option: str,
    *,
    force: bool,
    inputs: Iterable[str | Path] = (),
    folder: bool = False,
    advice: str = "or add --force to replace it",
) -> None:
    """Refuse to write a file, or files into a folder, over what exists or what is read.

    `inputs` are never written to, forced or not: the file is none of them, the folder neither is, nor is
    within, nor holds one of them. `advice` says what to do besides naming another path.

    Raises:
        UsageError: The path is one of the inputs, or such a folder.
        OutputExistsError: It exists, and nothing is forced; or it is a folder, expected a file, or a
            file, expected a folder.
    """
    if folder:
        _refuse_around_inputs(path, option, inputs)
    if not path.exists():
        return
    if any(_is_same(path, each) for each in inputs):
        raise UsageError(f"{path} is what is to be read: name another {option}")
    if path.is_dir() != folder:
        found, expected = ("file", "folder") if folder else ("folder", "file")
        raise OutputExistsError(f"{path} is a {found}, expected a {expected}: name another {option}")
    if force or (folder and not any(path.iterdir())):
        return
    found = "holds files" if folder else "exists"
    raise OutputExistsError(f"{path} {found} already: name another {option}, {advice}")


def _is_same(path: Path, other: str | Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):  # there is no such file; ValueError: a name with a NUL in it
        return False


def _refuse_around_inputs(folder: Path, option: str, inputs: Iterable[str | Path]) -> None:
    """Refuse a folder for many files that is, is within or holds what is read."""
    target = folder.resolve()
    for each in inputs:
        if not os.path.exists(each):  # noqa: PTH110 - a name with a NUL in it is none either
            continue
        path = Path(each)
        for read in (path.resolve(), path.parent.resolve() / path.name):  # a link's target, and itself
            if target == read:
                raise UsageError(f"{folder} is what is to be read: name another {option}")
            if read in target.parents or target in read.parents:
                relation = "holds" if target in read.parents else "is within"
                raise UsageError(
                    f"{folder} {relation} {each}, which is to be read: name another {option}"
                )


def write_atomically(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace `path` by `content`, whole and durable, or leave it as it was.

    Written beside it, fsynced, renamed, and the folder fsynced; a link's target is replaced, not the
    link. The permissions are those of any new file. What is not `durable` is not fsynced: a power cut
    may lose it, which is quicker for very many files.

    Raises:
        OSError: It cannot be written; what was there is still there.
    """
    path = path.resolve()
    # Of a length that does not grow with the name's: a file system takes 255 bytes.
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    temporary = path.with_name(f".{digest}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            if durable:
                sync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename2 is None:
            error.filename = str(path)  # a full disk's error names none, others the temporary file
        raise
    if durable:
        sync_folder(path.parent)


def sync(descriptor: int) -> None:
    """Make what was written to an open file outlive a power cut."""
    if sys.platform == "darwin":  # whose fsync leaves it in the disk's own cache
        import fcntl

        try:
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
        except OSError:  # a file system without it, such as a network's
            pass
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system can (Windows cannot open folders)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            sync(descriptor)
        finally:
            os.close(descriptor)
