"""The numbers of a report: calibration bins, mistakes, training curves, disputed labels."""

import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from birnn_cli.data.folders import Split
from birnn_cli.evaluation import CALIBRATION_BINS, Evaluation, LabelledLogits, calibration_bins, score
from birnn_cli.network.numpy_engine import probabilities
from birnn_cli.runs import checkpoint
from birnn_cli.runs.metrics import read_metrics
from birnn_cli.runs.recipes import RECIPES
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
# So many mistakes are shown, the most confident, and so many of them without unfolding the others.
MAX_MISTAKES, MAX_UNFOLDED_MISTAKES = 60, 12


class Bin(NamedTuple):
    """The predictions whose confidence (the probability of the predicted class) is in one interval."""

    low: float  # the interval's lower end, which is not part of it, in [0, 1)
    high: float  # its upper end, which is part of it, in (0, 1]
    n: int  # the number of predictions, 1 or more
    correct: int
    confidence: float  # the mean, 0 to 1


class Mistake(NamedTuple):
    """An image whose prediction is wrong."""

    number: int  # its place in the split, from 0
    label: int  # the index of its true class
    # The indices and probabilities, 0 to 1, of the three likeliest classes; the first is the prediction.
    top: list[tuple[int, float]]


@dataclass(frozen=True)
class Findings:
    """What a report says, worked out from an evaluation and the checkpoint that was evaluated."""

    path: Path  # the checkpoint's file; a run's `metrics.jsonl` may lie beside it
    metadata: checkpoint.CheckpointMetadata
    dataset: str  # the images' data set: its name, or a folder's absolute path
    split: Split  # the images are the first of this split
    outputs: LabelledLogits
    scores: Evaluation

    @property
    def checkpoint_name(self) -> str:
        """The name of the run's folder, or of a checkpoint file that has a name of its own."""
        path = self.path.absolute()
        return printable(path.parent.name if path.name == checkpoint.FILE_NAME else path.name)

    @property
    def changed_options(self) -> dict[str, Any]:
        """The run's options that differ from its recipe's."""
        config = self.metadata.config
        usual = vars(RECIPES.get(config.recipe_name, config.recipe))
        return {key: value for key, value in vars(config.recipe).items() if value != usual[key]}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The classes' names as they are shown."""
        return tuple(map(printable, self.outputs.classes))

    @property
    def confusions(self) -> list[tuple[int, int, int]]:
        """How many images of which class (an index) are read as which other one, the most first."""
        counts = np.array(self.scores.confusion)
        np.fill_diagonal(counts, 0)
        pairs = [(int(counts[i, j]), i, j) for i, j in np.argwhere(counts).tolist()]
        return sorted(pairs, key=lambda pair: -pair[0])

    @cached_property
    def bins(self) -> list[Bin]:
        """The bins of the calibration error, in order of confidence, without the empty ones."""
        logits, labels = self.outputs.logits, self.outputs.labels
        confidence = probabilities(logits).max(axis=1)
        bins, correct = calibration_bins(confidence), logits.argmax(axis=1) == labels
        n, num_correct, sums = (np.bincount(bins, weights) for weights in (None, correct, confidence))
        return [
            Bin(
                low=k / CALIBRATION_BINS,
                high=(k + 1) / CALIBRATION_BINS,
                n=int(n[k]),
                correct=int(num_correct[k]),
                confidence=float(sums[k] / n[k]),
            )
            for k in np.flatnonzero(n).tolist()
        ]

    @cached_property
    def mistakes(self) -> list[Mistake]:
        """All mistakes, the most confident first; among equals, the first in the split."""
        labels, likely = self.outputs.labels, probabilities(self.outputs.logits)
        ranked = np.argsort(-self.outputs.logits, axis=1, kind="stable")[:, :3]
        wrong = np.flatnonzero(ranked[:, 0] != labels)
        wrong = wrong[np.argsort(-likely[wrong].max(axis=1), kind="stable")]
        return [
            Mistake(k, int(labels[k]), [(c, float(likely[k, c])) for c in ranked[k].tolist()])
            for k in wrong.tolist()
        ]

    @property
    def disputed(self) -> tuple[int, ...]:
        """The numbers of the images in the split whose labels are known to be disputed."""
        return DISPUTED_MNIST_TEST if (self.dataset, self.split) == ("mnist", "test") else ()

    @property
    def undisputed_scores(self) -> Evaluation | None:
        """The scores without the images of disputed labels; None unless all of those were read."""
        outputs, n = self.outputs, self.scores.n
        if not self.disputed or max(self.disputed) >= n:
            return None
        rest = np.delete(np.arange(n), self.disputed)
        return score(outputs.logits[rest], outputs.labels[rest], outputs.classes)

    @cached_property
    def curves(self) -> dict[str, dict[int, float]]:
        """How the run went: the curves that have points, by their titles; none where there is no run.

        A curve has a loss (nats per image) or an accuracy (0 to 1) for each number of images seen:
        of the training batch of each display step, of the validation images, and, for the notebook's
        own recipe on MNIST, what the published notebook printed. Rows after the checkpoint are left out.
        """
        config, printed = self.metadata.config, list[dict[str, str]]()
        rows = read_metrics(self.path.parent, self.metadata.step)
        if rows and (config.recipe_name, config.dataset) == ("notebook", "mnist"):
            printed = list(csv.DictReader(NOTEBOOK_LOG.read_text(encoding="utf-8").splitlines()))
        curves: dict[str, dict[int, float]] = {}
        for source, prefix, table in (
            ("training batch", "", rows),
            ("validation", "validation_", rows),
            ("original notebook", "minibatch_", printed),
        ):
            for quantity in ("loss", "accuracy"):
                key = prefix + quantity
                points = {int(row["samples"]): float(row[key]) for row in table if key in row}
                if points:
                    curves[f"{quantity}, {source}"] = points
        return curves
