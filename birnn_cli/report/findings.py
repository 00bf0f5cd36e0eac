"""The numbers of a report: calibration bins, mistakes, training curves, disputed labels."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from birnn_cli.data.folders import Split
from birnn_cli.evaluation import CALIBRATION_BINS, Evaluation, LabelledLogits, calibration_bins, score
from birnn_cli.network.numpy_engine import probabilities
from birnn_cli.runs.checkpoint import CheckpointMetadata
from birnn_cli.runs.metrics import read_metrics
from birnn_cli.text import printable

# Test images of MNIST, counted from 0, for which fewer than three of five people chose the given label.
# Source: Cleanlab's "label errors"; Northcutt, Athalye and Mueller, "Pervasive label errors in test
# sets" (2021).
DISPUTED_MNIST_TEST = (
    *(947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558),
    *(5937, 6651, 6783, 8527, 9679, 9729),
)
# The losses and accuracies that the published notebook printed, every ten steps.
NOTEBOOK_LOG = Path(__file__).parent / "notebook_log.csv"

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class ReportInput:
    """What a report is made from.

    Attributes:
        path: The checkpoint's file; a run's `metrics.jsonl` may lie beside it.
        metadata: The checkpoint's metadata.
        dataset: The images' data set: its name, or a folder's absolute path.
        split: The split that the images are the first of.
        outputs: The images with their labels, and the network's logits.
        scores: The evaluation of these logits.
    """

    path: Path
    metadata: CheckpointMetadata
    dataset: str
    split: Split
    outputs: LabelledLogits
    scores: Evaluation

    @property
    def dataset_name(self) -> str:
        """The data set's name; a folder's own name without the path, which is private."""
        return printable(Path(self.dataset).name)

    @property
    def names(self) -> tuple[str, ...]:
        """The classes' names as they are shown."""
        return tuple(map(printable, self.outputs.classes))

    @property
    def disputed(self) -> tuple[int, ...]:
        """The numbers of the images in the split whose labels are known to be disputed."""
        return DISPUTED_MNIST_TEST if (self.dataset, self.split) == ("mnist", "test") else ()


class Bin(NamedTuple):
    """The predictions whose confidence (the probability of the predicted class) is in one interval.

    Attributes:
        low: The interval's lower end, which is not part of it, in [0, 1).
        high: Its upper end, which is part of it, in (0, 1].
        n: The number of predictions, 1 or more.
        correct: How many of them are correct.
        confidence: Their mean confidence, 0 to 1.
    """

    low: float
    high: float
    n: int
    correct: int
    confidence: float


def reliability(outputs: LabelledLogits) -> list[Bin]:
    """The bins of the calibration error, in order of confidence, without the empty ones."""
    confidence = probabilities(outputs.logits).max(axis=1)
    correct = outputs.logits.argmax(axis=1) == outputs.labels
    bins = calibration_bins(confidence)
    return [
        Bin(
            low=k / CALIBRATION_BINS,
            high=(k + 1) / CALIBRATION_BINS,
            n=int((bins == k).sum()),
            correct=int(correct[bins == k].sum()),
            confidence=float(confidence[bins == k].mean(dtype=np.float64)),
        )
        for k in np.unique(bins).tolist()
    ]


class Mistake(NamedTuple):
    """An image whose prediction is wrong.

    Attributes:
        number: Its place in the split, from 0.
        label: The index of its true class.
        top: The three likeliest classes with their probabilities, 0 to 1, as (index, probability); the
            prediction is the first.
    """

    number: int
    label: int
    top: tuple[tuple[int, float], ...]


def mistakes(outputs: LabelledLogits) -> list[Mistake]:
    """All mistakes, the most confident first; among equals, the first in the split."""
    likely = probabilities(outputs.logits)
    ranked = np.argsort(-outputs.logits, axis=1, kind="stable")[:, :3]
    wrong = np.flatnonzero(ranked[:, 0] != outputs.labels)
    wrong = wrong[np.argsort(-likely[wrong].max(axis=1), kind="stable")]
    return [
        Mistake(k, int(outputs.labels[k]), tuple((c, float(likely[k, c])) for c in ranked[k].tolist()))
        for k in wrong.tolist()
    ]


def score_undisputed(report: ReportInput) -> Evaluation | None:
    """The scores without the images of disputed labels; None unless all of those were read."""
    outputs, disputed, n = report.outputs, report.disputed, report.scores.n
    if not disputed or max(disputed) >= n:
        return None
    rest = np.delete(np.arange(n), disputed)
    return score(outputs.logits[rest], outputs.labels[rest], outputs.classes)


class Curves(NamedTuple):
    """How one quantity went during a run, as points (images seen, value).

    Attributes:
        batch: Of the training batch of each display step.
        validation: Of the validation images.
        notebook: What the published notebook printed; empty except for its own recipe on MNIST.
    """

    batch: Points
    validation: Points
    notebook: Points


def training_curves(folder: Path, metadata: CheckpointMetadata) -> dict[str, Curves]:
    """The curves of `loss` (nats per image) and `accuracy` (0 to 1); empty where there is no run.

    Args:
        folder: The checkpoint's folder.
        metadata: The checkpoint's metadata: rows of later steps are left out.
    """
    rows, printed = read_metrics(folder, metadata.step), list[dict[str, str]]()
    if not rows:
        return {}
    if (metadata.config.recipe_name, metadata.config.dataset) == ("notebook", "mnist"):
        printed = list(csv.DictReader(NOTEBOOK_LOG.read_text(encoding="utf-8").splitlines()))
    return {
        name: Curves(
            batch=_points(rows, name),
            validation=_points(rows, f"validation_{name}"),
            notebook=_points(printed, f"minibatch_{name}"),
        )
        for name in ("loss", "accuracy")
    }


def _points(rows: Sequence[Mapping[str, float | str]], column: str) -> Points:
    return [(int(row["samples"]), float(row[column])) for row in rows if column in row]
