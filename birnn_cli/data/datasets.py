"""Data sets as arrays in memory: torchvision's, folders of images, and the program's own strokes.

Files in torchvision's layout are read and checked here, so that a set on disk needs no torch;
`birnn_cli.data.download` has torchvision fetch the ones that are not there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from birnn_cli.data import strokes
from birnn_cli.data.download import Report, download
from birnn_cli.data.folders import Split, find_labelled, read_labelled
from birnn_cli.data.idx import damaged, read_idx
from birnn_cli.errors import DataError, DataUnavailableError
from birnn_cli.reader import Reader
from birnn_cli.reader.normalise import SIDE

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

NUM_VALIDATION = 5000
STROKES_SIZES: dict[Split, int] = {"train": 60_000, "validation": 5_000, "test": 10_000}


@dataclass(frozen=True)
class DataSet:
    """A data set that is at hand.

    Attributes:
        name: Its real name; a folder's is its absolute path.
        classes: The labels' names, in the order of their numbers.
        reader: How a user's picture becomes one of its images.
        size: How many images a split holds.
        read: The first so many images of a split: (n, 28, 28) uint8, and labels (n,) int64.
    """

    name: str
    classes: tuple[str, ...]
    reader: Reader
    size: Callable[[Split], int]
    read: Callable[[Split, int], tuple[Images, Labels]]

    def load(self, split: Split, samples: int | None = None) -> tuple[Images, Labels]:
        """The first `samples` images of a split in the set's own order, or all of them.

        Returns:
            Images (n, 28, 28) uint8 and labels (n,) int64 in [0, len(classes)).

        Raises:
            DataError: The split is empty or holds fewer, or its files are damaged.
        """
        size = self.size(split)
        if not size or (samples or 0) > size:
            found = f"holds {size:,} images" if size else "is empty"
            raise DataError(
                f"the {split} split of {self.name} {found}, expected {samples or 1:,} or more"
            )
        return self.read(split, samples or size)


@dataclass(frozen=True)
class _Published:
    """A data set in torchvision's layout: <data_dir>/<folder>/raw/<the files>.

    Attributes:
        folder: As torchvision names it.
        images: File names of the images, for `train` and `test`.
        labels: File names of the labels.
        classes: The labels' names.
        reader: How a user's picture becomes one of its images.
        first_label: The number that stands for the first class (EMNIST letters count from 1).
        transposed: Whether the images are stored with rows and columns exchanged (EMNIST).
    """

    folder: str
    images: tuple[str, str]
    labels: tuple[str, str]
    classes: tuple[str, ...]
    reader: Reader
    first_label: int = 0
    transposed: bool = False


_DIGITS = tuple("0123456789")
_LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
_CLOTHES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


def _pair(pattern: str, test: str = "t10k") -> tuple[str, str]:
    return pattern.format("train"), pattern.format(test)


_IMAGES, _LABELS = _pair("{}-images-idx3-ubyte"), _pair("{}-labels-idx1-ubyte")
_PUBLISHED = {
    "mnist": _Published("MNIST", _IMAGES, _LABELS, _DIGITS, "digit"),
    "fashion-mnist": _Published("FashionMNIST", _IMAGES, _LABELS, _CLOTHES, "plain"),
    "kmnist": _Published("KMNIST", _IMAGES, _LABELS, _KANA, "plain"),
    "qmnist": _Published(
        "QMNIST",
        _pair("qmnist-{}-images-idx3-ubyte", test="test"),
        _pair("qmnist-{}-labels-idx2-int", test="test"),
        _DIGITS,
        "digit",
    ),
    "emnist-digits": _Published(
        "EMNIST",
        _pair("emnist-digits-{}-images-idx3-ubyte", test="test"),
        _pair("emnist-digits-{}-labels-idx1-ubyte", test="test"),
        _DIGITS,
        "digit",
        transposed=True,
    ),
    "emnist-letters": _Published(
        "EMNIST",
        _pair("emnist-letters-{}-images-idx3-ubyte", test="test"),
        _pair("emnist-letters-{}-labels-idx1-ubyte", test="test"),
        _LETTERS,
        "digit",
        first_label=1,
        transposed=True,
    ),
}
NAMES = (*_PUBLISHED, "strokes")


def default_data_dir() -> Path:
    """Where data sets live when nobody says: the user's cache folder."""
    return Path(platformdirs.user_cache_dir("birnn"))


def open_data_set(
    name: str, data_dir: Path, reader: Reader | None = None, report: Report | None = None
) -> DataSet:
    """Find a data set, downloading it when it is not on disk.

    Args:
        name: One of NAMES, or a folder with one subfolder of images a class.
        data_dir: Where torchvision's sets live.
        reader: How a folder's pictures become images (default `digit`); the others have their own.
        report: Is told of a download's progress.

    Raises:
        DataUnavailableError: Not on disk, and it could not be downloaded.
        DataError: No such data set, or its files are damaged or incomplete.
    """
    if name not in NAMES:
        return _open_folder(name, reader or "digit")
    if reader is not None:
        raise DataError(f"--reader is for folders of images: {name} has its own, so leave it out")
    if name == "strokes":
        return DataSet("strokes", strokes.CLASSES, "digit", STROKES_SIZES.__getitem__, strokes.draw)
    published = _PUBLISHED[name]
    raw = data_dir / published.folder / "raw"
    files = [raw / file for file in (*published.images, *published.labels)]
    missing = [file for file in files if not file.exists()]
    if len(missing) == len(files):
        download(name, published.folder, data_dir, report)
    elif missing:
        raise DataError(
            f"{name} is incomplete: {missing[0]} is missing beside {len(files) - len(missing)} other "
            f"files; put it back, or move {raw} away and birnn downloads the whole set"
        )
    return _open_published(name, published, raw)


def _open_published(name: str, published: _Published, raw: Path) -> DataSet:
    def size(split: Split) -> int:
        held_out = 0 if split == "test" else NUM_VALIDATION
        total = len(_read_images(raw / published.images[split == "test"]))
        if total <= held_out:
            raise DataError(
                f"{raw / published.images[0]} holds {total:,} images, expected more than the "
                f"{held_out:,} that are held out for validation"
            )
        return held_out if split == "validation" else total - held_out

    def read(split: Split, samples: int) -> tuple[Images, Labels]:
        test = split == "test"
        pictures = _read_images(raw / published.images[test])
        labels = _read_labels(raw / published.labels[test], published)
        if len(pictures) != len(labels):
            raise damaged(
                raw / published.labels[test], f"{len(labels):,} labels", f"{len(pictures):,} images"
            )
        start = NUM_VALIDATION if split == "train" else 0
        pictures = pictures[start : start + samples]
        if published.transposed:
            pictures = pictures.transpose(0, 2, 1)
        return np.array(pictures, order="C"), labels[start : start + samples]

    return DataSet(name, published.classes, published.reader, size, read)


def _read_images(file: Path) -> Images:
    """All images of a file, as a view of it: (n, 28, 28) uint8."""
    array = read_idx(file, np.dtype(np.uint8), 3)
    if array.shape[1:] != (SIDE, SIDE):
        found = " by ".join(map(str, array.shape[1:]))
        raise damaged(file, f"images of {found} pixels", "28 by 28")
    return array


def _read_labels(file: Path, published: _Published) -> Labels:
    """All labels of a file, from 0: (n,) int64."""
    if file.name.endswith("idx2-int"):  # QMNIST: eight numbers an image, the class first
        labels = read_idx(file, np.dtype(">i4"), 2)[:, 0].astype(np.int64)
    else:
        labels = read_idx(file, np.dtype(np.uint8), 1).astype(np.int64)
    labels -= published.first_label
    last = len(published.classes) - 1
    wrong = labels[(labels < 0) | (labels > last)]
    if len(wrong):
        first = published.first_label
        raise damaged(file, f"a label {wrong[0] + first}", f"{first} to {last + first}")
    return labels


def _open_folder(name: str, reader: Reader) -> DataSet:
    root = Path(name).absolute()
    if not root.is_dir():
        raise DataError(
            f"no data set {name!r}: expected auto, {', '.join(NAMES)}, or a folder with one subfolder "
            "of images a class"
        )
    classes, files = find_labelled(root)
    return DataSet(
        name=str(root),
        classes=classes,
        reader=reader,
        size=lambda split: len(files[split]),
        read=lambda split, samples: read_labelled(files[split][:samples], reader),
    )


def open_or_fall_back(
    name: str,
    data_dir: Path,
    reader: Reader | None,
    report: Report | None,
    warn: Callable[[str], None],
) -> DataSet:
    """Like `open_data_set`; but `auto` is MNIST where it can be had, else strokes, with a warning."""
    if name != "auto":
        return open_data_set(name, data_dir, reader, report)
    try:
        return open_data_set("mnist", data_dir, reader, report)
    except DataUnavailableError as error:
        warn(f"{error}. Training on strokes instead: digits that birnn draws itself")
        return open_data_set("strokes", data_dir)
