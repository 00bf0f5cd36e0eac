"""A report's sections as HTML: each picture with what it shows in words and in a table."""

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from birnn_cli.data.files import to_png
from birnn_cli.evaluation import CALIBRATION_BINS, Evaluation, wilson_interval
from birnn_cli.report.findings import Bin, Curves, Mistake, Subject
from birnn_cli.text import percent

if TYPE_CHECKING:
    from birnn_cli.report.figures import Picture

MAX_MISTAKES = 60
# Longer tables are thinned or cut, and say so: a page of megabytes helps nobody.
MAX_ROWS, MAX_PAIRS = 200, 2000
# Wider pictures, in pixels of CSS, keep their size and scroll on a phone, and have a row of the page.
FITTING_WIDTH = 500


def confusion(picture: "Picture", scores: Evaluation, names: Sequence[str]) -> str:
    """Which class is read as which."""
    counts = np.array(scores.confusion)
    wrong = [(int(counts[i, j]), i, j) for i, j in np.argwhere(counts).tolist() if i != j]
    wrong.sort(key=lambda pair: -pair[0])
    alt = f"Confusion matrix: {scores.correct:,} of {scores.n:,} images on its diagonal"
    table = "<p>No class is read as another.</p>"
    if wrong:
        n, i, j = wrong[0]
        alt += f"; most often, {n:,} times, {names[i]} is read as {names[j]}"
        rows = [(names[i], names[j], f"{n:,}") for n, i, j in wrong[:MAX_PAIRS]]
        more = f", without {len(wrong) - MAX_PAIRS:,} rarer ones" if len(wrong) > MAX_PAIRS else ""
        table = _table(f"Confusions{more}", ("true class", "answer", "images"), rows, num_names=2)
    text = "True classes down, answers across; the deeper a cell, the larger its share of the row."
    return _figure("Confusion", text, picture, alt, table)


def classes(picture: "Picture", scores: Evaluation, names: Sequence[str]) -> str:
    """How often each class is read wrongly."""
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
    table = _table("Classes", ("class", "images", "right", "accuracy", "95 % interval"), rows)
    return _figure("Classes", text, picture, alt, table)


def reliability(picture: "Picture", scores: Evaluation, bins: Sequence[Bin]) -> str:
    """How far its confidence can be believed."""
    rows = [
        (
            f"{percent(each.low)} to {percent(each.high)}",
            f"{each.n:,}",
            percent(each.confidence, 2),
            *_share(each.correct, each.n),
        )
        for each in bins
    ]
    last = bins[-1]
    alt = (
        f"Accuracy against confidence: calibration error {percent(scores.ece, 2)}; of the {last.n:,} "
        f"images in the surest bin, mean confidence {percent(last.confidence, 2)}, "
        f"{percent(last.correct / last.n, 2)} are right"
    )
    text = (
        f"How often answers of a confidence are right, in {CALIBRATION_BINS} bins of equal width. The "
        f"calibration error is the mean distance from the diagonal, weighted by images: "
        f"{percent(scores.ece, 2)}."
    )
    columns = ("confidence", "images", "its mean", "accuracy", "95 % interval")
    return _figure("Reliability", text, picture, alt, _table("Bins with images", columns, rows))


def training(picture: "Picture", curves: Mapping[str, Curves]) -> str:
    """How the run went."""
    parts = {"batch": "own batch", "validation": "held out", "notebook": "notebook's"}
    columns = {
        f"{name}, {title}": dict(getattr(each, part))
        for part, title in parts.items()
        for name, each in curves.items()
        if getattr(each, part)
    }
    seen = sorted({samples for points in columns.values() for samples in points})
    every = -(-len(seen) // MAX_ROWS)
    rows = [
        (f"{samples:,}", *(_value(name, points.get(samples)) for name, points in columns.items()))
        for samples in seen[::-every][::-1]
    ]
    courses = "; ".join(
        f"{name}, from {_value(name, points[min(points)])} to {_value(name, points[max(points)])}"
        for name, points in columns.items()
    )
    alt = f"Loss and accuracy over {seen[-1]:,} images: {courses}"
    text = "Loss and accuracy after a step, on that step's own batch and on the images held out."
    if curves["loss"].notebook:
        text += " Beside them what the original notebook printed when it was published."
    thinned = f", one row in {every}" if every > 1 else ""
    table = _table(f"Rows{thinned}", ("images seen", *columns), rows)
    return _figure("Training", text, picture, alt, table)


def mistakes(subject: Subject, wrong: Sequence[Mistake], names: Sequence[str]) -> str:
    """The gallery, and what is known of its labels."""
    n, disputed = subject.scores.n, set(subject.disputed)
    if not wrong:
        said = [f"None: all {n:,} images are read rightly."]
    else:
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
    cards = "".join(
        _card(subject, each, names, is_disputed=each.number in disputed) for each in wrong[:MAX_MISTAKES]
    )
    paragraphs = "".join(f"<p>{html.escape(text)}</p>\n" for text in said)
    return paragraphs + (f'<ul class="gallery">\n{cards}</ul>' if cards else "")


def _card(subject: Subject, mistake: Mistake, names: Sequence[str], *, is_disputed: bool) -> str:
    (answer, confidence), truth = mistake.top[0], html.escape(names[mistake.label])
    answered = html.escape(names[answer])
    shares = "".join(
        f'<li style="--share: {share * 100:.1f}%"><span>{html.escape(names[k])}'
        f"{' (true)' if k == mistake.label else ''}</span> <span>{percent(share)}</span></li>"
        for k, share in mistake.top
    )
    mark = '<div class="mark">label disputed</div>' if is_disputed else ""
    return (
        f'<li><img width="28" height="28" src="{_data(to_png(subject.reading.images[mistake.number]))}" '
        f'alt="Image {mistake.number}: {truth}, read as {answered} ({percent(confidence)})">'
        f'<div class="number">no. {mistake.number}</div>'
        f"<div>{truth} read as <strong>{answered}</strong></div>{mark}<ol>{shares}</ol></li>\n"
    )


def _figure(title: str, text: str, picture: "Picture", alt: str, table: str) -> str:
    """A section with a picture for light and dark, and the same in figures."""
    wide = picture.width > FITTING_WIDTH
    images = "".join(
        f'<img class="{style}" width="{picture.width}" alt="{html.escape(alt)}." src="{_data(png)}">'
        for style, png in (("light", picture.light), ("dark", picture.dark))
    )
    return (
        f'<section class="{"large" if wide else "small"}"><div class="figure"><h2>{title}</h2>\n'
        f"<p>{html.escape(text)}</p>\n"
        f'<div class="scroll"{" tabindex=0" if wide else ""}>{images}</div></div>\n'
        f"<details><summary>As a table</summary>{table}</details></section>"
    )


def _table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, num_names: int = 1
) -> str:
    """A table that may be wider than the page; its first columns hold names."""

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=name' if k < num_names else ''}>{html.escape(cell)}</{tag}>"
            for k, cell in enumerate(row)
        )

    body = "\n".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex=0><table><caption>{html.escape(caption)}</caption>'
        f"<thead><tr>{cells(columns, 'th')}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _data(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def interval(low_high: tuple[float, float], digits: int = 1) -> str:
    """Both ends of an interval, in words."""
    return " to ".join(percent(each, digits) for each in low_high)


def _share(correct: int, n: int, digits: int = 1) -> tuple[str, str]:
    """A share and its 95 % interval in words; dashes where there is nothing to share."""
    if not n:
        return "–", "–"
    return percent(correct / n, digits), interval(wilson_interval(correct, n), digits)


def _value(name: str, value: float | None) -> str:
    """A loss or an accuracy in words; nothing where it was not measured."""
    if value is None:
        return ""
    return f"{value:.4f}" if name.startswith("loss") else percent(value)
