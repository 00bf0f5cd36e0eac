"""The images that a run learns from: its data set's, and what the program draws beside them."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import numpy as np

from birnn_cli.data import outliers, strokes
from birnn_cli.data.datasets import STROKES_SIZES, DataSet, default_data_dir, open_or_fall_back
from birnn_cli.data.download import ProgressCallback
from birnn_cli.data.published import PUBLISHED
from birnn_cli.errors import RunError
from birnn_cli.reader import Reader
from birnn_cli.runs.config import RunConfig
from birnn_cli.training.batches import LabelledImages

# The images to train on, and those to validate on.
Splits = tuple[LabelledImages, LabelledImages]
# How many drawings of no digit there are to mix in; a batch of `best` has 13 of them.
NUM_OUTLIERS = 30_000


@dataclass
class DataSets:
    """The data sets that a run asks for, each opened once: a folder may hold very many images."""

    data_dir: str | PathLike[str] | None
    warn: Callable[[str], None]
    on_download: ProgressCallback
    _opened: dict[str, DataSet] = field(default_factory=dict, init=False)

    def open(self, name: str, reader: Reader | None = None) -> DataSet:
        """A data set by its name; `auto` is MNIST, or drawn digits where that cannot be had."""
        if name not in self._opened:
            data_dir = Path() if self.data_dir is None else Path(self.data_dir)
            if self.data_dir is None and name in ("auto", *PUBLISHED):  # others are not kept anywhere
                data_dir = default_data_dir(self.warn)
            data = open_or_fall_back(name, data_dir, reader, self.on_download, self.warn)
            name = data.name
            self._opened[name] = data
        return self._opened[name]

    def load(self, config: RunConfig, folder: Path | None = None) -> Splits:
        """The training and the validation images of a run.

        Raises:
            RunError: The run in `folder` was begun with other images, or other classes.
        """
        is_folder = Path(config.dataset).is_absolute()
        data = self.open(config.dataset, config.reader if is_folder else None)
        if data.classes != config.classes:
            raise RunError(
                f"{folder} learns {len(config.classes)} classes, and {data.name} now has "
                f"{len(data.classes)}: put the data back as they were, or begin another run"
            )
        splits = data.load("train"), data.load("validation")
        if config.data_sha256 is not None and sha256(splits) != config.data_sha256:
            raise RunError(
                f"the images of {data.name} are not those that the run in {folder} began with: put the "
                f"data back as they were, or begin another run with --init {folder}"
            )
        return splits


def sha256(splits: Splits) -> str:
    """SHA-256 of images and labels."""
    digest = hashlib.sha256()
    for images, labels in splits:
        digest.update(len(labels).to_bytes(8, "big"))
        digest.update(np.ascontiguousarray(images).data)
        digest.update(labels.astype("<i8").data)
    return digest.hexdigest()


def drawings(config: RunConfig) -> Iterator[tuple[str, float, LabelledImages]]:
    """What the program draws for every batch, beside the data set's images."""
    if fraction := config.recipe.mix_strokes:
        images, labels = strokes.sample("train", STROKES_SIZES["train"])
        numbers = np.array([config.classes.index(name) for name in strokes.CLASSES])
        yield "strokes", fraction, (images, numbers[labels])
    if fraction := config.recipe.mix_outliers:
        labels = np.full(NUM_OUTLIERS, outliers.NO_CLASS)
        yield "outliers", fraction, (outliers.sample(NUM_OUTLIERS), labels)
