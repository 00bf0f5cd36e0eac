"""A report: one page that needs no network, and its figures as PNG files beside it."""

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from birnn_cli.data import published
from birnn_cli.evaluation import CALIBRATION_BINS, wilson_interval
from birnn_cli.files import write_atomically
from birnn_cli.reader.decode import encode_png
from birnn_cli.report import figures
from birnn_cli.report.figures import Picture
from birnn_cli.report.findings import MAX_MISTAKES, MAX_UNFOLDED_MISTAKES, Findings
from birnn_cli.runs import checkpoint
from birnn_cli.text import percent, printable

PAGE = "index.html"


def write(folder: Path, report: Findings) -> Path:
    """Write a report into a folder, and return the page; files of the same names are replaced.

    The same input gives the same bytes. An OSError says that a file cannot be written.
    """
    pictures = figures.draw_all(report)
    page = render(report, pictures)
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        if picture:
            write_atomically(folder / name, picture.png)
        else:  # one of an older report goes
            (folder / name).unlink(missing_ok=True)
    write_atomically(folder / PAGE, page.encode())
    return folder / PAGE


def render(report: Findings, pictures: Mapping[str, Picture | None]) -> str:
    """The page as HTML, without figures where no pictures are given; the template escapes all text."""
    html = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    html.filters |= {"number": "{:,}".format, "percent": percent, "printable": printable}
    html.filters |= {"png": encode_png, "base64": b64encode}
    html.filters["data_set_title"] = published.title
    page = html.get_template("page.html").render(
        report=report,
        pictures=pictures,
        versions=checkpoint.versions(),
        wilson_interval=wilson_interval,
        num_bins=CALIBRATION_BINS,
        max_mistakes=MAX_MISTAKES,
        max_unfolded=MAX_UNFOLDED_MISTAKES,
    )
    return page.replace(" %", "\N{NO-BREAK SPACE}%")  # a number and its unit stay on one line
