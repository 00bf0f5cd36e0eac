"""Download data sets with torchvision. Only this module imports it, and only for a download."""

import contextlib
import io
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from birnn_cli.errors import DataUnavailableError

SECONDS_WITHOUT_ANSWER = 10.0  # seconds without any new byte after which a download is given up

# Called with how much is done (bytes of a file, or images) and, where it is known, how much there is.
ProgressCallback = Callable[[int, int | None], None]


@dataclass
class _Transfer:
    """The state of a download; it takes the place of torchvision's own progress bar."""

    received: int = 0  # bytes of the current file
    total: int | None = None  # its size in bytes, where known
    last_received_at: float = field(default_factory=time.monotonic)
    error: Exception | None = None

    def progress_bar(self, total: int | None = None, **_: Any) -> "contextlib.nullcontext[_Transfer]":
        """Called by torchvision when a file begins."""
        self.received, self.total = 0, total
        return contextlib.nullcontext(self)

    def update(self, count: int) -> None:
        """Called by torchvision when `count` more bytes have arrived."""
        self.received += count
        self.last_received_at = time.monotonic()


def download(name: str, folder: str, data_dir: Path, progress: ProgressCallback | None = None) -> None:
    """Download a data set with torchvision into `data_dir/folder`, or raise a DataUnavailableError.

    The files arrive in a temporary folder; only complete ones are moved to their place, and none is
    replaced there. So neither an interruption nor a second process leaves a partial data set behind.
    """
    scratch = data_dir / f".download-{uuid.uuid4().hex}"
    try:
        scratch.mkdir(parents=True)
        _import_torchvision()  # before the clock starts: on a slow disk this alone takes many seconds
        transfer = _Transfer()
        # A daemon thread can be left behind when it hangs: looking up a host name has no time limit.
        worker = threading.Thread(target=_fetch, args=(name, folder, scratch, transfer), daemon=True)
        worker.start()
        while worker.is_alive():
            worker.join(0.1)
            if progress is not None:
                progress(transfer.received, transfer.total)
            silence = time.monotonic() - transfer.last_received_at
            if worker.is_alive() and silence > SECONDS_WITHOUT_ANSWER:
                raise TimeoutError(f"no answer for {SECONDS_WITHOUT_ANSWER:.0f} seconds")
        if transfer.error is not None:
            raise OSError(_last_line(transfer.error))
        _move_into_place(scratch / folder / "raw", data_dir / folder / "raw")
    except OSError as error:  # one of the two above, or such as a full disk
        raise DataUnavailableError(
            f"{name} is not in {data_dir} and cannot be downloaded ({error}); connect this machine, or "
            f"put the published files, packed (.gz) or not, in {data_dir / folder / 'raw'} "
            "(another place: --data-dir or BIRNN_DATA_DIR)"
        ) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _import_torchvision() -> None:
    """Import torchvision; whatever that raises, as where another torch is installed, is an OSError."""
    try:
        import torchvision.datasets  # noqa: F401
    except Exception as error:
        raise OSError(f"torchvision cannot be imported: {_last_line(error)}") from None


def _last_line(error: Exception) -> str:
    """The last line of an exception's message, or its type where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[-1]


def _fetch(name: str, folder: str, root: Path, transfer: _Transfer) -> None:
    """Download into `root`; an exception is kept in `transfer.error`."""
    from torchvision import datasets
    from torchvision.datasets import utils

    original_bar, utils.tqdm = utils.tqdm, transfer.progress_bar
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            data_set = getattr(datasets, folder)  # torchvision names the folder after the class
            if folder == "EMNIST":
                data_set(root, split=name.removeprefix("emnist-"), download=True)
            elif folder == "QMNIST":
                for what in ("train", "test"):
                    data_set(root, what=what, download=True)
            else:
                data_set(root, download=True)
    except Exception as error:  # those of urllib, gzip and zipfile, and torchvision's own RuntimeError
        transfer.error = error
    finally:
        utils.tqdm = original_bar


def _move_into_place(source: Path, target: Path) -> None:
    """Move the unpacked files of `source` to `target`; a file that exists there stays as it is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for archive in (*source.glob("*.gz"), *source.glob("*.zip")):
        archive.unlink()
    with contextlib.suppress(OSError):  # `target` exists already: move file by file
        source.rename(target)
        return
    for file in source.iterdir():
        if not (target / file.name).exists():
            file.rename(target / file.name)
