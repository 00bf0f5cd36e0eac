"""A report: one page that needs no network, and its pictures as PNG files beside it."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from birnn_cli.errors import OutputExistsError
from birnn_cli.files import write_atomically
from birnn_cli.optional import require
from birnn_cli.reader.decode import encode_png
from birnn_cli.report.findings import Mistake, Subject, curves, mistakes, undisputed
from birnn_cli.text import percent

if TYPE_CHECKING:
    from birnn_cli.report.sections import Section

PAGE = "index.html"
MAX_MISTAKES = 60
PICTURES = ("confusion.png", "reliability.png", "classes.png", "curves.png", "mistakes.png")


def prepare(folder: Path, *, force: bool) -> None:
    """Make sure that a report can be written, before the work that it tells of.

    Args:
        folder: Where to; made when it is not there.
        force: Whether files in it may be replaced.

    Raises:
        ConfigError: matplotlib or Jinja2 is not installed.
        OutputExistsError: The folder holds something already, and nothing is forced; or it is a file.
        OSError: It cannot be made.
    """
    for library in ("matplotlib", "jinja2"):
        require(library, "report")
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{folder} is a file, expected a folder: name another --report")
    if not force and folder.exists() and any(folder.iterdir()):
        raise OutputExistsError(f"{folder} holds files already: name another --report, or add --force")
    folder.mkdir(parents=True, exist_ok=True)


def write(folder: Path, subject: Subject) -> Path:
    """Write a report into a folder that `prepare` made; the same subject gives the same bytes.

    Returns:
        The page.

    Raises:
        OSError: A file cannot be written.
    """
    from birnn_cli.report import figures, sections

    parts = {
        "confusion.png": sections.confusion(subject),
        "classes.png": sections.classes(subject),
        "reliability.png": sections.reliability(subject),
    }
    if course := curves(subject.path.parent, subject.metadata):
        parts["curves.png"] = sections.training(course)
    pictures = {name: part.picture for name, part in parts.items()}
    wrong = mistakes(subject.reading)
    if first := wrong[:MAX_MISTAKES]:
        pictures["mistakes.png"] = figures.render(lambda: figures.sheet(subject, first))
    page = render(subject, parts.values(), wrong)
    for name in PICTURES:  # those of an older report go, where this one has none of the name
        if name in pictures:
            write_atomically(folder / name, pictures[name].light)
        else:
            (folder / name).unlink(missing_ok=True)
    write_atomically(folder / PAGE, page.encode())
    return folder / PAGE


def render(subject: Subject, parts: "Iterable[Section]", wrong: Sequence[Mistake]) -> str:
    """The page as HTML; what is text is escaped in the template, and nowhere else."""
    from jinja2 import Environment, StrictUndefined

    from birnn_cli.report.sections import facts

    html = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    html.filters |= {"number": "{:,}".format, "percent": percent, "png": encode_png, "base64": b64encode}
    page = html.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8")).render(
        subject=subject,
        facts=facts(subject),
        sections=parts,
        wrong=wrong,
        shown=wrong[:MAX_MISTAKES],
        undisputed=undisputed(subject),
    )
    return page.replace(" %", "\N{NO-BREAK SPACE}%")  # a number and its unit stay on one line
