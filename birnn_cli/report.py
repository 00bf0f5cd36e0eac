"""A report: one page that needs no network, and its pictures as PNG files beside it."""

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import numpy as np

from birnn_cli import findings
from birnn_cli.data.files import to_png
from birnn_cli.data.folders import Split
from birnn_cli.errors import MissingPackageError, OutputExistsError
from birnn_cli.evaluation import CALIBRATION_BINS, Evaluation, Reading, wilson_interval
from birnn_cli.files import write_atomically
from birnn_cli.network import checkpoint
from birnn_cli.network.checkpoint import About
from birnn_cli.recipes import RECIPES

if TYPE_CHECKING:
    from birnn_cli.figures import Picture

TEMPLATE = Path(__file__).parent / "report.html"
PAGE = "index.html"
PICTURES = ("confusion.png", "reliability.png", "classes.png", "curves.png", "mistakes.png")
MAX_MISTAKES = 60
# Longer tables are thinned or cut, and say so: a page of megabytes helps nobody.
MAX_ROWS = 200


def prepare(folder: Path, *, force: bool) -> None:
    """Make sure that a report can be written, before the work that it tells of.

    Args:
        folder: Where to; made when it is not there.
        force: Whether files in it may be replaced.

    Raises:
        MissingPackageError: matplotlib is not installed.
        OutputExistsError: The folder holds something already, and nothing is forced; or it is a file.
        OSError: It cannot be made.
    """
    try:
        import birnn_cli.figures  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            f"--report draws with matplotlib, which is not installed ({error}): "
            'pip install "birnn-cli[report]"'
        ) from None
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{folder} is a file, expected a folder: name another --report")
    if not force and folder.exists() and any(folder.iterdir()):
        raise OutputExistsError(f"{folder} holds files already: name another --report, or add --force")
    folder.mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True)
class Subject:
    """What a report is about.

    Attributes:
        path: The checkpoint's file; a run's `metrics.jsonl` may lie beside it.
        about: What it says of itself.
        dataset: The images' data set: its name, or a folder's absolute path.
        split: Which of its images.
        reading: What the network made of the first of them.
        scores: How well.
    """

    path: Path
    about: About
    dataset: str
    split: Split
    reading: Reading
    scores: Evaluation

    @property
    def disputed(self) -> tuple[int, ...]:
        """Numbers of the images whose labels are known to be disputed."""
        own = (self.dataset, self.split) == ("mnist", "test")
        return findings.DISPUTED_MNIST_TEST if own else ()


def write(folder: Path, subject: Subject) -> Path:
    """Write a report into a folder that `prepare` made; the same subject gives the same bytes.

    Returns:
        The page.

    Raises:
        OSError: A file cannot be written.
    """
    from birnn_cli import figures

    scores, names = subject.scores, tuple(map(_printable, subject.reading.classes))
    bins, curves = (
        findings.reliability(subject.reading),
        findings.curves(subject.path.parent, subject.about),
    )
    wrong = findings.mistakes(subject.reading)
    drawn = {
        "confusion.png": figures.render(lambda: figures.confusion(scores, names)),
        "reliability.png": figures.render(lambda: figures.reliability_diagram(bins)),
        "classes.png": figures.render(lambda: figures.class_accuracies(scores, names)),
    }
    sections = [
        _confusion(drawn["confusion.png"], scores, names),
        _classes(drawn["classes.png"], scores, names),
        _reliability(drawn["reliability.png"], scores, bins),
    ]
    if curves:
        drawn["curves.png"] = figures.render(lambda: figures.learning(curves))
        sections.append(_curves(drawn["curves.png"], curves))
    if shown := wrong[:MAX_MISTAKES]:
        images = subject.reading.images[[each.number for each in shown]]
        captions = [
            f"{each.number}: {figures.cut(names[each.label])} as {figures.cut(names[each.top[0][0]])}"
            for each in shown
        ]
        drawn["mistakes.png"] = figures.render(lambda: figures.sheet(images, captions))
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        **_header(subject), figures="\n".join(sections), mistakes=_mistakes(subject, wrong, names)
    )
    for name in PICTURES:  # those of an older report go, where this one has none of the name
        if name in drawn:
            write_atomically(folder / name, drawn[name].light)
        else:
            (folder / name).unlink(missing_ok=True)
    write_atomically(folder / PAGE, page.encode())
    return folder / PAGE


def _header(subject: Subject) -> dict[str, str]:
    """The page's title, its first lines, and what they hold for."""
    scores, about, config = subject.scores, subject.about, subject.about.config
    dataset = _printable(Path(subject.dataset).name)
    images = f"{scores.n:,} {subject.split} images of {dataset}"
    path = subject.path.absolute()
    file = f"{path.parent.name}/{path.name}" if path.name == checkpoint.FILE_NAME else path.name
    usual = vars(RECIPES[config.recipe_name])
    changed = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in vars(config.recipe).items()
        if value != usual[name]
    ]
    facts = {
        "Images": f"{scores.n:,}, {scores.correct:,} of them right",
        "Loss": f"{scores.loss:.4f} nats an image",
        "Calibration error": _percent(scores.ece, 2),
        "Data set": f"{dataset}, {subject.split} images",
        "Checkpoint": _printable(file),
        "Recipe": ", ".join([config.recipe_name, *changed]),
        "Trained on": _printable(Path(config.dataset).name),
        "Seed": str(config.seed),
        "Images seen in training": f"{about.samples:,}",
        "Trained with": _versions(about.versions),
        "Scored with": _versions(checkpoint.versions()),
    }
    accuracy = _percent(scores.accuracy, 2)
    return {
        "title": html.escape(f"{accuracy} right of {images}"),
        "accuracy": accuracy,
        "lead": html.escape(f"of {images}. 95 % interval (Wilson's): {_interval(scores.ci95, 2)}."),
        "facts": "\n".join(
            f"<div><dt>{name}</dt><dd>{html.escape(text)}</dd></div>" for name, text in facts.items()
        ),
    }


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _confusion(picture: "Picture", scores: Evaluation, names: Sequence[str]) -> str:
    counts = np.array(scores.confusion)
    pairs = sorted(
        ((-int(counts[i, j]), i, j) for i, j in np.argwhere(counts).tolist() if i != j),
    )
    alt = f"Confusion matrix: {scores.correct:,} of {scores.n:,} images on its diagonal"
    if pairs:
        n, i, j = pairs[0]
        alt += f"; most often, {-n:,} times, {names[i]} is read as {names[j]}"
    rows = [(names[i], names[j], f"{-n:,}") for n, i, j in pairs[:MAX_ROWS]]
    more = f"; {len(pairs) - MAX_ROWS:,} rarer pairs left out" if len(pairs) > MAX_ROWS else ""
    table = _table(f"Confusions{more}", ("true class", "answer", "images"), rows, num_names=2)
    if not pairs:
        table = "<p>No confusions.</p>"
    text = "True classes down, answers across; the colour is a cell's share of its row."
    return _figure("Confusion", text, picture, alt, table)


def _classes(picture: "Picture", scores: Evaluation, names: Sequence[str]) -> str:
    rows = [
        (name, f"{each.n:,}", f"{each.correct:,}", *_share(each.correct, each.n))
        for name, each in zip(names, scores.per_class, strict=True)
    ]
    known = [(each.correct / each.n, k) for k, each in enumerate(scores.per_class) if each.n]
    (worst, low), (best, high) = min(known), max(known)
    alt = (
        f"Accuracy of each class with its 95 % interval: lowest {_percent(worst)} for {names[low]}, "
        f"highest {_percent(best)} for {names[high]}, {_percent(scores.accuracy, 2)} of all images"
    )
    text = "Accuracy with Wilson's 95 % interval; the dashed line is that of all images."
    table = _table("Classes", ("class", "images", "right", "accuracy", "95 % interval"), rows)
    return _figure("Classes", text, picture, alt, table)


def _reliability(picture: "Picture", scores: Evaluation, bins: Sequence[findings.Bin]) -> str:
    rows = [
        (
            f"{_percent(each.low)} to {_percent(each.high)}",
            f"{each.n:,}",
            _percent(each.confidence, 2),
            *_share(each.correct, each.n),
        )
        for each in bins
    ]
    last = bins[-1]
    alt = (
        f"Accuracy against confidence: calibration error {_percent(scores.ece, 2)}; of the {last.n:,} "
        f"images in the surest bin, mean confidence {_percent(last.confidence, 2)}, "
        f"{_percent(last.correct / last.n, 2)} are right"
    )
    text = (
        f"How often answers of a confidence are right, in {CALIBRATION_BINS} bins of equal width. The "
        f"calibration error is the mean distance from the diagonal, weighted by images: "
        f"{_percent(scores.ece, 2)}."
    )
    columns = ("confidence", "images", "its mean", "accuracy", "95 % interval")
    return _figure("Reliability", text, picture, alt, _table("Bins with images", columns, rows))


def _curves(picture: "Picture", curves: dict[str, findings.Curves]) -> str:
    parts = {"batch": "its own batch", "validation": "held out", "notebook": "notebook's"}
    columns = {
        f"{name}, {title}": dict(getattr(each, part))
        for part, title in parts.items()
        for name, each in curves.items()
        if getattr(each, part)
    }
    seen = sorted({samples for points in columns.values() for samples in points})
    every = -(-len(seen) // MAX_ROWS)
    kept = [samples for k, samples in enumerate(seen, 1) if k % every == 0 or k == len(seen)]
    rows = [
        (
            f"{samples:,}",
            *(
                ("" if samples not in points else _value(name, points[samples]))
                for name, points in columns.items()
            ),
        )
        for samples in kept
    ]
    first_last = "; ".join(
        f"{name} from {_value(name, points[min(points)])} to {_value(name, points[max(points)])}"
        for name, points in columns.items()
    )
    alt = f"Loss and accuracy over {seen[-1]:,.0f} images seen: {first_last}"
    text = "Loss and accuracy as the run went, each after its step, on that step's own batch"
    text += ", and on the images held out." if any(each.validation for each in curves.values()) else "."
    if curves["loss"].notebook:
        text += (
            " Beside them what the TensorFlow notebook, whose recipe this is, printed when published."
        )
    thinned = f", every {every} rows" if every > 1 else ""
    table = _table(f"Rows{thinned}", ("images seen", *columns), rows)
    return _figure("Training", text, picture, alt, table)


def _mistakes(subject: Subject, wrong: Sequence[findings.Mistake], names: Sequence[str]) -> str:
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
        share, interval = _share(right, rest, 2)
        said.append(
            f"The labels of {len(disputed)} test images of MNIST are disputed: fewer than three of five "
            "raters gave them back (Northcutt, Athalye and Mueller 2021; Cleanlab’s “label errors”). "
            f"{len(among)} of them are among these mistakes. Without the {len(disputed)}, {share} are "
            f"right, {right:,} of {rest:,} (95 % interval {interval})."
        )
    cards = "".join(
        _card(subject, each, names, is_disputed=each.number in disputed) for each in wrong[:MAX_MISTAKES]
    )
    paragraphs = "".join(f"<p>{html.escape(text)}</p>\n" for text in said)
    return paragraphs + (f'<ul class="gallery">\n{cards}</ul>' if cards else "")


def _card(
    subject: Subject, mistake: findings.Mistake, names: Sequence[str], *, is_disputed: bool
) -> str:
    (answer, confidence), truth = mistake.top[0], html.escape(names[mistake.label])
    answered = html.escape(names[answer])
    shares = "".join(
        f'<li style="--share: {share * 100:.1f}%"><span>{html.escape(names[k])}'
        f"{' (true)' if k == mistake.label else ''}</span> <span>{_percent(share)}</span></li>"
        for k, share in mistake.top
    )
    mark = '<div class="mark">label disputed</div>' if is_disputed else ""
    return (
        f'<li><img width="28" height="28" src="{_data(to_png(subject.reading.images[mistake.number]))}" '
        f'alt="Image {mistake.number}: {truth}, read as {answered} ({_percent(confidence)})">'
        f'<div class="number">no. {mistake.number}</div>'
        f"<div>{truth} read as <strong>{answered}</strong></div>{mark}<ol>{shares}</ol></li>\n"
    )


def _figure(title: str, text: str, picture: "Picture", alt: str, table: str) -> str:
    """A section with a picture for light and dark, and the same in figures."""
    wide = picture.width > 500
    return (
        f'<section class="{"large" if wide else "small"}"><div class="figure"><h2>{title}</h2>\n'
        f"<p>{html.escape(text)}</p>\n"
        f'<div class="scroll"{" tabindex=0" if wide else ""}><picture>'
        '<source media="screen and (prefers-color-scheme: dark)" '
        f'srcset="{_data(picture.dark)}">'
        f'<img class="{"" if wide else "fit"}" width="{picture.width}" alt="{html.escape(alt)}." '
        f'src="{_data(picture.light)}"></picture></div></div>\n'
        f"<details><summary>In figures</summary>{table}</details></section>"
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


def _percent(share: float, digits: int = 1) -> str:
    return f"{share * 100:.{digits}f} %"


def _interval(interval: tuple[float, float], digits: int = 1) -> str:
    return " to ".join(_percent(each, digits) for each in interval)


def _share(correct: int, n: int, digits: int = 1) -> tuple[str, str]:
    """A share and its 95 % interval in words; dashes where there is nothing to share."""
    if not n:
        return "–", "–"
    return _percent(correct / n, digits), _interval(wilson_interval(correct, n), digits)


def _value(name: str, value: float) -> str:
    return f"{value:.4f}" if name.startswith("loss") else _percent(value)


def _printable(name: str) -> str:
    """A name that stays on its line: what cannot be printed as escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in name
    )
