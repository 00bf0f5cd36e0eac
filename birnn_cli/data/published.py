"""MNIST and its published relatives: their classes, and their files in torchvision's layout.

The files are read and checked here, so that a data set on disk needs no torch.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from birnn_cli.data.folders import Split
from birnn_cli.data.idx import damaged, read_idx
from birnn_cli.errors import DataError
from birnn_cli.reader import Reader
from birnn_cli.reader.normalise import SIDE

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]

# Images in the validation split: the first ones of the published training images.
NUM_VALIDATION = 5000


@dataclass(frozen=True)
class PublishedSet:
    """A data set in torchvision's layout: <data_dir>/<folder>/raw/<its four files>.

    Attributes:
        folder: The name of torchvision's folder for it, and of its class.
        images: File names of the images, for training and for the test.
        labels: File names of the labels, likewise.
        classes: The labels' names.
        reader: How a user's picture becomes one of its images.
        first_label: The number that stands for the first class (EMNIST counts its letters from 1).
        transposed: Whether rows and columns are exchanged in the file (EMNIST).
    """

    folder: str
    images: tuple[str, str]
    labels: tuple[str, str]
    classes: tuple[str, ...]
    reader: Reader
    first_label: int = 0
    transposed: bool = False

    def files(self, data_dir: Path) -> list[Path]:
        """Where its four files belong."""
        return [data_dir / self.folder / "raw" / name for name in (*self.images, *self.labels)]

    def image_file(self, data_dir: Path, split: Split) -> Path:
        """The file with the images of a split; training and validation share one."""
        return data_dir / self.folder / "raw" / self.images[split == "test"]

    def label_file(self, data_dir: Path, split: Split) -> Path:
        """The file with the labels of a split; training and validation share one."""
        return data_dir / self.folder / "raw" / self.labels[split == "test"]

    def size(self, data_dir: Path, split: Split) -> int:
        """How many images a split holds.

        Raises:
            DataError: The images' file is damaged, or has no more training images than validation takes.
        """
        file = self.image_file(data_dir, split)
        total = len(_read_images(file))
        if split == "test":
            return total
        if total <= NUM_VALIDATION:
            raise DataError(
                f"{file} holds {total:,} images, expected more than {NUM_VALIDATION:,}: the first "
                f"{NUM_VALIDATION:,} are for validation"
            )
        return NUM_VALIDATION if split == "validation" else total - NUM_VALIDATION

    def read(self, data_dir: Path, split: Split, samples: int) -> tuple[Images, Labels]:
        """The first `samples` images of a split, (n, 28, 28) uint8, and their labels, (n,) int64.

        Raises:
            DataError: A file is damaged.
        """
        images = _read_images(self.image_file(data_dir, split))
        label_file = self.label_file(data_dir, split)
        labels = self._read_labels(label_file)
        if len(images) != len(labels):
            raise damaged(label_file, f"{len(labels):,} labels", f"{len(images):,} images")
        start = NUM_VALIDATION if split == "train" else 0
        images = images[start : start + samples]
        if self.transposed:
            images = images.transpose(0, 2, 1)
        return np.array(images, order="C"), labels[start : start + samples]

    def _read_labels(self, file: Path) -> Labels:
        """All labels of a file, counted from 0: (n,) int64."""
        if file.name.endswith("idx2-int"):  # QMNIST has eight numbers an image, the class first
            labels = read_idx(file, np.dtype(">i4"), 2)[:, 0].astype(np.int64)
        else:
            labels = read_idx(file, np.dtype(np.uint8), 1).astype(np.int64)
        labels -= self.first_label
        last = len(self.classes) - 1
        wrong = labels[(labels < 0) | (labels > last)]
        if len(wrong):
            first = self.first_label
            raise damaged(file, f"a label {wrong[0] + first}", f"{first} to {last + first}")
        return labels


def _read_images(file: Path) -> Images:
    """All images of a file, mapped into memory: (n, 28, 28) uint8."""
    images = read_idx(file, np.dtype(np.uint8), 3)
    if images.shape[1:] != (SIDE, SIDE):
        found = " by ".join(map(str, images.shape[1:]))
        raise damaged(file, f"images of {found} pixels", f"{SIDE} by {SIDE}")
    return images


def _train_and_test(pattern: str, test: str = "test") -> tuple[str, str]:
    """File names for training and for the test; `{}` in the pattern is the split's name."""
    return pattern.format("train"), pattern.format(test)


_DIGITS = tuple("0123456789")
_LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
_CLOTHES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

_MNIST_IMAGES = _train_and_test("{}-images-idx3-ubyte", test="t10k")
_MNIST_LABELS = _train_and_test("{}-labels-idx1-ubyte", test="t10k")

# Every published data set, by its name on the command line.
PUBLISHED = {
    "mnist": PublishedSet("MNIST", _MNIST_IMAGES, _MNIST_LABELS, _DIGITS, "digit"),
    "fashion-mnist": PublishedSet("FashionMNIST", _MNIST_IMAGES, _MNIST_LABELS, _CLOTHES, "plain"),
    "kmnist": PublishedSet("KMNIST", _MNIST_IMAGES, _MNIST_LABELS, _KANA, "plain"),
    "qmnist": PublishedSet(
        "QMNIST",
        _train_and_test("qmnist-{}-images-idx3-ubyte"),
        _train_and_test("qmnist-{}-labels-idx2-int"),
        _DIGITS,
        "digit",
    ),
    "emnist-digits": PublishedSet(
        "EMNIST",
        _train_and_test("emnist-digits-{}-images-idx3-ubyte"),
        _train_and_test("emnist-digits-{}-labels-idx1-ubyte"),
        _DIGITS,
        "digit",
        transposed=True,
    ),
    "emnist-letters": PublishedSet(
        "EMNIST",
        _train_and_test("emnist-letters-{}-images-idx3-ubyte"),
        _train_and_test("emnist-letters-{}-labels-idx1-ubyte"),
        _LETTERS,
        "digit",
        first_label=1,
        transposed=True,
    ),
}
