"""Fetching data sets with torchvision: the only place that imports it, and only when it must."""

import contextlib
import io
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from birnn_cli.errors import DataUnavailableError

SECONDS_WITHOUT_ANSWER = 10.0

# Told of the bytes done and, where known, the bytes in all of the file under way.
Report = Callable[[int, int | None], None]


@dataclass
class _Transfer:
    """What a download has come to; stands in for torchvision's own progress bar."""

    done: int = 0
    total: int | None = None
    moved_at: float = field(default_factory=time.monotonic)
    error: Exception | None = None

    @contextlib.contextmanager
    def bar(self, total: int | None = None, **_: Any) -> Iterator["_Transfer"]:
        """A file begins."""
        self.done, self.total = 0, total
        yield self

    def update(self, count: int) -> None:
        """So many more bytes have come."""
        self.done += count
        self.moved_at = time.monotonic()


def download(name: str, folder: str, data_dir: Path, report: Report | None = None) -> None:
    """Have torchvision download a data set into its layout under `data_dir`.

    It works in a folder of its own, and only whole files are moved to their place; none that is there
    is replaced. So neither an interruption nor a second process leaves half a set.

    Args:
        name: As on the command line.
        folder: As torchvision names the set's folder.
        data_dir: Where data sets live; made when it is not there.
        report: Is told of the progress some times a second.

    Raises:
        DataUnavailableError: No answer for 10 seconds, a refusal, damaged goods, a full disk.
    """
    where = f"{name} is not in {data_dir} and cannot be downloaded"
    cure = (
        f"connect this machine, or put the published files in {data_dir / folder / 'raw'} "
        "(another place: --data-dir or BIRNN_DATA_DIR)"
    )
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".download-", dir=data_dir))
    except OSError as error:
        raise DataUnavailableError(f"{where} ({error}); {cure}") from None
    try:
        transfer = _Transfer()
        # In a thread that is left behind when it hangs: looking a name up knows no time limit.
        worker = threading.Thread(target=_run, args=(name, scratch, transfer), daemon=True)
        worker.start()
        while worker.is_alive():
            worker.join(0.1)
            if report is not None:
                report(transfer.done, transfer.total)
            if worker.is_alive() and time.monotonic() - transfer.moved_at > SECONDS_WITHOUT_ANSWER:
                reason = f"no answer for {SECONDS_WITHOUT_ANSWER:.0f} seconds"
                raise DataUnavailableError(f"{where} ({reason}); {cure}")
        if transfer.error is not None:
            reason = str(transfer.error).strip().splitlines()[-1]
            raise DataUnavailableError(f"{where} ({reason}); {cure}")
        _move_in(scratch / folder / "raw", data_dir / folder / "raw")
    except OSError as error:
        raise DataUnavailableError(f"{where} ({error}); {cure}") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run(name: str, root: Path, transfer: _Transfer) -> None:
    """Download into `root`; whatever goes wrong is left in `transfer.error`."""
    from torchvision import datasets
    from torchvision.datasets import utils

    transfer.moved_at = time.monotonic()  # importing is not waiting
    ours, utils.tqdm = utils.tqdm, transfer.bar
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            if name.startswith("emnist-"):
                datasets.EMNIST(root, split=name.removeprefix("emnist-"), download=True)
            elif name == "qmnist":
                for what in ("train", "test"):
                    datasets.QMNIST(root, what=what, download=True)
            else:
                sets = {"fashion-mnist": "FashionMNIST"}
                getattr(datasets, sets.get(name, name.upper()))(root, download=True)
    except Exception as error:  # torchvision raises what urllib, gzip, zipfile and it itself raise
        transfer.error = error
    finally:
        utils.tqdm = ours


def _move_in(source: Path, target: Path) -> None:
    """Move unpacked files to their place; a file that is there already stays."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for archive in (*source.glob("*.gz"), *source.glob("*.zip")):
        archive.unlink()
    with contextlib.suppress(OSError):  # it is there: then file by file
        source.rename(target)
        return
    for file in source.iterdir():
        if not (target / file.name).exists():
            file.rename(target / file.name)
