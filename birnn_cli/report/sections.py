"""The texts and tables of a report, as plain text: its facts, and a section for each figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from birnn_cli.evaluation import CALIBRATION_BINS, wilson_interval
from birnn_cli.report import figures, findings
from birnn_cli.report.findings import ReportInput
from birnn_cli.runs import checkpoint
from birnn_cli.runs.recipes import RECIPES
from birnn_cli.text import percent, printable

# Longer tables are thinned or cut, and say so: nobody reads a page of many megabytes.
MAX_ROWS, MAX_PAIRS = 200, 2000


@dataclass(frozen=True, kw_only=True)
class Section:
    """A figure, what it shows in words, and the same as a table.

    Attributes:
        title: The heading.
        text: What the figure shows and how to read it.
        picture: The figure.
        alt: The figure in words, for those who do not see it; no full stop at its end.
        caption: The table's caption.
        columns: The headings of the table's columns.
        rows: The table's cells, row by row.
        num_names: How many columns, the first ones, hold names; the others hold numbers.
    """

    title: str
    text: str
    picture: figures.Picture
    alt: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_names: int = 1


def facts(report: ReportInput) -> dict[str, str]:
    """What the scores are, and of which checkpoint on which images."""
    scores, metadata, config = report.scores, report.metadata, report.metadata.config
    path = report.path.absolute()
    own, usual = vars(config.recipe), vars(RECIPES.get(config.recipe_name, config.recipe))
    changed = [f"{key.replace('_', ' ')} {own[key]}" for key in own if own[key] != usual[key]]
    return {
        "Correct": f"{scores.correct:,} of {scores.n:,} images",
        "Loss": f"{scores.loss:.4f} nats per image",
        "Calibration error": percent(scores.ece, 2),
        "Data set": f"{report.dataset_name}, {report.split} images",
        "Checkpoint": printable(path.parent.name if path.name == checkpoint.FILE_NAME else path.name),
        "Recipe": ", ".join([config.recipe_name, *changed]),
        "Trained on": printable(Path(config.dataset).name),
        "Seed": str(config.seed),
        "Training images seen": f"{metadata.samples:,}",
        "Trained with": ", ".join(map(" ".join, metadata.versions.items())),
        "Evaluated with": ", ".join(map(" ".join, checkpoint.versions().items())),
    }


def confusion(report: ReportInput) -> Section:
    """Which class is taken for which."""
    scores, names = report.scores, report.names
    counts = np.array(scores.confusion)
    wrong = [(int(counts[i, j]), i, j) for i, j in np.argwhere(counts).tolist() if i != j]
    wrong.sort(key=lambda pair: -pair[0])
    rows = [(names[i], names[j], f"{n:,}") for n, i, j in wrong[:MAX_PAIRS]]
    more = f", without {len(wrong) - MAX_PAIRS:,} rarer ones" if len(wrong) > MAX_PAIRS else ""
    alt = f"Confusion matrix: {scores.correct:,} of {scores.n:,} images on its diagonal"
    for true, predicted, n in rows[:1]:
        alt += f"; the most frequent confusion is {true} read as {predicted} (n = {n})"
    return Section(
        title="Confusion",
        text="Rows are true classes, columns predictions. The colour shows the fraction of the row.",
        picture=figures.confusion_matrix(report),
        alt=alt,
        caption=f"Confusions{more}",
        columns=("true class", "prediction", "images"),
        rows=rows,
        num_names=2,
    )


def classes(report: ReportInput) -> Section:
    """How often the images of each class are read wrongly."""
    scores, names = report.scores, report.names
    known = [(each.correct / each.n, k) for k, each in enumerate(scores.per_class) if each.n]
    (worst, low), (best, high) = min(known), max(known)
    return Section(
        title="Classes",
        text="The error rate of each class, with Wilson's 95 % interval. The dashed line is the error "
        "rate of all images.",
        picture=figures.class_errors(report),
        alt=f"Error rate of each class: the highest is that of {names[low]}, {percent(1 - worst)}, "
        f"the lowest that of {names[high]}, {percent(1 - best)}; "
        f"of all images {percent(1 - scores.accuracy, 2)}",
        caption="Classes",
        columns=("class", "images", "correct", "accuracy", "95 % interval"),
        rows=[
            (name, f"{each.n:,}", f"{each.correct:,}", *_accuracy(each.correct, each.n))
            for name, each in zip(names, scores.per_class, strict=True)
        ],
    )


def reliability(report: ReportInput) -> Section:
    """How far the network's confidence can be believed."""
    bins, error = findings.reliability(report.outputs), percent(report.scores.ece, 2)
    last = bins[-1]
    return Section(
        title="Reliability",
        text="Accuracy against confidence, the probability of the predicted class, in "
        f"{CALIBRATION_BINS} bins of equal width. The calibration error is the mean distance from the "
        f"diagonal, weighted by the number of images: {error}.",
        picture=figures.reliability_diagram(bins),
        alt=f"Accuracy against confidence: calibration error {error}; the bin of the highest confidence "
        f"has {last.n:,} images, a mean confidence of {percent(last.confidence, 2)} and an accuracy of "
        f"{percent(last.correct / last.n, 2)}",
        caption="Bins with images",
        columns=("confidence", "images", "mean confidence", "accuracy", "95 % interval"),
        rows=[
            (_interval((low, high)), f"{n:,}", percent(confidence, 2), *_accuracy(correct, n))
            for low, high, n, correct, confidence in bins
        ],
    )


def training(report: ReportInput) -> Section | None:
    """How the run went; None where there is no run beside the checkpoint."""
    curves = findings.training_curves(report.path.parent, report.metadata)
    if not curves:
        return None
    parts = {"batch": "training batch", "validation": "validation", "notebook": "original notebook"}
    words = {"loss": "{:.4f}".format, "accuracy": percent}
    columns = {
        f"{name}, {title}": {samples: words[name](value) for samples, value in getattr(each, part)}
        for part, title in parts.items()
        for name, each in curves.items()
        if getattr(each, part)
    }
    seen = sorted({samples for column in columns.values() for samples in column})
    every = -(-len(seen) // MAX_ROWS)
    thinned = f", one row in {every}" if every > 1 else ""
    courses = "; ".join(
        f"{name}, from {column[min(column)]} to {column[max(column)]}"
        for name, column in columns.items()
    )
    text = "Loss and accuracy after a training step, on its batch and on the validation images."
    if curves["loss"].notebook:
        text += " Beside them, what the original notebook printed when it was published."
    return Section(
        title="Training",
        text=text,
        picture=figures.training_curves(curves),
        alt=f"Loss and accuracy over {seen[-1]:,} training images: {courses}",
        caption=f"Rows{thinned}",
        columns=("training images seen", *columns),
        rows=[
            (f"{samples:,}", *(column.get(samples, "") for column in columns.values()))
            for samples in seen[::-every][::-1]  # the last one is always there
        ],
    )


def _interval(low_high: tuple[float, float]) -> str:
    """Both ends of an interval, in words."""
    return " to ".join(map(percent, low_high))


def _accuracy(correct: int, n: int) -> tuple[str, str]:
    """The accuracy and its 95 % interval, in words; dashes where there are no images."""
    return (percent(correct / n), _interval(wilson_interval(correct, n))) if n else ("–", "–")
