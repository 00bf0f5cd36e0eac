"""Writing files: nothing of the user's is overwritten unasked, and nobody ever finds half of a file."""

import os
from collections.abc import Iterable
from pathlib import Path

from birnn_cli.errors import OutputError, OutputExistsError


def check_output(
    path: Path,
    option: str,
    *,
    force: bool,
    inputs: Iterable[str | Path] = (),
    folder: bool = False,
    advice: str = "or add --force to replace it",
) -> None:
    """Refuse to write over what exists, or over what is read.

    Args:
        path: The file or folder that is to be written.
        option: The option that names it.
        force: Whether a file may be replaced, and files in a folder that holds some already.
        inputs: What is read, which is never written to; what is not there is passed over.
        folder: Whether a folder is to be written, else a file.
        advice: What to do, besides naming another one, where it exists.

    Raises:
        OutputError: It is one of the inputs.
        OutputExistsError: It exists, and nothing is forced; or it is a folder where a file is to be
            written, or a file where a folder is.
    """
    if not path.exists():
        return
    if any(Path(each).exists() and path.samefile(each) for each in inputs):
        raise OutputError(f"{path} is what is to be read: name another {option}")
    if path.is_dir() != folder:
        found, expected = ("file", "folder") if folder else ("folder", "file")
        raise OutputExistsError(f"{path} is a {found}, expected a {expected}: name another {option}")
    if force or (folder and not any(path.iterdir())):
        return
    found = "holds files" if folder else "exists"
    raise OutputExistsError(f"{path} {found} already: name another {option}, {advice}")


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content`, whole and durable, or leave it as it was.

    Written beside it, fsynced, renamed, and the folder fsynced; a link's target is replaced, not the
    link. The permissions are those of any new file.

    Raises:
        OSError: It cannot be written; what was there is still there.
    """
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename2 is None:
            error.filename = str(path)  # a full disk's error names none, others the temporary file
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system can (Windows cannot open folders)."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
