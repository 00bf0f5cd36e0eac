"""MNIST and its published relatives: their classes, and their IDX files in torchvision's layout.

The files are read and checked here, so that a data set on disk needs no torch.
"""

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from birnn_cli.data.folders import Split
from birnn_cli.errors import DataError
from birnn_cli.reader import Reader
from birnn_cli.reader.normalise import SIDE
from birnn_cli.text import printable

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

NUM_VALIDATION = 5000  # images in the validation split: the first ones of the published training images


@dataclass(frozen=True)
class PublishedSet:
    """A data set in torchvision's layout: <data_dir>/<folder>/raw/<its four files>."""

    folder: str  # torchvision's name for the folder, and for the class that downloads it
    classes: tuple[str, ...]
    reader: Reader  # how a user's picture becomes one of its images
    title: str  # its name in prose
    prefix: str = ""  # of its files' names, since EMNIST has several sets in one folder
    first_label: int = 0  # the first class's number in the files: EMNIST counts its letters from 1

    def folders(self, data_dir: Path) -> list[Path]:
        """The folders in which its files are looked for: torchvision's, then `data_dir` itself.

        Fashion-MNIST and KMNIST took over the names of MNIST's files: only a folder tells them apart.
        """
        raw = data_dir / self.folder / "raw"
        return [raw] if self.folder in ("FashionMNIST", "KMNIST") else [raw, data_dir]

    def files(self, data_dir: Path) -> list[Path]:
        """Its four files: the images for training and for the test, then the labels likewise.

        They may be packed (.gz), and have a dot before `idx`, as some archives name them. They are those
        of the first folder that holds one; one that is missing has its usual name there.
        """
        labels = "labels-idx2-int" if self.folder == "QMNIST" else "labels-idx1-ubyte"
        names = [
            f"{self.prefix}{split}-{content}"
            for content in ("images-idx3-ubyte", labels)
            for split in ("train", "test" if self.prefix else "t10k")
        ]
        folders = self.folders(data_dir)
        for folder in folders:
            files = [_find_file(folder, name) for name in names]
            if any(file.exists() for file in files):
                return files
        return [folders[0] / name for name in names]

    def read(self, data_dir: Path, split: Split) -> tuple[Images, Labels]:
        """All images of a split, (n, 28, 28) uint8, mapped into memory, and their labels, (n,) int64."""
        images_file, labels_file = self.files(data_dir)[1 if split == "test" else 0 :: 2]
        images, labels = read_idx(images_file, np.dtype(np.uint8), 3), self._read_labels(labels_file)
        if images.shape[1:] != (SIDE, SIDE):
            found = " by ".join(map(str, images.shape[1:]))
            raise _damaged(images_file, f"images of {found} pixels", f"{SIDE} by {SIDE}")
        if len(images) != len(labels):
            raise _damaged(labels_file, f"{len(labels):,} labels", f"{len(images):,} images")
        if self.folder == "EMNIST":  # its files have rows and columns exchanged
            images = images.transpose(0, 2, 1)
        if split == "test":
            return images, labels
        if len(images) <= NUM_VALIDATION:
            raise DataError(
                f"{images_file} holds {len(images):,} images, expected more than {NUM_VALIDATION:,}: "
                f"the first {NUM_VALIDATION:,} are for validation"
            )
        if split == "validation":
            return images[:NUM_VALIDATION], labels[:NUM_VALIDATION]
        return images[NUM_VALIDATION:], labels[NUM_VALIDATION:]

    def _read_labels(self, file: Path) -> Labels:
        """All labels of a file, counted from 0: (n,) int64."""
        if self.folder == "QMNIST":  # it has eight numbers an image, the class first
            numbers = read_idx(file, np.dtype(">i4"), 2)[:, 0]
        else:
            numbers = read_idx(file, np.dtype(np.uint8), 1)
        first, last = self.first_label, self.first_label + len(self.classes) - 1
        wrong = numbers[(numbers < first) | (numbers > last)]
        if len(wrong):
            raise _damaged(file, f"a label {wrong[0]}", f"{first} to {last}")
        return numbers.astype(np.int64) - first


def _find_file(folder: Path, name: str) -> Path:
    """The file of that name, or of another that it goes by; as it is where there is none."""
    dotted = name.replace("-idx", ".idx")
    names = (name, dotted, f"{name}.gz", f"{dotted}.gz")
    return next((folder / each for each in names if (folder / each).is_file()), folder / name)


def read_idx(file: Path, dtype: np.dtype[Any], dimensions: int) -> NDArray[Any]:
    """Map the array in an IDX file into memory: a magic number, sizes, then values, all big-endian.

    A packed file (gzip) is known by its first bytes, whatever its name is, and unpacked in memory.
    The values are uint8 or big-endian int32 (`>i4`). Another file raises a DataError.
    Source: "FILE FORMATS FOR THE MNIST DATABASE" on LeCun's MNIST page.
    """
    magic = {1: 0x0800, 4: 0x0C00}[dtype.itemsize] + dimensions
    header_size = 4 * (1 + dimensions)  # the magic number and a size for each dimension, in bytes
    try:
        content = np.memmap(file, np.uint8, mode="r") if file.stat().st_size else np.empty(0, np.uint8)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from None
    if content[:2].tobytes() == b"\x1f\x8b":
        try:
            content = np.frombuffer(gzip.decompress(content.tobytes()), np.uint8)
        except (OSError, EOFError, zlib.error) as error:
            raise _damaged(file, f"packed data that cannot be unpacked ({error})", "gzip") from None
    if len(content) < header_size:
        raise _damaged(file, f"{len(content)} bytes", f"a header of {header_size}")
    found_magic, *shape = content[:header_size].view(">u4").tolist()
    if found_magic != magic:
        raise _damaged(file, f"the magic number 0x{found_magic:08x}", f"0x{magic:08x}")
    # Python's integers cannot overflow, whatever sizes a damaged header claims.
    expected = header_size + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise _damaged(file, f"{len(content):,} bytes", f"{expected:,} for sizes {shape}")
    return content[header_size:].view(dtype).reshape(shape)


def _damaged(file: Path, found: str, expected: str) -> DataError:
    """The error for a file that does not follow its format, or does not fit its data set."""
    return DataError(
        f"{file} is damaged: found {found}, expected {expected}; put the published file in its "
        f"place, or move {file.parent} away and birnn downloads the whole set"
    )


_DIGITS = tuple("0123456789")
_CLOTHES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")

PUBLISHED = {  # every published data set, by its name on the command line
    "mnist": PublishedSet("MNIST", _DIGITS, "digit", "MNIST"),
    "fashion-mnist": PublishedSet("FashionMNIST", _CLOTHES, "plain", "Fashion-MNIST"),
    "kmnist": PublishedSet("KMNIST", _KANA, "plain", "KMNIST"),
    "qmnist": PublishedSet("QMNIST", _DIGITS, "digit", "QMNIST", "qmnist-"),
    "emnist-digits": PublishedSet("EMNIST", _DIGITS, "digit", "EMNIST digits", "emnist-digits-"),
    "emnist-letters": PublishedSet(
        "EMNIST", _LETTERS, "digit", "EMNIST letters", "emnist-letters-", first_label=1
    ),
}


def title(dataset: str) -> str:
    """A data set's name in prose; of a folder its name alone, since where it lies is private."""
    return PUBLISHED[dataset].title if dataset in PUBLISHED else printable(Path(dataset).name)
