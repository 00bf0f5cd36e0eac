"""What a report says of its scores, and of each picture in words and in a table; all is plain text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from birnn_cli.evaluation import CALIBRATION_BINS, wilson_interval
from birnn_cli.report import figures, findings
from birnn_cli.report.findings import Curves, Subject
from birnn_cli.runs import checkpoint
from birnn_cli.runs.recipes import RECIPES
from birnn_cli.text import percent, printable

# Longer tables are thinned or cut, and say so: a page of megabytes helps nobody.
MAX_ROWS, MAX_PAIRS = 200, 2000


class Section(NamedTuple):
    """A picture, what it shows in words, and in a table, of which the first columns hold names."""

    title: str
    text: str
    picture: figures.Picture
    alt: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_names: int = 1


def facts(subject: Subject) -> dict[str, str]:
    """What the scores are, and what they hold for."""
    scores, about, config = subject.scores, subject.metadata, subject.metadata.config
    path = subject.path.absolute()
    own, usual = vars(config.recipe), vars(RECIPES.get(config.recipe_name, config.recipe))
    changed = [f"{key.replace('_', ' ')} {own[key]}" for key in own if own[key] != usual[key]]
    return {
        "Right": f"{scores.correct:,} of {scores.n:,} images",
        "Loss": f"{scores.loss:.4f} nats an image",
        "Calibration error": percent(scores.ece, 2),
        "Data set": f"{subject.dataset_name}, {subject.split} images",
        "Checkpoint": printable(path.parent.name if path.name == checkpoint.FILE_NAME else path.name),
        "Recipe": ", ".join([config.recipe_name, *changed]),
        "Trained on": printable(Path(config.dataset).name),
        "Seed": str(config.seed),
        "Images seen in training": f"{about.samples:,}",
        "Trained with": ", ".join(map(" ".join, about.versions.items())),
        "Scored with": ", ".join(map(" ".join, checkpoint.versions().items())),
    }


def confusion(subject: Subject) -> Section:
    """Which class is read as which."""
    scores, names = subject.scores, subject.names
    counts = np.array(scores.confusion)
    wrong = [(int(counts[i, j]), i, j) for i, j in np.argwhere(counts).tolist() if i != j]
    wrong.sort(key=lambda pair: -pair[0])
    rows = [(names[i], names[j], f"{n:,}") for n, i, j in wrong[:MAX_PAIRS]]
    more = f", without {len(wrong) - MAX_PAIRS:,} rarer ones" if len(wrong) > MAX_PAIRS else ""
    alt = f"Confusion matrix: {scores.correct:,} of {scores.n:,} images on its diagonal"
    for true, answer, n in rows[:1]:
        alt += f"; most often, {n} times, {true} is read as {answer}"
    text = "True classes down, answers across; the deeper a cell, the larger its share of the row."
    picture = figures.render(lambda: figures.confusion(subject))
    columns = ("true class", "answer", "images")
    return Section("Confusion", text, picture, alt, f"Confusions{more}", columns, rows, num_names=2)


def classes(subject: Subject) -> Section:
    """How often each class is read wrongly."""
    scores, names = subject.scores, subject.names
    rows = [
        (name, f"{each.n:,}", f"{each.correct:,}", *_share(each.correct, each.n))
        for name, each in zip(names, scores.per_class, strict=True)
    ]
    known = [(each.correct / each.n, k) for k, each in enumerate(scores.per_class) if each.n]
    (worst, low), (best, high) = min(known), max(known)
    alt = (
        f"Share of each class that is read wrongly: most of {names[low]}, {percent(1 - worst)}, "
        f"least of {names[high]}, {percent(1 - best)}; of all images {percent(1 - scores.accuracy, 2)}"
    )
    text = "The share read wrongly, with Wilson's 95 % interval; the dashed line is that of all images."
    columns = ("class", "images", "right", "accuracy", "95 % interval")
    picture = figures.render(lambda: figures.class_errors(subject))
    return Section("Classes", text, picture, alt, "Classes", columns, rows)


def reliability(subject: Subject) -> Section:
    """How far its confidence can be believed."""
    bins, error = findings.reliability(subject.reading), percent(subject.scores.ece, 2)
    rows = [
        (_interval((low, high)), f"{n:,}", percent(confidence, 2), *_share(correct, n))
        for low, high, n, correct, confidence in bins
    ]
    last = bins[-1]
    alt = (
        f"Accuracy against confidence: calibration error {error}; of the {last.n:,} "
        f"images in the surest bin, mean confidence {percent(last.confidence, 2)}, "
        f"{percent(last.correct / last.n, 2)} are right"
    )
    text = (
        f"How often answers of a confidence are right, in {CALIBRATION_BINS} bins of equal width. The "
        f"calibration error is the mean distance from the diagonal, weighted by images: {error}."
    )
    columns = ("confidence", "images", "its mean", "accuracy", "95 % interval")
    picture = figures.render(lambda: figures.reliability_diagram(bins))
    return Section("Reliability", text, picture, alt, "Bins with images", columns, rows)


def training(curves: Mapping[str, Curves]) -> Section:
    """How the run went."""
    parts = {"batch": "own batch", "validation": "held out", "notebook": "notebook's"}
    words = {"loss": "{:.4f}".format, "accuracy": percent}
    columns = {
        f"{name}, {title}": {samples: words[name](value) for samples, value in getattr(each, part)}
        for part, title in parts.items()
        for name, each in curves.items()
        if getattr(each, part)
    }
    seen = sorted({samples for column in columns.values() for samples in column})
    every = -(-len(seen) // MAX_ROWS)
    rows = [
        (f"{samples:,}", *(column.get(samples, "") for column in columns.values()))
        for samples in seen[::-every][::-1]
    ]
    courses = "; ".join(
        f"{name}, from {column[min(column)]} to {column[max(column)]}"
        for name, column in columns.items()
    )
    alt = f"Loss and accuracy over {seen[-1]:,} images: {courses}"
    text = "Loss and accuracy after a step, on that step's own batch and on the images held out."
    if curves["loss"].notebook:
        text += " Beside them what the original notebook printed when it was published."
    thinned = f", one row in {every}" if every > 1 else ""
    picture = figures.render(lambda: figures.learning(curves))
    return Section("Training", text, picture, alt, f"Rows{thinned}", ("images seen", *columns), rows)


def _interval(low_high: tuple[float, float]) -> str:
    """Both ends of an interval, in words."""
    return " to ".join(map(percent, low_high))


def _share(correct: int, n: int) -> tuple[str, str]:
    """A share and its 95 % interval in words; dashes where there is nothing to share."""
    return (percent(correct / n), _interval(wilson_interval(correct, n))) if n else ("–", "–")
