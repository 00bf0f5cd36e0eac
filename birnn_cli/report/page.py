"""A report: one page that needs no network, and its pictures as PNG files beside it."""

import html
from collections.abc import Mapping
from pathlib import Path
from string import Template

from birnn_cli.errors import OutputExistsError
from birnn_cli.extras import require
from birnn_cli.files import write_atomically
from birnn_cli.network import checkpoint
from birnn_cli.recipes import RECIPES
from birnn_cli.report import findings, sections
from birnn_cli.report.sections import interval
from birnn_cli.text import percent, printable

TEMPLATE = Path(__file__).parent / "page.html"
PAGE = "index.html"
PICTURES = ("confusion.png", "reliability.png", "classes.png", "curves.png", "mistakes.png")


def prepare(folder: Path, *, force: bool) -> None:
    """Make sure that a report can be written, before the work that it tells of.

    Args:
        folder: Where to; made when it is not there.
        force: Whether files in it may be replaced.

    Raises:
        ConfigError: matplotlib is not installed.
        OutputExistsError: The folder holds something already, and nothing is forced; or it is a file.
        OSError: It cannot be made.
    """
    require("matplotlib", "report")
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{folder} is a file, expected a folder: name another --report")
    if not force and folder.exists() and any(folder.iterdir()):
        raise OutputExistsError(f"{folder} holds files already: name another --report, or add --force")
    folder.mkdir(parents=True, exist_ok=True)


def write(folder: Path, subject: findings.Subject) -> Path:
    """Write a report into a folder that `prepare` made; the same subject gives the same bytes.

    Returns:
        The page.

    Raises:
        OSError: A file cannot be written.
    """
    from birnn_cli.report import figures

    scores, names = subject.scores, tuple(map(printable, subject.reading.classes))
    bins = findings.reliability(subject.reading)
    curves = findings.curves(subject.path.parent, subject.about)
    wrong = findings.mistakes(subject.reading)
    drawn = {
        "confusion.png": figures.render(lambda: figures.confusion(scores, names)),
        "classes.png": figures.render(lambda: figures.class_errors(scores, names)),
        "reliability.png": figures.render(lambda: figures.reliability_diagram(bins)),
    }
    parts = [
        sections.confusion(drawn["confusion.png"], scores, names),
        sections.classes(drawn["classes.png"], scores, names),
        sections.reliability(drawn["reliability.png"], scores, bins),
    ]
    if curves:
        drawn["curves.png"] = figures.render(lambda: figures.learning(curves))
        parts.append(sections.training(drawn["curves.png"], curves))
    if shown := wrong[: sections.MAX_MISTAKES]:
        drawn["mistakes.png"] = figures.render(lambda: figures.sheet(subject.reading, shown, names))
    page = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        **_header(subject), figures="\n".join(parts), mistakes=sections.mistakes(subject, wrong, names)
    )
    for name in PICTURES:  # those of an older report go, where this one has none of the name
        if name in drawn:
            write_atomically(folder / name, drawn[name].light)
        else:
            (folder / name).unlink(missing_ok=True)
    page = page.replace(" %", "\N{NO-BREAK SPACE}%")  # a number and its unit stay on one line
    write_atomically(folder / PAGE, page.encode())
    return folder / PAGE


def _header(subject: findings.Subject) -> dict[str, str]:
    """The page's title, its first lines, and what they hold for."""
    scores, about, config = subject.scores, subject.about, subject.about.config
    dataset = printable(Path(subject.dataset).name)
    images = f"{scores.n:,} {subject.split} images of {dataset}"
    path = subject.path.absolute()
    checkpoint_name = path.parent.name if path.name == checkpoint.FILE_NAME else path.name
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
        "Checkpoint": printable(checkpoint_name),
        "Recipe": ", ".join([config.recipe_name, *changed]),
        "Trained on": printable(Path(config.dataset).name),
        "Seed": str(config.seed),
        "Images seen in training": f"{about.samples:,}",
        "Trained with": _versions(about.versions),
        "Scored with": _versions(checkpoint.versions()),
    }
    accuracy = percent(scores.accuracy, 2)
    return {
        "title": html.escape(f"{accuracy} right of {images}"),
        "accuracy": accuracy,
        "lead": html.escape(f"of {images}. 95 % interval (Wilson's): {interval(scores.ci95, 2)}."),
        "facts": "\n".join(
            f"<div><dt>{name}</dt><dd>{html.escape(text)}</dd></div>" for name, text in facts.items()
        ),
    }


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
