"""What a report tells, in numbers: how sure and how right the answers are, the mistakes, the curves."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from birnn_cli.data.folders import Split
from birnn_cli.evaluation import CALIBRATION_BINS, Evaluation, LabelledLogits, calibration_bins, score
from birnn_cli.network.numpy_engine import probabilities
from birnn_cli.runs import folders
from birnn_cli.runs.checkpoint import CheckpointMetadata
from birnn_cli.text import printable

# Test images of MNIST, from 0, whose label fewer than three of five raters gave back. Source: Cleanlab's
# "label errors"; Northcutt, Athalye and Mueller, "Pervasive label errors in test sets" (2021).
DISPUTED_MNIST_TEST = (
    *(947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558),
    *(5937, 6651, 6783, 8527, 9679, 9729),
)
# The losses and accuracies that the published notebook printed, every ten steps.
NOTEBOOK_LOG = Path(__file__).parent / "notebook_log.csv"

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Subject:
    """What a report is about.

    Attributes:
        path: The checkpoint's file; a run's `metrics.jsonl` may lie beside it.
        metadata: What it says of itself.
        dataset: The images' data set: its name, or a folder's absolute path.
        split: Which of its images.
        reading: What the network made of the first of them.
        scores: How well.
    """

    path: Path
    metadata: CheckpointMetadata
    dataset: str
    split: Split
    reading: LabelledLogits
    scores: Evaluation

    @property
    def dataset_name(self) -> str:
        """Of a folder, its own name, not where it lies on its owner's disk."""
        return printable(Path(self.dataset).name)

    @property
    def names(self) -> tuple[str, ...]:
        """The classes' names, as they are shown."""
        return tuple(map(printable, self.reading.classes))

    @property
    def disputed(self) -> tuple[int, ...]:
        """Numbers of the images whose labels are known to be disputed."""
        return DISPUTED_MNIST_TEST if (self.dataset, self.split) == ("mnist", "test") else ()


class Bin(NamedTuple):
    """Answers of about the same confidence.

    Attributes:
        low: The confidence is above it, in [0, 1).
        high: And not above this, in (0, 1].
        n: Answers, 1 or more.
        correct: Those that are right.
        confidence: Mean probability of the answers, 0 to 1.
    """

    low: float
    high: float
    n: int
    correct: int
    confidence: float


def reliability(reading: LabelledLogits) -> list[Bin]:
    """The bins of the calibration error that are not empty, from the least sure to the surest."""
    confidence = probabilities(reading.logits).max(axis=1)
    right = reading.logits.argmax(axis=1) == reading.labels
    bins = calibration_bins(confidence)
    return [
        Bin(
            low=k / CALIBRATION_BINS,
            high=(k + 1) / CALIBRATION_BINS,
            n=int((bins == k).sum()),
            correct=int(right[bins == k].sum()),
            confidence=float(confidence[bins == k].mean(dtype=np.float64)),
        )
        for k in np.unique(bins).tolist()
    ]


class Mistake(NamedTuple):
    """An image that was read wrongly.

    Attributes:
        number: Its place in the split, from 0.
        label: The number of its class.
        top: The three likeliest classes, by number, with their probabilities, 0 to 1; the answer first.
    """

    number: int
    label: int
    top: tuple[tuple[int, float], ...]


def mistakes(reading: LabelledLogits) -> list[Mistake]:
    """All mistakes, the most confident first; of equal ones, the first in the split."""
    shares = probabilities(reading.logits)
    ranked = np.argsort(-reading.logits, axis=1, kind="stable")[:, :3]
    wrong = np.flatnonzero(ranked[:, 0] != reading.labels)
    wrong = wrong[np.argsort(-shares[wrong].max(axis=1), kind="stable")]
    return [
        Mistake(k, int(reading.labels[k]), tuple((c, float(shares[k, c])) for c in ranked[k].tolist()))
        for k in wrong.tolist()
    ]


def undisputed(subject: Subject) -> Evaluation | None:
    """The scores without the images of disputed labels; None where not all of those were read."""
    reading, disputed, n = subject.reading, subject.disputed, subject.scores.n
    if not disputed or max(disputed) >= n:
        return None
    rest = np.delete(np.arange(n), disputed)
    return score(reading.logits[rest], reading.labels[rest], reading.classes)


class Curves(NamedTuple):
    """A run's course, as (images seen, value).

    Attributes:
        batch: Of a display step's own batch.
        validation: On the images held out.
        notebook: What the published notebook printed; empty for all but its own recipe on MNIST.
    """

    batch: Points
    validation: Points
    notebook: Points


def curves(folder: Path, about: CheckpointMetadata) -> dict[str, Curves]:
    """How loss (nats an image) and accuracy (0 to 1) went, by these names; empty without a run.

    Args:
        folder: Where the checkpoint is.
        about: What it says of itself: rows of later steps are left out.
    """
    rows, printed = folders.read_metrics(folder, about.step), list[dict[str, str]]()
    if (about.config.recipe_name, about.config.dataset) == ("notebook", "mnist"):
        printed = list(csv.DictReader(NOTEBOOK_LOG.read_text(encoding="utf-8").splitlines()))
    found = {
        name: Curves(
            batch=_points(rows, name),
            validation=_points(rows, f"validation_{name}"),
            notebook=_points(printed, f"minibatch_{name}"),
        )
        for name in ("loss", "accuracy")
    }
    return found if rows else {}


def _points(rows: Sequence[Mapping[str, float | str]], column: str) -> Points:
    return [(int(row["samples"]), float(row[column])) for row in rows if column in row]
