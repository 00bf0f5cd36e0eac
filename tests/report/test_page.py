"""The page of a report: what it says, that it needs no network, and what it leaves untouched."""

import base64
import io
import json
import os
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from birnn_cli.evaluation import LabelledLogits, wilson_interval
from birnn_cli.report import findings, page
from tests.conftest import run_birnn
from tests.report.inputs import DIGITS, findings_of, random_outputs, run_config, write_metrics

PICTURES = {"confusion.png", "reliability.png", "classes.png", "curves.png", "mistakes.png"}


class Page(HTMLParser):
    """A page's elements, and whether they close in order."""

    EMPTY = frozenset({"meta", "link", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data.replace("\xa0", " ")

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of this name."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on a run of the notebook's recipe, with more mistakes than are shown."""
    folder = tmp_path_factory.mktemp("secret-place") / "my-run"
    folder.mkdir()
    rows = [
        {"step": 10 * k, "samples": 1280 * k, "loss": 2 / k, "accuracy": 1 - 0.5 / k}
        for k in range(1, 79)
    ]
    rows.append(
        {"step": 781, "samples": 99_968, "validation_loss": 0.125, "validation_accuracy": 0.9625}
    )
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page.write(folder / "report", findings_of(random_outputs(400), folder))
    return folder / "report"


def read(folder: Path) -> Page:
    """The page of a report."""
    return Page((folder / "index.html").read_text(encoding="utf-8"))


def test_a_report_is_one_small_page_and_its_pictures(written: Path) -> None:
    assert {path.name for path in written.iterdir()} == {"index.html", *PICTURES}
    assert (written / "index.html").stat().st_size < 2_000_000
    for name in PICTURES:
        with Image.open(written / name) as picture:
            assert picture.format == "PNG" and not picture.info.get("Software")
            assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_the_page_fetches_nothing_and_says_so_to_the_browser(written: Path) -> None:
    found = read(written)
    for tag, attributes in found.elements:
        assert tag not in ("script", "iframe", "object", "embed", "a")
        for name in ("src", "href", "srcset", "data", "poster"):
            assert (attributes.get(name) or "data:").startswith("data:")
    text = (written / "index.html").read_text(encoding="utf-8")
    assert "://" not in text and "url(" not in text and "@import" not in text
    assert any("default-src 'none'" in (each.get("content") or "") for each in found.all("meta"))


def test_every_image_has_an_alt_text_and_every_figure_a_table(written: Path) -> None:
    found = read(written)
    for image in found.all("img"):
        assert image["alt"]
    figures = [image for image in found.all("img") if image["width"] != "28"]
    assert len(figures) == len(found.all("table")) == found.text.count("As a table") == 4
    assert all(any(char.isdigit() for char in image["alt"] or "") for image in figures)


def test_dark_pages_invert_the_figures_and_never_the_images_of_digits(written: Path) -> None:
    text = (written / "index.html").read_text(encoding="utf-8")
    dark = text.partition("@media screen and (prefers-color-scheme: dark)")[2].partition("\n}")[0]
    assert ".scroll img { filter: invert" in dark and text.count("filter:") == 1
    digits = text.partition('<ul class="gallery">')[2]
    assert "<img" in digits and "scroll" not in digits


def test_the_page_names_the_checkpoint_and_no_place_on_this_machine(written: Path) -> None:
    text = (written / "index.html").read_text(encoding="utf-8")
    assert "my-run" in text and "birnn 9.8.7" in text
    assert "secret-place" not in text and str(written.parent) not in text


def test_the_gallery_says_how_many_mistakes_it_leaves_out(written: Path) -> None:
    outputs = random_outputs(400)
    wrong = int((outputs.logits.argmax(axis=1) != outputs.labels).sum())
    found = read(written)
    assert wrong > findings.MAX_MISTAKES
    assert sum(image["width"] == "28" for image in found.all("img")) == findings.MAX_MISTAKES
    assert f"{wrong - findings.MAX_MISTAKES} more are not shown" in found.text


def test_mistakes_after_the_first_dozen_are_folded(written: Path) -> None:
    text = (written / "index.html").read_text(encoding="utf-8")
    shown, _, folded = text.partition('<ul class="gallery">')[2].partition(
        "</ul><details><summary>48 more"
    )
    assert (shown.count("<img"), folded.count("<img")) == (12, 48)
    assert "<details" not in shown


def test_the_conditions_come_last_and_the_data_set_has_its_name_in_prose(written: Path) -> None:
    found = read(written)
    before, _, conditions = found.text.partition("Conditions")
    assert "my-run reads" in before and "test images of MNIST" in before
    for name in ("Recipe", "Seed", "Trained with"):
        assert name in conditions and name not in before
    assert "mnist" not in found.text


@pytest.mark.parametrize("has_run", [False, True])
def test_without_training_curves_a_table_stands_beside_the_reliability(
    has_run: bool, tmp_path: Path
) -> None:
    if has_run:
        write_metrics(tmp_path)
    page.write(tmp_path, findings_of(random_outputs(60), tmp_path))
    opened = [each for each in read(tmp_path).all("details") if "open" in each]
    assert len(opened) == (0 if has_run else 1)


def test_a_gallerys_image_is_the_one_that_was_read(written: Path) -> None:
    outputs = random_outputs(400)
    first = findings_of(outputs, written.parent).mistakes[0]
    shown = next(image for image in read(written).all("img") if image["width"] == "28")
    png = base64.b64decode((shown["src"] or "").partition(",")[2])
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), outputs.images[first.number])
    assert (shown["alt"] or "").startswith(
        f"Image {first.number}: {first.label}, read as {first.top[0][0]}"
    )


NASTY = (
    "<script>alert(1)</script>",
    "a\" onload='x'",
    "$x_{1$",
    "&amp;",
    "two\nlines\x1b",
    "名前",
    "b" * 60,
)


def test_class_names_are_text_and_never_markup(tmp_path: Path) -> None:
    """Nor formulas to matplotlib, nor more than one line."""
    page.write(tmp_path, findings_of(random_outputs(60, NASTY), tmp_path, dataset="/home/<b>"))
    found = read(tmp_path)
    assert not found.all("script") and not found.all("b")
    assert not any("onload" in attributes for _, attributes in found.elements)
    for name in (*NASTY[:4], "two\\nlines\\x1b", *NASTY[5:]):
        assert name in found.text
    assert "/home" not in found.text


def test_without_mistakes_there_is_no_gallery_and_without_images_no_accuracy(tmp_path: Path) -> None:
    labels = np.array([0, 2, 2])
    logits = (9 * np.eye(10, dtype=np.float32))[labels]
    outputs = LabelledLogits(np.zeros((3, 28, 28), np.uint8), labels, logits, DIGITS)
    page.write(tmp_path, findings_of(outputs, tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", *PICTURES} - {
        "mistakes.png",
        "curves.png",
    }
    found = read(tmp_path)
    assert "all 3 images are read correctly" in found.text and "100.00 % correct" in found.text
    assert found.text.count("–") == 2 * 8  # accuracy and interval of the eight classes


def test_very_many_classes_are_drawn_and_listed(tmp_path: Path) -> None:
    classes = tuple(f"class {k}" for k in range(60))
    page.write(tmp_path, findings_of(random_outputs(600, classes), tmp_path))
    found = read(tmp_path)
    assert all(name in found.text for name in classes)


DISPUTED = [947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729]


def page_text(dataset: str, split: str, n: int, wrong: list[int], folder: Path) -> str:
    """The text of a page without figures where these of n images are read wrongly."""
    predicted = np.zeros(n, np.int64)
    predicted[[number for number in wrong if number < n]] = 1
    logits = 9 * np.eye(10, dtype=np.float32)[predicted]
    outputs = LabelledLogits(np.zeros((n, 28, 28), np.uint8), np.zeros(n, np.int64), logits, DIGITS)
    report = findings_of(outputs, folder / "run", run_config(), dataset, split)
    return " ".join(Page(page.render(report, {})).text.split())


def test_disputed_labels_are_named_for_mnists_test_images_alone(tmp_path: Path) -> None:
    wrong = [*DISPUTED, 0, 948, 9999]
    assert (
        page_text("mnist", "test", 10_000, wrong, tmp_path).count("label disputed")
        == len(DISPUTED)
        == 15
    )
    for dataset, split in (("mnist", "validation"), ("qmnist", "test"), ("/data/mnist", "test")):
        assert "disputed" not in page_text(dataset, split, 10_000, wrong, tmp_path)


def test_the_accuracy_without_disputed_labels_needs_all_of_them(tmp_path: Path) -> None:
    low, high = (f"{100 * end:.2f} %" for end in wilson_interval(9714, 9715))
    text = page_text("mnist", "test", 9730, [947, 9729, 5], tmp_path)
    assert "2 of them are among the mistakes" in text
    assert f"correct: 9,714 of 9,715 (95 % interval {low} to {high})" in text
    fewer = page_text("mnist", "test", 9729, [947, 9729, 5], tmp_path)
    assert fewer.count("label disputed") == 1 and "Without" not in fewer


def test_the_same_input_gives_the_same_bytes_and_changes_no_setting(tmp_path: Path) -> None:
    write_metrics(tmp_path)
    for name, size in (("once", 10), ("again", 17)):
        with matplotlib.rc_context({"font.size": size}):  # what a user's own matplotlibrc may say
            before = dict(matplotlib.rcParams)
            page.write(tmp_path / name, findings_of(random_outputs(30), tmp_path))
            assert dict(matplotlib.rcParams) == before
    once, again = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("once", "again")
    )
    assert once == again


def test_a_report_replaces_an_older_one_and_keeps_other_files(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "curves.png").write_bytes(b"of an older report")
    page.write(tmp_path, findings_of(random_outputs(30), tmp_path))
    assert not (tmp_path / "curves.png").exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_eval_writes_the_report_beside_its_result(
    trained: Path, small_data: Path, tmp_path: Path
) -> None:
    options = ("--checkpoint", trained, "--report", "out/report", "-n", 30)
    data = {"BIRNN_DATA_DIR": str(small_data)}
    done = run_birnn("eval", *options, "--json", cwd=tmp_path, **data)
    assert done.code == 0, done.err
    assert done.json["report"] == "out/report/index.html" and done.json["n"] == 30
    assert "the report is out/report/index.html" in done.err
    assert {"index.html", *PICTURES} == {path.name for path in (tmp_path / "out" / "report").iterdir()}
    before = {path: path.read_bytes() for path in (tmp_path / "out" / "report").iterdir()}
    refused = run_birnn("eval", *options[2:], "--checkpoint", "nowhere", cwd=tmp_path, **data)
    assert (refused.code, refused.out) == (1, "")
    assert "out/report holds files already" in refused.err and len(refused.err.splitlines()) == 1
    assert {path: path.read_bytes() for path in (tmp_path / "out" / "report").iterdir()} == before
    failed = run_birnn("eval", "--report", "new/report", "--dataset", "nowhere", cwd=tmp_path, **data)
    assert failed.code != 0 and not (tmp_path / "new").exists()
    for folder in (trained, trained.parent):
        read_too = ("--checkpoint", trained, "--report", folder, "--force", "--json")
        refused = run_birnn("eval", *read_too, cwd=tmp_path, **data)
        assert (refused.code, refused.out) == (2, "") and "which is to be read" in refused.err


@pytest.mark.parametrize("library", ["matplotlib", "jinja2"])
def test_without_a_library_the_extra_is_named_before_anything_is_read(
    library: str, tmp_path: Path
) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / f"{library}.py").write_text(f"raise ImportError(\"No module named '{library}'\")\n")
    path = os.pathsep.join([str(blocked), os.environ.get("PYTHONPATH", "")])
    done = run_birnn(
        "eval", "--report", "out", "--checkpoint", "nowhere", "--json", cwd=tmp_path, PYTHONPATH=path
    )
    assert (done.code, done.json["error"]["code"]) == (1, "config")
    assert f"{library} is not installed" in done.err
    assert "pip install jinja2 matplotlib" in done.err and len(done.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
    plain = run_birnn("eval", "--checkpoint", "nowhere", cwd=tmp_path, PYTHONPATH=path)
    assert library not in plain.err
