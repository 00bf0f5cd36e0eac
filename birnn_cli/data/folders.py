"""A folder with one subfolder of images a class: its classes, its splits, its pictures."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from birnn_cli.errors import DataError, ImageError
from birnn_cli.reader import Reader, read
from birnn_cli.reader.decode import find_images

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

# Of a folder's images, the share held out for validation, and as much again for the test.
HELD_OUT_FRACTION = 0.1


def find_labelled(root: Path) -> tuple[tuple[str, ...], dict[Split, list[tuple[Path, int]]]]:
    """Find the images of a folder, and what is to be done with each.

    A subfolder `validation` or `test` holds that split, with subfolders of its own; without one, a
    hash of its relative path puts an image there. So adding or removing images never moves another.

    Args:
        root: The folder.

    Returns:
        The classes, sorted by name, and for each split its files with their labels.

    Raises:
        DataError: There are no two classes, or one that nothing could learn.
    """
    own: set[Split] = {split for split in SPLITS[1:] if (root / split).is_dir()}
    train = root / "train" if own and (root / "train").is_dir() else root
    classes = tuple(sorted(path.name for path in _folders(train) if path.name not in own))
    if len(classes) < 2:
        raise DataError(
            f"{root} holds {len(classes)} subfolders of images, expected one a class, two or more"
        )
    files: dict[Split, list[tuple[Path, int]]] = {split: [] for split in SPLITS}
    for label, class_name in enumerate(classes):
        for path in map(Path, find_images(str(train / class_name))):
            files[_split_of(path.relative_to(train), own)].append((path, label))
    for split in own:
        for folder in _folders(root / split):
            if folder.name not in classes:
                raise DataError(f"{folder} is a class without training images in {train}")
            label = classes.index(folder.name)
            files[split] += [(Path(path), label) for path in find_images(str(folder))]
    return classes, files


def read_labelled(
    files: list[tuple[Path, int]], reader: Reader
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read images and their labels: (n, 28, 28) uint8 and (n,) int64; n is 1 or more.

    Raises:
        DataError: One cannot be read, or holds no ink.
    """
    pictures = np.stack([_read_picture(path, reader) for path, _ in files])
    return pictures, np.array([label for _, label in files], np.int64)


def _folders(root: Path) -> Iterator[Path]:
    return (path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _split_of(path: Path, own: set[Split]) -> Split:
    """Where a relative path belongs, by its hash alone."""
    digest = hashlib.sha256(os.fsencode(path.as_posix())).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    split: Split = "train"
    if share < HELD_OUT_FRACTION:
        split = "test"
    elif share < 2 * HELD_OUT_FRACTION:
        split = "validation"
    return "train" if split in own else split


def _read_picture(path: Path, reader: Reader) -> NDArray[np.uint8]:
    try:
        pixels = read.read(path.read_bytes(), reader)
    except (ImageError, OSError) as error:
        raise DataError(f"{path}: {error}; mend it or move it away") from None
    if pixels is None:
        raise DataError(f"{path} holds no ink; mend it, move it away, or take --reader plain")
    return pixels
