"""Find data sets by name: published ones, folders of images, and the strokes that the program draws."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs

from birnn_cli.data import strokes
from birnn_cli.data.download import Report, download
from birnn_cli.data.folders import Split, find_labelled, read_labelled
from birnn_cli.data.published import PUBLISHED, Images, Labels
from birnn_cli.errors import DataError, DataUnavailableError
from birnn_cli.reader import Reader

NAMES = (*PUBLISHED, "strokes")
# Images in each split of `strokes`.
STROKES_SIZES: dict[Split, int] = {"train": 60_000, "validation": 5_000, "test": 10_000}


@dataclass(frozen=True)
class DataSet:
    """A data set that is ready: `read` reads the first n images of a split, and their labels."""

    name: str  # its real name (never `auto`); for a folder, its absolute path
    classes: tuple[str, ...]  # in the order of the labels
    reader: Reader  # how a user's picture becomes one of its images
    size: Callable[[Split], int]  # how many images a split holds
    read: Callable[[Split, int], tuple[Images, Labels]]

    def load(self, split: Split, samples: int | None = None) -> tuple[Images, Labels]:
        """The first `samples` images of a split, or all: (n, 28, 28) uint8, and labels (n,) int64.

        An empty split, fewer images than `samples`, and damaged files raise a DataError.
        """
        size = self.size(split)
        if not size or (samples or 0) > size:
            found = f"holds {size:,} images" if size else "is empty"
            raise DataError(
                f"the {split} split of {self.name} {found}, expected {samples or 1:,} or more"
            )
        return self.read(split, samples or size)


def default_data_dir() -> Path:
    """Where data sets are kept: the folder that BIRNN_DATA_DIR names, else the user's cache folder."""
    return Path(os.environ.get("BIRNN_DATA_DIR") or platformdirs.user_cache_dir("birnn"))


def open_data_set(
    name: str, data_dir: Path, reader: Reader | None = None, report: Report | None = None
) -> DataSet:
    """Find one of NAMES, which is downloaded when it is not on disk, or a folder of labelled images.

    Only a folder can be given a reader (default `digit`); the others have their own. Raises a
    DataUnavailableError if a download fails, else a DataError.
    """
    if name not in NAMES:
        return _open_folder(name, reader or "digit")
    if reader is not None:
        raise DataError(f"--reader is for folders of images: {name} has its own, so leave it out")
    if name == "strokes":
        return DataSet("strokes", strokes.CLASSES, "digit", STROKES_SIZES.__getitem__, strokes.sample)
    published = PUBLISHED[name]
    files = published.files(data_dir)
    missing = [file for file in files if not file.exists()]
    if len(missing) == len(files):
        download(name, published.folder, data_dir, report)
    elif missing:
        raise DataError(
            f"{name} is incomplete: {missing[0]} is missing beside {len(files) - len(missing)} other "
            f"files; put it back, or move {missing[0].parent} away and birnn downloads the whole set"
        )

    def read(split: Split, samples: int) -> tuple[Images, Labels]:
        images, labels = published.read(data_dir, split)
        return np.array(images[:samples], order="C"), labels[:samples]

    def size(split: Split) -> int:
        return len(published.read(data_dir, split)[0])

    return DataSet(name, published.classes, published.reader, size, read)


def _open_folder(name: str, reader: Reader) -> DataSet:
    root = Path(name).absolute()
    if not root.is_dir():
        raise DataError(
            f"no data set {name!r}: expected auto, {', '.join(NAMES)}, or a folder with one subfolder "
            "of images a class"
        )
    classes, files = find_labelled(root)

    def read(split: Split, samples: int) -> tuple[Images, Labels]:
        return read_labelled(files[split][:samples], reader)

    return DataSet(str(root), classes, reader, lambda split: len(files[split]), read)


def open_or_fall_back(
    name: str, data_dir: Path, reader: Reader | None, report: Report | None, warn: Callable[[str], None]
) -> DataSet:
    """Find a data set as `open_data_set` does; `auto` is MNIST, or strokes if MNIST is unavailable.

    `warn` is called with the reason when strokes take MNIST's place.
    """
    if name != "auto":
        return open_data_set(name, data_dir, reader, report)
    try:
        return open_data_set("mnist", data_dir, reader, report)
    except DataUnavailableError as error:
        warn(f"{error}. Training on strokes instead: digits that birnn draws itself")
        return open_data_set("strokes", data_dir)
