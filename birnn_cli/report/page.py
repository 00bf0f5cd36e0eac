"""A report: one page that needs no network, and its figures as PNG files beside it."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from birnn_cli.files import check_output, write_atomically
from birnn_cli.optional import require
from birnn_cli.reader.decode import encode_png
from birnn_cli.report.findings import Mistake, ReportInput, mistakes, score_undisputed
from birnn_cli.text import percent

if TYPE_CHECKING:
    from birnn_cli.report.sections import Section

PAGE = "index.html"
MAX_MISTAKES = 60


def prepare(folder: Path, *, force: bool) -> None:
    """Refuse, before anything is read, what would end without a report in the folder.

    Raises:
        ConfigError: matplotlib or Jinja2 is not installed.
        OutputExistsError: The folder is a file; or it holds files, and nothing is forced.
    """
    for library in ("matplotlib", "jinja2"):
        require(library, "report")
    check_output(folder, "--report", force=force, folder=True)


def write(folder: Path, report: ReportInput) -> Path:
    """Write a report into a folder that `prepare` let pass; the same input gives the same bytes.

    Returns:
        The page.

    Raises:
        OSError: A file cannot be written.
    """
    from birnn_cli.report import figures, sections  # with matplotlib, which `prepare` has asked for

    parts = {
        "confusion.png": sections.confusion(report),
        "classes.png": sections.classes(report),
        "reliability.png": sections.reliability(report),
        "curves.png": sections.training(report),
    }
    wrong = mistakes(report.outputs)
    pictures = {name: part.picture if part else None for name, part in parts.items()}
    shown = wrong[:MAX_MISTAKES]
    pictures["mistakes.png"] = figures.mistakes_sheet(report, shown) if shown else None
    page = render(report, filter(None, parts.values()), wrong)
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        if picture:
            write_atomically(folder / name, picture.light)
        else:  # one of an older report goes
            (folder / name).unlink(missing_ok=True)
    write_atomically(folder / PAGE, page.encode())
    return folder / PAGE


def render(report: ReportInput, parts: "Iterable[Section]", wrong: Sequence[Mistake]) -> str:
    """The page as HTML; the template escapes all text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from birnn_cli.report.sections import facts

    html = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    html.filters |= {"number": "{:,}".format, "percent": percent, "png": encode_png, "base64": b64encode}
    page = html.get_template("page.html").render(
        report=report,
        facts=facts(report),
        sections=parts,
        wrong=wrong,
        shown=wrong[:MAX_MISTAKES],
        undisputed=score_undisputed(report),
    )
    return page.replace(" %", "\N{NO-BREAK SPACE}%")  # a number and its unit stay on one line
