"""The lesson runs from top to bottom, and finds what its text says; the file is fit to be looked at."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import EXAMPLES

LESSON = EXAMPLES / "lesson.ipynb"


def printed(lesson: nbformat.NotebookNode) -> dict[str, str]:
    """What each cell printed, by the cell's id."""
    return {
        cell.id: "".join(output.get("text", "") for output in cell.outputs)
        for cell in lesson.cells
        if cell.cell_type == "code"
    }


def check_numbers(text: dict[str, str]) -> None:
    """The numbers that the text names; those of a training within what another machine may change."""
    for cell in ("lstm-step", "lstm-all"):
        difference = re.search(r"difference.*: (\S+)", text[cell])
        assert difference and float(difference[1]) < 1e-6
    assert "one direction: 80,384" in text["lstm-all"].replace("numbers to learn in ", "")
    assert "row 27: 90 of 10,000" in text["last-row"]
    trained = re.findall(r"(last|states) +163,338 +781 +(\S+)%", text["train"])
    assert [name for name, _ in trained] == ["last", "states"]
    assert all(95 < float(accuracy) < 98.5 for _, accuracy in trained)
    ends = re.findall(r"(2017|birnn) +(\S+) +(\S+) %", text["curve"])
    assert len(ends) == 2 and all(95 < float(accuracy) < 98 for *_, accuracy in ends)
    first_row = dict(re.findall(r"(?m)^ *(\S+)  (.*)$", text["gradient"].partition("\n")[2]))
    sizes = {name: float(size) for size, name in first_row.items()}
    without, with_bias, large, trained_size = sizes.values()  # in the order of the lesson
    assert 1e-7 < without < 1e-5
    assert 300 < with_bias / without < 5000
    assert large > 10
    assert trained_size > with_bias
    swapped = {part: float(size) for size, part in re.findall(r"(?m)^ +(\S+)  (.*)$", text["swap"])}
    assert swapped["the trained biases"] < 2 * swapped["nothing else"]
    assert swapped["the trained recurrent weights"] > 3 * swapped["nothing else"]


def test_the_lesson_as_kept_has_the_outputs_that_its_text_names_and_nothing_of_the_machine() -> None:
    content = LESSON.read_text(encoding="utf-8")
    assert len(content) < 1_000_000
    for trace in ("/tmp/", "/home/", "/root/", "site-packages", "iopub", "shell.execute"):
        assert trace not in content
    lesson = nbformat.reads(content, as_version=4)
    nbformat.validate(lesson)
    for cell in lesson.cells:
        for output in cell.get("outputs", ()):
            assert output.output_type != "error" and output.get("name") != "stderr"
    check_numbers(printed(lesson))


def test_the_lesson_runs_from_top_to_bottom_and_finds_the_numbers_that_its_text_names(
    real_mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    lesson = nbformat.read(LESSON, as_version=4)
    client = NotebookClient(lesson, timeout=600, resources={"metadata": {"path": str(EXAMPLES)}})
    client.execute()
    check_numbers(printed(lesson))
