"""A folder of labelled images, one subfolder a class: find its classes and splits, read its images."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from birnn_cli.errors import DataError, ImageError
from birnn_cli.reader import Reader
from birnn_cli.reader.decode import find_images
from birnn_cli.reader.read import read_pixels

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

# Fractions of a folder's images that become these splits, where it has no folders of these names.
TEST_FRACTION = 0.1
VALIDATION_FRACTION = 0.1


def find_labelled(root: Path) -> tuple[tuple[str, ...], dict[Split, list[tuple[Path, int]]]]:
    """Find a folder's classes, sorted by name, and the images of each split with their labels.

    A subfolder `validation` or `test` holds that split, in class folders of its own. Without one, a hash
    of an image's relative path decides, so that adding or removing images never moves another.
    """
    with_own_folder: set[Split] = {split for split in SPLITS[1:] if (root / split).is_dir()}
    train = root / "train" if with_own_folder and (root / "train").is_dir() else root
    classes = tuple(sorted(path.name for path in _subfolders(train) if path.name not in with_own_folder))
    if len(classes) < 2:
        raise DataError(
            f"{root} holds {len(classes)} subfolders of images, expected two or more: put the images of "
            "each class into a subfolder of its own"
        )
    files: dict[Split, list[tuple[Path, int]]] = {split: [] for split in SPLITS}
    for label, class_name in enumerate(classes):
        for path in map(Path, find_images(str(train / class_name))):
            files[_split_by_hash(path.relative_to(train), with_own_folder)].append((path, label))
    for split in with_own_folder:
        for folder in _subfolders(root / split):
            if folder.name not in classes:
                raise DataError(
                    f"{folder} is a class without training images in {train}: add some, or move it away"
                )
            label = classes.index(folder.name)
            files[split] += [(Path(path), label) for path in find_images(str(folder))]
    return classes, files


def read_labelled(
    files: list[tuple[Path, int]], reader: Reader
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read images and their labels: (n, 28, 28) uint8 and (n,) int64; n is 1 or more."""
    images = np.stack([_read_image(path, reader) for path, _ in files])
    return images, np.array([label for _, label in files], np.int64)


def _subfolders(root: Path) -> Iterator[Path]:
    return (path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _split_by_hash(path: Path, with_own_folder: set[Split]) -> Split:
    """The split that the hash of an image's relative path gives; `train` if that split has a folder."""
    digest = hashlib.sha256(os.fsencode(path.as_posix())).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64  # uniform in 0 to 1
    split: Split = "train"
    if position < TEST_FRACTION:
        split = "test"
    elif position < TEST_FRACTION + VALIDATION_FRACTION:
        split = "validation"
    return "train" if split in with_own_folder else split


def _read_image(path: Path, reader: Reader) -> NDArray[np.uint8]:
    try:
        pixels = read_pixels(path.read_bytes(), reader)
    except (ImageError, OSError) as error:
        raise DataError(f"{path}: {error}; put a good file in its place, or move it away") from None
    if pixels is None:
        raise DataError(
            f"{path} holds no ink, expected a digit: replace it, move it away, or add --reader plain"
        )
    return pixels
