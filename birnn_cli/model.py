"""A network to use from Python: load it, and have it predict, score and explain. No torch."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, overload

from birnn_cli.data import DEFAULT_SAMPLES
from birnn_cli.data.folders import Split
from birnn_cli.errors import ConfigError, ImageError
from birnn_cli.prediction import Options, Prediction, predict
from birnn_cli.reader.inputs import InMemory, Source, find_pictures, grey_levels, is_in_memory
from birnn_cli.reader.light import Invert
from birnn_cli.runs import checkpoint, folders
from birnn_cli.runs.checkpoint import Checkpoint, CheckpointMetadata
from birnn_cli.text import percent

if TYPE_CHECKING:
    from birnn_cli.evaluation import Evaluation
    from birnn_cli.explanation import Explanation
    from birnn_cli.network.torch_engine import BiRNN

FilePath = str | os.PathLike[str]
Picture = FilePath | InMemory


def load(path: FilePath | None = None) -> "Model":
    """Load a network from a checkpoint file or a run folder; by default the one that ships with birnn.

    Raises:
        CheckpointError: It is not there, or damaged.
        ConfigError: It is no path.
    """
    if not isinstance(path, str | os.PathLike | None):
        raise ConfigError(f"path is {path!r}, expected that of a checkpoint file or a run folder")
    file = folders.SHIPPED if path is None else folders.checkpoint_path(Path(path))
    return Model(file, checkpoint.load(file))


class Model:
    """A trained network, made by `birnn.load`. Any thread may use it; it prints nothing.

    `path` is the checkpoint file that it was loaded from, `classes` are the labels that it tells apart;
    `metadata` says how it was trained, on what, and its scores on the validation images.
    """

    def __init__(self, path: Path, checkpoint: Checkpoint) -> None:
        self.path, self._checkpoint = path, checkpoint
        self.classes: tuple[str, ...] = checkpoint.config.classes
        self.metadata: CheckpointMetadata = checkpoint.metadata

    def __repr__(self) -> str:
        dataset, scores = self.metadata.config.dataset, self.metadata.validation
        accuracy = f"validation accuracy {percent(scores['accuracy'], 2)}" if scores else "not validated"
        return f"<Model {self.path}: {dataset}, {' '.join(self.classes)}, {accuracy}>"

    @overload
    def predict(  # type: ignore[overload-overlap]
        self, picture: Picture, *, top_k: int = 1, invert: Invert = "auto", several: bool = False
    ) -> Prediction: ...
    @overload
    def predict(
        self,
        picture: Iterable[Picture],
        *,
        top_k: int = 1,
        invert: Invert = "auto",
        several: bool = False,
        jobs: int | None = 1,
    ) -> Iterator[Prediction]: ...
    def predict(
        self,
        picture: Picture | Iterable[Picture],
        *,
        top_k: int = 1,
        invert: Invert = "auto",
        several: bool = False,
        jobs: int | None = 1,
    ) -> Prediction | Iterator[Prediction]:
        """Read one picture, or many.

        A picture is the path of a file (PNG, JPEG, BMP, GIF, WebP, TIFF; HEIC by an extra), a PIL image,
        or a NumPy array of shape (height, width), (height, width, 3) or (height, width, 4), uint8 or
        floats in 0 to 1. One picture gives one prediction. Many, in a list or any other iterable, give
        an iterator of predictions in their order; a folder among them stands for the pictures in it and
        below. The path of a folder alone does so too, which a type checker cannot see.

        `top_k` is how many of the likeliest labels to give. `invert` is `yes` when ink is darker than
        paper, `no` when it is lighter, `auto` to find out. With `several`, several digits side by side
        are read as one number. `jobs` processes share the work of many pictures, None for one per core;
        above 1, a script must call this below `if __name__ == "__main__":`.

        Raises:
            ConfigError: An argument, or an array's shape or dtype, is not one of these.
            ImageError: The one picture cannot be read. Of many, such a one has the status `error`.
        """
        options = Options(top_k=top_k, invert=invert, several=several)
        if jobs is not None and (not isinstance(jobs, int) or jobs < 1):
            raise ConfigError(f"jobs is {jobs!r}, expected a whole number from 1, or None")
        if isinstance(picture, str | os.PathLike):
            source = Source(_file_name(picture))
            if Path(source.path).is_dir():
                return predict(self._checkpoint, _sources([picture]), options, jobs)
        elif isinstance(picture, Iterable) and not (isinstance(picture, bytes) or is_in_memory(picture)):
            return predict(self._checkpoint, _sources(picture), options, jobs)
        else:
            (source,) = _sources([picture])
            source = source._replace(content=grey_levels(source.content))
        (prediction,) = predict(self._checkpoint, [source], options)
        if prediction.error is not None:
            raise ImageError(f"{source.path}: {prediction.error[1]}")
        return prediction

    def evaluate(
        self,
        dataset: FilePath | None = None,
        *,
        samples: int | None = DEFAULT_SAMPLES,
        split: Split = "test",
        data_dir: FilePath | None = None,
    ) -> "Evaluation":
        """Score the network on the first `samples` images of a split, `test` or `validation`.

        By default those are 128 if there are so many; None stands for all. `split` may be `all`, for
        every image of a folder; those of a folder are mixed by a hash of their paths. `dataset` is the
        name of a data set, or a folder with one subfolder of images per class; by default the data set
        that the network was trained on. `data_dir` is where data sets live; by default BIRNN_DATA_DIR of
        the environment, else the user's cache folder.

        Raises:
            DataError: The data set is unknown, not there, damaged, of other classes, or too small.
            ConfigError: An argument is not one of these.
        """
        from birnn_cli import evaluation
        from birnn_cli.data import datasets

        if samples is not None and (not isinstance(samples, int) or samples < 1):
            raise ConfigError(f"samples is {samples!r}, expected a whole number from 1, or None for all")
        if split not in ("test", "validation", "all"):
            raise ConfigError(f"split is {split!r}, expected test, validation or all")
        config = self.metadata.config
        name = os.fspath(dataset or config.dataset)
        where = data_dir or datasets.default_data_dir()
        reader = None if name in datasets.NAMES else config.reader
        data = datasets.open_data_set(name, Path(where), reader)
        if samples == DEFAULT_SAMPLES:
            samples = None if split == "all" else min(samples, data.size(split))
        return evaluation.evaluate(self._checkpoint, data, split, samples)

    def explain(self, picture: Picture, *, invert: Invert = "auto") -> "Explanation":
        """Find out which rows of a picture its prediction comes from.

        Raises:
            ImageError: The picture cannot be read, or has no ink.
            ConfigError: It is no picture.
        """
        from birnn_cli import explanation

        prediction = self.predict(picture, invert=invert)
        if not isinstance(prediction, Prediction):
            raise ConfigError("explain is for one picture, found several")
        if prediction.pixels is None:
            raise ImageError(f"{prediction.source.path}: no ink, so there is nothing to explain")
        return explanation.explain(self._checkpoint, prediction.pixels)

    def to_torch(self) -> "BiRNN":
        """The network as a `torch.nn.Module` with the same weights, in evaluation mode.

        It maps rows of shape (n, 28, 28), float32 in 0 to 1, to logits of shape (n, classes).
        """
        from birnn_cli.network.torch_engine import BiRNN

        network = BiRNN(self._checkpoint.config.architecture)
        network.load_weights(self._checkpoint.weights)
        return network.eval()


def _sources(pictures: Iterable[Picture]) -> Iterator[Source]:
    """The pictures in their order, folders as the pictures in them.

    Raises:
        ConfigError: Something is neither a path nor a picture.
    """
    for picture in pictures:
        if isinstance(picture, str | os.PathLike):
            yield from find_pictures([_file_name(picture)])
        elif is_in_memory(picture):
            name = getattr(picture, "filename", "") or type(picture).__name__
            yield Source(name, content=picture)
        else:
            kind = type(picture).__name__
            raise ConfigError(f"a picture of type {kind}, expected a path, a NumPy array or a PIL image")


def _file_name(path: FilePath) -> str:
    """The path as text; `-` is a file's name here, not stdin."""
    text = os.fsdecode(path)
    return "./-" if text == "-" else text
