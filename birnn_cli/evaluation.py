"""How good a network is: accuracy and its interval, loss, calibration and confusion."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from birnn_cli.data.datasets import DataSet
from birnn_cli.data.folders import Split
from birnn_cli.digits import class_probabilities, read_surest
from birnn_cli.errors import DataError
from birnn_cli.network import numpy_engine
from birnn_cli.network.rows import to_rows
from birnn_cli.runs.checkpoint import Checkpoint
from birnn_cli.text import percent

# The standard normal distribution's 97.5 % quantile, for a two-sided 95 % interval.
Z95 = 1.959963984540054
CALIBRATION_BINS = 15


@dataclass(frozen=True)
class ClassScore:
    """How well one class is recognised; `accuracy` is None if there is no image of it."""

    label: str
    n: int
    correct: int
    accuracy: float | None


@dataclass(frozen=True, repr=False)
class Evaluation:
    """How well a network recognises labelled images.

    Of `n` images, `correct` are recognised: the largest logit is that of the true label. `accuracy` is
    correct / n, `ci95` Wilson's 95 % interval of it, (low, high), and `ece` the expected calibration
    error, all in 0 to 1. `loss` is the mean cross-entropy, in nats per image. `per_class` has one score
    a class, in the order of the logits. `confusion` counts images, a row for each true label, a column
    for each predicted one.
    """

    n: int
    correct: int
    accuracy: float
    ci95: tuple[float, float]
    loss: float
    ece: float
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]

    def __repr__(self) -> str:
        low, high = self.ci95
        return (
            f"<Evaluation: accuracy {percent(self.accuracy, 2)} on {self.n:,} images "
            f"(95 % interval {percent(low, 2)} to {percent(high, 2)})>"
        )


@dataclass(frozen=True)
class LabelledLogits:
    """Labelled images, and a network's logits for them."""

    images: NDArray[np.uint8]  # (n, 28, 28); n is 1 or more
    labels: NDArray[np.int64]  # (n,), in [0, len(classes))
    logits: NDArray[np.float32]  # (n, len(classes))
    classes: tuple[str, ...]  # the labels' names


def evaluate(
    checkpoint: Checkpoint, data: DataSet, split: Split, samples: int | None = None
) -> Evaluation:
    """Score a network on the first images of a split. Arguments and errors: see `read_images`."""
    read = read_images(checkpoint, data, split, samples)
    return score(read.logits, read.labels, read.classes)


def read_images(
    checkpoint: Checkpoint,
    data: DataSet,
    split: Split,
    samples: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LabelledLogits:
    """The first `samples` images of a split (None: all), with their labels and a network's logits.

    Those of a folder come in an order that mixes its classes, the same every time. A data set may lack
    some of the network's classes.

    Raises:
        DataError: The data set has a class that the network has not, or fewer images than `samples`.
    """
    config = checkpoint.config
    empty = data.folder.without_images("all") if data.folder else []
    if set(data.classes).difference(config.classes, empty):
        raise DataError(
            f"{data.name} has the classes {' '.join(data.classes)}, and the network was trained on "
            f"{config.dataset} with {' '.join(config.classes)}: take another --dataset or --checkpoint"
        )
    images, labels = data.load(split, samples, mixed=True)
    numbers = {name: number for number, name in enumerate(config.classes)}
    labels = np.array([numbers.get(name, -1) for name in data.classes])[labels]  # -1 is of no image
    seconds = None if data.second_readings is None else data.second_readings(split, len(images))
    images = images if seconds is None else images.copy()
    classify = partial(class_probabilities, checkpoint)
    logits = np.empty((len(images), len(config.classes)), np.float32)
    for start in range(0, len(images), numpy_engine.BATCH_SIZE):
        batch = slice(start, start + numpy_engine.BATCH_SIZE)
        if seconds is None:
            rows = to_rows(images[batch])
            logits[batch] = numpy_engine.logits(config.architecture, checkpoint.weights, rows)
        else:  # as `predict` reads them
            pairs = zip(images[batch], seconds[batch], strict=True)
            ways = [[one] if np.array_equal(one, other) else [one, other] for one, other in pairs]
            surest = read_surest(ways, classify)
            images[batch] = [each[way] for each, (way, _) in zip(ways, surest, strict=True)]
            probabilities = np.stack([each for _, each in surest])
            logits[batch] = np.log(probabilities.clip(np.finfo(np.float32).tiny))
        if progress is not None:
            progress(min(batch.stop, len(images)), len(images))
    return LabelledLogits(images, labels, logits, config.classes)


def score(
    logits: NDArray[np.float32], labels: NDArray[np.int64], classes: tuple[str, ...]
) -> Evaluation:
    """Compare logits (n, classes) with labels (n,) in [0, len(classes)); n is 1 or more."""
    predicted = logits.argmax(axis=1)
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    n, correct = len(labels), int(confusion.trace())
    log_likelihoods = numpy_engine.log_probabilities(logits)[np.arange(n), labels]
    confidence = numpy_engine.probabilities(logits).max(axis=1)
    totals, rights = confusion.sum(axis=1).tolist(), confusion.diagonal().tolist()
    return Evaluation(
        n=n,
        correct=correct,
        accuracy=correct / n,
        ci95=wilson_interval(correct, n),
        loss=float(-log_likelihoods.mean()),
        ece=calibration_error(confidence, predicted == labels),
        per_class=tuple(
            ClassScore(name, total, right, right / total if total else None)
            for name, total, right in zip(classes, totals, rights, strict=True)
        ),
        confusion=tuple(map(tuple, confusion.tolist())),
    )


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """The 95 % interval of an accuracy, (low, high) in [0, 1]: `correct` of `n`, 1 or more, are right.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    accuracy, z2n = correct / n, Z95**2 / n
    centre = (accuracy + z2n / 2) / (1 + z2n)
    half = Z95 / (1 + z2n) * (accuracy * (1 - accuracy) / n + z2n / (4 * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def calibration_error(confidence: NDArray[np.float32], correct: NDArray[np.bool_]) -> float:
    """The expected calibration error over 15 bins of equal width, in 0 to 1.

    For each bin, take the distance between its mean confidence and its accuracy. The error is the mean
    of these distances, weighted by the number of images in each bin.
    `confidence` (n,) has the probability of each predicted label, `correct` (n,) whether it is right.
    Source: Naeini, Cooper and Hauskrecht (2015); Guo and others (2017), section 2.
    """
    gaps: NDArray[np.float64] = correct - confidence.astype(np.float64)
    sums = np.bincount(calibration_bins(confidence), gaps, CALIBRATION_BINS)
    return float(np.abs(sums).sum() / len(confidence))


def calibration_bins(confidence: NDArray[np.float32]) -> NDArray[np.int64]:
    """The number of each confidence's bin, shape (n,), from 0.

    A bin holds its upper edge and not its lower one, so that a confidence of 1 is in the last.
    """
    bins = np.ceil(confidence.astype(np.float64) * CALIBRATION_BINS).astype(np.int64) - 1
    return bins.clip(0, CALIBRATION_BINS - 1)
