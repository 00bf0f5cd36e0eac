"""What a report says, as plain text: its header, a figure's words and table, the notes on mistakes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from birnn_cli.evaluation import CALIBRATION_BINS, wilson_interval
from birnn_cli.network import checkpoint
from birnn_cli.recipes import RECIPES
from birnn_cli.report import figures, findings
from birnn_cli.report.figures import Picture
from birnn_cli.report.findings import Curves, Mistake, Subject
from birnn_cli.text import percent, printable

MAX_MISTAKES = 60
# Longer tables are thinned or cut, and say so: a page of megabytes helps nobody.
MAX_ROWS, MAX_PAIRS = 200, 2000


class Header(NamedTuple):
    """How the network did, on which images, and what that holds for."""

    accuracy: str
    images: str
    interval: str
    facts: Mapping[str, str]


class Section(NamedTuple):
    """A picture, what it shows in words, and in a table, of which the first columns hold names."""

    title: str
    text: str
    picture: Picture
    alt: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_names: int = 1


def header(subject: Subject) -> Header:
    """The page's first lines."""
    scores, about, config = subject.scores, subject.about, subject.about.config
    dataset = printable(Path(subject.dataset).name)
    path = subject.path.absolute()
    usual = vars(RECIPES.get(config.recipe_name, config.recipe))
    changed = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in vars(config.recipe).items()
        if value != usual[name]
    ]
    facts = {
        "Right": f"{scores.correct:,} of {scores.n:,} images",
        "Loss": f"{scores.loss:.4f} nats an image",
        "Calibration error": percent(scores.ece, 2),
        "Data set": f"{dataset}, {subject.split} images",
        "Checkpoint": printable(path.parent.name if path.name == checkpoint.FILE_NAME else path.name),
        "Recipe": ", ".join([config.recipe_name, *changed]),
        "Trained on": printable(Path(config.dataset).name),
        "Seed": str(config.seed),
        "Images seen in training": f"{about.samples:,}",
        "Trained with": ", ".join(map(" ".join, about.versions.items())),
        "Scored with": ", ".join(map(" ".join, checkpoint.versions().items())),
    }
    images = f"{scores.n:,} {subject.split} images of {dataset}"
    return Header(percent(scores.accuracy, 2), images, _interval(scores.ci95, 2), facts)


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


def mistakes(subject: Subject, wrong: Sequence[Mistake]) -> list[str]:
    """What is said of the mistakes, and what is known of the labels."""
    n, disputed = subject.scores.n, set(subject.disputed)
    said = [f"None: all {n:,} images are read rightly."]
    if wrong:
        more = f"; {len(wrong) - MAX_MISTAKES:,} more are not shown" if len(wrong) > MAX_MISTAKES else ""
        said = [
            f"{len(wrong):,} of {n:,} images, the most confident mistake first{more}. A number is an "
            f"image's place in the {subject.split} images, from 0."
        ]
    if disputed and max(disputed) < n:
        among = disputed & {each.number for each in wrong}
        rest = n - len(disputed)
        right = subject.scores.correct - len(disputed) + len(among)
        share, range95 = _share(right, rest, 2)
        said.append(
            f"The labels of {len(disputed)} test images of MNIST are disputed: fewer than three of five "
            "raters gave them back (Northcutt, Athalye and Mueller 2021; Cleanlab’s “label errors”). "
            f"{len(among)} of them are among the mistakes. Without the {len(disputed)}, {share} are "
            f"right, {right:,} of {rest:,} (95 % interval {range95})."
        )
    return said


def _interval(low_high: tuple[float, float], digits: int = 1) -> str:
    """Both ends of an interval, in words."""
    return " to ".join(percent(each, digits) for each in low_high)


def _share(correct: int, n: int, digits: int = 1) -> tuple[str, str]:
    """A share and its 95 % interval in words; dashes where there is nothing to share."""
    if not n:
        return "–", "–"
    return percent(correct / n, digits), _interval(wilson_interval(correct, n), digits)
