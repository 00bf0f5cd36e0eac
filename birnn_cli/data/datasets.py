"""Find data sets by name: published ones, folders of images, and the strokes that the program draws."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import platformdirs

from birnn_cli.data import strokes
from birnn_cli.data.download import ProgressCallback, download
from birnn_cli.data.folders import LabelledFolder, Split, find_labelled, read_labelled
from birnn_cli.data.published import PUBLISHED, Images, Labels
from birnn_cli.errors import DataError, DataUnavailableError
from birnn_cli.reader import Reader

NAMES = (*PUBLISHED, "strokes")
# Images in each split of `strokes`.
STROKES_SIZES: dict[Split, int] = {"train": 60_000, "validation": 5_000, "test": 10_000}


@dataclass(frozen=True)
class DataSet:
    """A data set that is ready: `read` reads the first n images of a split, and their labels.

    The images of a folder are read class by class or, with `read`'s last argument, mixed by a hash.
    """

    name: str  # its real name (never `auto`); for a folder, its absolute path
    classes: tuple[str, ...]  # in the order of the labels
    reader: Reader  # how a user's picture becomes one of its images
    size: Callable[[Split], int]  # how many images a split holds
    read: Callable[[Split, int, bool], tuple[Images, Labels]]
    folder: LabelledFolder | None = None  # what was found in it, for a folder
    # For a folder, another plausible reading of each of its first n images, mixed, or the same again.
    second_readings: Callable[[Split, int], Images] | None = None

    def load(
        self, split: Split, samples: int | None = None, *, mixed: bool = False
    ) -> tuple[Images, Labels]:
        """The first `samples` images of a split, or all: (n, 28, 28) uint8, and labels (n,) int64.

        The first ones of a folder are of all its classes with `mixed`, and the same every time.
        An empty split, fewer images than `samples`, and damaged files raise a DataError.
        """
        if split == "all" and self.folder is None:
            raise DataError(
                f"{self.name} has no split all, which is for folders: expected test or validation"
            )
        size = self.size(split)
        if not size or (samples or 0) > size:
            found = f"holds {size:,} images" if size else "is empty"
            raise DataError(
                f"the {split} split of {self.name} {found}, expected {samples or 1:,} or more"
            )
        return self.read(split, samples or size, mixed)


def default_data_dir(note: Callable[[str], None] = lambda message: None) -> Path:
    """Where data sets are kept: the folder that BIRNN_DATA_DIR names, else the user's cache folder.

    A user without a home to write to gets a temporary folder, and `note` is called with a line about it.
    """
    if named := os.environ.get("BIRNN_DATA_DIR"):
        return Path(named)
    with suppress(RuntimeError, KeyError, OSError):  # the user has no name, and HOME is not set
        folder = Path(platformdirs.user_cache_dir("birnn"))
        made = next(path for path in (folder, *folder.parents) if path.is_dir())
        if folder.is_absolute() and (made == folder or os.access(made, os.W_OK)):
            return folder
    folder = Path(tempfile.gettempdir(), f"birnn-{getattr(os, 'getuid', int)()}")
    note(f"there is no home folder to keep data sets in: they go to {folder} (another: --data-dir)")
    return folder


def open_data_set(
    name: str, data_dir: Path, reader: Reader | None = None, progress: ProgressCallback | None = None
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
        return DataSet(
            *("strokes", strokes.CLASSES, "digit", STROKES_SIZES.__getitem__),
            lambda split, samples, mixed: strokes.sample(split, samples),
        )
    published = PUBLISHED[name]
    files = published.files(data_dir)
    missing = [file for file in files if not file.exists()]
    if len(missing) == len(files):
        try:
            download(name, published.folder, data_dir, progress)
        except DataUnavailableError as error:
            places = " and ".join(map(str, published.folders(data_dir)))
            raise DataUnavailableError(
                f"{error}; looked for {files[0].name} and the others in {places}"
            ) from None
    elif missing:
        raise DataError(
            f"{name} is incomplete: {missing[0]} is missing beside {len(files) - len(missing)} other "
            f"files; put it back, or move {missing[0].parent} away and birnn downloads the whole set"
        )

    whole = cache(lambda split: published.read(data_dir, split))  # packed files take a second

    def read(split: Split, samples: int, mixed: bool) -> tuple[Images, Labels]:
        images, labels = whole(split)
        return np.array(images[:samples], order="C"), labels[:samples]

    def size(split: Split) -> int:
        return len(whole(split)[0])

    return DataSet(name, published.classes, published.reader, size, read)


def _open_folder(name: str, reader: Reader) -> DataSet:
    root = Path(name).absolute()
    if root.suffix.lower() in (".csv", ".npz", ".npy") and root.is_file():
        raise DataError(
            f"{root} is a table, expected a folder: save each row's 784 values as a picture in a folder "
            "of its label (Image.fromarray(numpy.uint8(values).reshape(28, 28)).save('set/7/1.png')), "
            "and name the folder set"
        )
    if not root.is_dir():
        raise DataError(
            f"no data set {name!r}: expected auto, {', '.join(NAMES)}, or a folder with one subfolder "
            "of images a class"
        )
    folder = find_labelled(root)

    @cache
    def read_files(split: Split, samples: int, mixed: bool) -> tuple[Images, Images, Labels]:
        # A training reads both, and is told of the bad files of both at once.
        also_checked = folder.split("validation") if split == "train" else ()
        return read_labelled(folder.split(split, mixed=mixed)[:samples], reader, also_checked)

    def read(split: Split, samples: int, mixed: bool) -> tuple[Images, Labels]:
        images, _, labels = read_files(split, samples, mixed)
        return images, labels

    return DataSet(
        str(root),
        folder.classes,
        reader,
        size=lambda split: len(folder.split(split)),
        read=read,
        folder=folder,
        second_readings=lambda split, samples: read_files(split, samples, True)[1],
    )


def open_or_fall_back(
    name: str,
    data_dir: Path,
    reader: Reader | None,
    progress: ProgressCallback | None,
    warn: Callable[[str], None],
) -> DataSet:
    """Find a data set to train on, as `open_data_set` does; `auto` is MNIST, or strokes without MNIST.

    `warn` is called with the reason when strokes take MNIST's place, and with what a folder holds that
    is not read. Raises a DataError also for a folder with a class of which there is no training image.
    """
    if name != "auto":
        data = open_data_set(name, data_dir, reader, progress)
        if data.folder is not None:
            for line in data.folder.left_out:
                warn(line)
            data.folder.check_for_training()
        return data
    try:
        return open_data_set("mnist", data_dir, reader, progress)
    except DataUnavailableError as error:
        warn(f"{error}. Training on strokes instead: digits that birnn draws itself")
        return open_data_set("strokes", data_dir)
