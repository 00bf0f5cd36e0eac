"""A folder of labelled images, one subfolder a class: find its classes and splits, read its images."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from birnn_cli.errors import DataError, ImageError
from birnn_cli.reader import Reader
from birnn_cli.reader.decode import find_images, is_system_name
from birnn_cli.reader.read import read_stages

Split = Literal["train", "validation", "test", "all"]  # `all`: every image, for a folder alone
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
# The names, in lower case, that people give to the folders of the splits.
SPLIT_NAMES: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}

# Fractions of a folder's images that become these splits, where it has no folders of these names.
TEST_FRACTION = 0.1
VALIDATION_FRACTION = 0.1
NAMED_FILES = 10  # files that a message names; of more, it says how many there are


class LabelledFile(NamedTuple):
    """An image's file."""

    path: Path
    label: int
    position: float  # a hash of its path below the folder of classes, uniform in 0 to 1


@dataclass(frozen=True)
class LabelledFolder:
    """What a folder of labelled images holds."""

    root: Path
    classes: tuple[str, ...]  # sorted by name
    files: dict[Split, list[LabelledFile]]  # of SPLITS, class by class, sorted by path
    own_splits: frozenset[Split]  # those that have a folder of their own
    left_out: tuple[str, ...]  # a line for each kind of thing that is not read

    def split(self, split: Split, *, mixed: bool = False) -> list[LabelledFile]:
        """The files of a split, class by class, or `mixed` in the order of their hashes."""
        files = self.files[split] if split != "all" else [file for s in SPLITS for file in self.files[s]]
        return sorted(files, key=lambda file: (file.position, file.path)) if mixed else files

    def without_images(self, split: Split) -> list[str]:
        """The classes of which a split holds no image."""
        found = {file.label for file in self.split(split)}
        return [name for label, name in enumerate(self.classes) if label not in found]

    def check_for_training(self) -> None:
        """Raise a DataError where a network cannot learn all classes."""
        if len(self.classes) < 2:
            raise DataError(
                f"{self.root} holds 1 class, {self.classes[0]}, expected two or more: put the images of "
                "each class into a subfolder of its own"
            )
        if lacking := self.without_images("train"):
            raise DataError(
                f"{self.root} holds no training images of {_named(lacking, 'class', 'classes')}, "
                "expected some of each class: add some, or move the empty folder away"
            )


def find_labelled(root: Path) -> LabelledFolder:
    """Find a folder's classes, and the images of each split with their labels.

    A subfolder with a name of SPLIT_NAMES that holds folders is that split, one that holds images is a
    class. Where a split has no folder, a hash of an image's path below the folder of its class
    folders decides, so that adding or removing images never moves another.
    """
    passed_over: list[str] = []
    found = _subfolders(root, passed_over)
    splits: dict[Split, Path] = {}
    for folder in found:
        split = SPLIT_NAMES.get(folder.name.lower())
        if split is None or not _holds_classes(folder):
            continue
        if split in splits:
            raise DataError(
                f"{root} holds {splits[split].name} and {folder.name}, expected one folder of {split} "
                "images: put their images into one of them"
            )
        splits[split] = folder
    beside = [folder for folder in found if folder not in splits.values()]
    if "train" in splits and beside:
        raise DataError(
            f"{root} holds {_named([folder.name for folder in beside], 'class', 'classes')} beside "
            f"{splits['train'].name}: put each class folder into the folder of a split, or move it away"
        )
    class_folders = [
        (split, each) for split in splits for each in _subfolders(splits[split], passed_over)
    ]
    class_folders += [("train", folder) for folder in beside]
    classes = tuple(sorted({folder.name for _, folder in class_folders}))
    if not classes:
        raise DataError(
            f"{root} holds no subfolders of images, expected two or more: put the images of each class "
            "into a subfolder of its own" + "".join(f"; {line}" for line in _left_out(root, passed_over))
        )
    files: dict[Split, list[LabelledFile]] = {split: [] for split in SPLITS}
    for split, folder in sorted(class_folders, key=lambda each: each[1].name):
        for path in map(Path, find_images(str(folder), passed_over.append)):
            position = _hash(path.relative_to(folder.parent))
            target = _split_by_hash(position, splits) if split == "train" else split
            files[target].append(LabelledFile(path, classes.index(folder.name), position))
    return LabelledFolder(root, classes, files, frozenset(splits), _left_out(root, passed_over))


def read_labelled(
    files: Sequence[LabelledFile], reader: Reader, also_checked: Sequence[LabelledFile] = ()
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]:
    """Read images, other readings of them, and their labels: twice (n, 28, 28) uint8, and (n,) int64.

    An image that can be read in one way alone is its own other reading; n is 1 or more.

    Damaged files and those without ink are all named in one DataError, with those of `also_checked`,
    which are read only then.
    """
    unreadable: list[str] = []
    blank: list[str] = []
    reason = ""
    images: list[NDArray[np.uint8]] = []
    others: list[NDArray[np.uint8]] = []

    def read(file: LabelledFile) -> None:
        nonlocal reason
        try:
            stages = read_stages(file.path.read_bytes(), reader)
        except (ImageError, OSError) as error:
            reason = reason or str(error)
            unreadable.append(str(file.path))
        else:
            if stages.pixels is None:
                blank.append(str(file.path))
            else:
                images.append(stages.pixels)
                other = None if stages.second is None else stages.second.pixels
                others.append(stages.pixels if other is None else other)

    for file in files:
        read(file)
    if not (unreadable or blank):
        labels = np.array([file.label for file in files], np.int64)
        return np.stack(images), np.stack(others), labels
    for file in also_checked:
        read(file)
    faults = [f"{_named(unreadable, 'image')} cannot be read, the first since {reason}"] * bool(
        unreadable
    )
    if blank:
        faults.append(f"{_named(blank, 'image')} without ink, expected a digit in each")
    raise DataError(
        f"{'; '.join(faults)}; put good files in their place, or move them away"
        + (" (or train with --reader plain)" if blank else "")
    )


def _named(names: Sequence[str], singular: str, plural: str = "") -> str:
    """How many there are, and their names: `2 images (a.png, b.png)`."""
    more = f" and {len(names) - NAMED_FILES:,} more" if len(names) > NAMED_FILES else ""
    kind = singular if len(names) == 1 else plural or f"{singular}s"
    return f"{len(names):,} {kind} ({', '.join(names[:NAMED_FILES])}{more})"


def _left_out(root: Path, passed_over: Iterable[str]) -> tuple[str, ...]:
    """What is not read, of each kind in a line: linked folders, and files by their endings."""
    linked, endings = [], Counter[str]()
    for path in passed_over:
        if os.path.isdir(path):  # noqa: PTH112
            linked.append(path)
        else:
            endings[Path(path).suffix.lower() or "no ending"] += 1
    lines = []
    if linked:
        links = _named(linked, "linked folder")
        lines.append(f"{links} left out: links are not followed, so name or copy what they point to")
    if endings:
        kinds = ", ".join(f"{count:,} of {ending}" for ending, count in sorted(endings.items()))
        lines.append(f"files of other kinds left out in {root}: {kinds}")
    return tuple(lines)


def _subfolders(root: Path, passed_over: list[str]) -> list[Path]:
    """The folders in a folder, sorted by name; linked ones are added to `passed_over` instead."""
    try:
        found = sorted(
            path for path in root.iterdir() if path.is_dir() and not is_system_name(path.name)
        )
    except OSError as error:
        raise DataError(f"{root} cannot be listed: {error.strerror}") from None
    passed_over += [str(path) for path in found if path.is_symlink()]
    return [path for path in found if not path.is_symlink()]


def _holds_classes(folder: Path) -> bool:
    """Whether a folder with a split's name is the split: it holds folders, or nothing at all."""
    if _subfolders(folder, []):
        return True
    return next(find_images(str(folder)), None) is None


def _hash(path: Path) -> float:
    """A number in 0 to 1 from a relative path, uniform over paths."""
    digest = hashlib.sha256(os.fsencode(path.as_posix())).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _split_by_hash(position: float, own: Iterable[Split]) -> Split:
    """The split that a hash gives to an image; `train` if that split has a folder of its own."""
    split: Split = "train"
    if position < TEST_FRACTION:
        split = "test"
    elif position < TEST_FRACTION + VALIDATION_FRACTION:
        split = "validation"
    return "train" if split in own else split
