"""Scores: logits and labels to accuracy, its interval, loss, calibration and confusion."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from birnn_cli.data.datasets import DataSet
from birnn_cli.data.folders import Split
from birnn_cli.errors import DataError
from birnn_cli.network import numpy_engine
from birnn_cli.network.numpy_engine import probabilities
from birnn_cli.network.rows import to_rows
from birnn_cli.runs.checkpoint import Checkpoint
from birnn_cli.training.distributed import ALONE, Group

# The normal quantile of a two-sided 95 % interval.
Z95 = 1.959963984540054
CALIBRATION_BINS = 15


@dataclass(frozen=True)
class ClassScore:
    """How one class is recognised; `accuracy` is None where there is no image of it."""

    label: str
    n: int
    correct: int
    accuracy: float | None


@dataclass(frozen=True)
class Evaluation:
    """How a network does on labelled images.

    Attributes:
        n: Images.
        correct: Those whose largest logit is that of their label.
        accuracy: correct / n.
        ci95: Wilson's 95 % interval of the accuracy, [low, high].
        loss: Mean cross-entropy, nats an image.
        ece: Expected calibration error, 0 to 1.
        per_class: One score a class, in the order of the labels.
        confusion: Counts; rows are the true labels, columns the answers.
    """

    n: int
    correct: int
    accuracy: float
    ci95: tuple[float, float]
    loss: float
    ece: float
    per_class: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class LabelledLogits:
    """What a network made of labelled images.

    Attributes:
        images: Shape (n, 28, 28), uint8; n is 1 or more.
        labels: Shape (n,), int64 in [0, number of classes).
        logits: Shape (n, number of classes), float32.
        classes: The labels' names.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]
    classes: tuple[str, ...]


def evaluate(
    network: Checkpoint,
    data: DataSet,
    split: Split,
    samples: int | None,
    progress: Callable[[int, int], None],
) -> Evaluation:
    """Have a network read the first images of a split, as `read_images` does, and score it."""
    outputs = read_images(network, data, split, samples, progress)
    return score(outputs.logits, outputs.labels, outputs.classes)


def read_images(
    network: Checkpoint,
    data: DataSet,
    split: Split,
    samples: int | None,
    progress: Callable[[int, int], None],
    group: Group = ALONE,
) -> LabelledLogits:
    """Have a network read the first images of a split.

    Args:
        network: What reads.
        data: Where the images are from.
        split: Which of them.
        samples: How many; None is all.
        progress: Is told how many are done, of how many.
        group: The processes that share the images; all of them have the whole reading then.

    Raises:
        DataError: The data set's classes are not the network's, or it holds too few images.
    """
    config = network.config

    def load() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        if data.classes == config.classes:
            return data.load(split, samples)
        raise DataError(
            f"{data.name} has the classes {' '.join(data.classes)}, and the network was trained on "
            f"{config.dataset} with {' '.join(config.classes)}: take another --dataset or --checkpoint"
        )

    images, labels = group.run_on_all(load)
    own = images[group.rank :: group.size]
    logits = np.empty((len(images), len(config.classes)), np.float32)
    parts = [np.empty((0, len(config.classes)), np.float32)]
    for start in range(0, len(own), numpy_engine.BATCH_SIZE):
        rows = to_rows(own[start : start + numpy_engine.BATCH_SIZE])
        parts.append(numpy_engine.logits(config.architecture, network.weights, rows))
        progress(start + len(rows), len(own))
    for rank, share in enumerate(group.all_gather(np.concatenate(parts))):
        logits[rank :: group.size] = share
    return LabelledLogits(images, labels, logits, config.classes)


def score(
    logits: NDArray[np.float32], labels: NDArray[np.int64], classes: tuple[str, ...]
) -> Evaluation:
    """Score a network's answers.

    Args:
        logits: Shape (n, len(classes)), float32; n is 1 or more.
        labels: Shape (n,), int64 in [0, len(classes)).
        classes: The labels' names.
    """
    answers = logits.argmax(axis=1)
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (labels, answers), 1)
    n, correct = len(labels), int(confusion.trace())
    precise = logits.astype(np.float64)
    shifted = precise - precise.max(axis=1, keepdims=True)
    log_likelihoods = shifted[np.arange(n), labels] - np.log(np.exp(shifted).sum(axis=1))
    return Evaluation(
        n=n,
        correct=correct,
        accuracy=correct / n,
        ci95=wilson_interval(correct, n),
        loss=float(-log_likelihoods.mean()),
        ece=calibration_error(probabilities(logits).max(axis=1), answers == labels),
        per_class=tuple(
            ClassScore(name, int(row.sum()), int(row[k]), row[k] / row.sum() if row.any() else None)
            for k, (name, row) in enumerate(zip(classes, confusion, strict=True))
        ),
        confusion=tuple(tuple(map(int, row)) for row in confusion),
    )


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """95 % interval of a share, from `correct` of `n` (1 or more): low and high, in [0, 1].

    Source: Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    share, z2n = correct / n, Z95**2 / n
    centre = (share + z2n / 2) / (1 + z2n)
    half = Z95 / (1 + z2n) * (share * (1 - share) / n + z2n / (4 * n)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def calibration_error(confidence: NDArray[np.float32], right: NDArray[np.bool_]) -> float:
    """Expected calibration error over 15 bins of equal width.

    In each bin the distance between mean confidence and accuracy, weighted by its share of the images.
    Source: Naeini, Cooper and Hauskrecht (2015); Guo and others (2017), section 2.

    Args:
        confidence: Shape (n,), float32: the probability of each answer.
        right: Shape (n,): whether the answer is right.

    Returns:
        The error, in 0 to 1.
    """
    gaps: NDArray[np.float64] = right - confidence.astype(np.float64)
    sums = np.bincount(calibration_bins(confidence), gaps, CALIBRATION_BINS)
    return float(np.abs(sums).sum() / len(confidence))


def calibration_bins(confidence: NDArray[np.float32]) -> NDArray[np.int64]:
    """The bin of each confidence, (n,), from 0; one holds its upper edge, so that 1 is in the last."""
    bins = np.ceil(confidence.astype(np.float64) * CALIBRATION_BINS).astype(np.int64) - 1
    return bins.clip(0, CALIBRATION_BINS - 1)
