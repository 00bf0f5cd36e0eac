"""What commands write: scores, curves, notes."""

import numpy as np
import pytest

from birnn_cli.cli import console
from birnn_cli.evaluation import score


def test_a_sparkline_goes_from_the_lowest_block_to_the_highest() -> None:
    assert console.sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert console.sparkline([3.0, 1.0, 2.0]) == "█▁▅"  # the middle is 3.5 of 7, rounded to even
    assert console.sparkline([5, 5]) == "▁▁"
    assert console.sparkline([5]) == "▁"


def test_of_many_values_a_sparkline_shows_means() -> None:
    assert console.sparkline([0.0] * 400 + [1.0] * 400) == "▁" * 20 + "█" * 20


@pytest.mark.parametrize("classes", [3, 13])  # as a table, and as a list
def test_a_class_name_cannot_steer_the_terminal(
    classes: int, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("a\x1b[31m", "b\nc", *map(str, range(classes - 2)))
    scores = score(np.eye(classes, dtype=np.float32), np.arange(classes), names)
    console.show_evaluation(scores, "scores")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "a\\x1b[31m" in out and "b\\nc" in out


def test_quiet_silences_notes_and_not_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet in (False, True):
        console.note_unless(quiet)("the report is page.html")
        console.warn("a folder without images")
    out, err = capsys.readouterr()
    assert out == ""
    warning = "warning: a folder without images"
    assert err.splitlines() == ["the report is page.html", warning, warning]


def test_a_confusion_matrix_too_wide_for_its_terminal_is_a_list(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tuple("abcdefghijkl")
    scores = score(np.eye(12, dtype=np.float32).repeat(100, axis=0), np.arange(12).repeat(100), names)
    for columns in (40, 60, 80):
        monkeypatch.setenv("COLUMNS", str(columns))
        console.show_evaluation(scores, "scores")
        out = capsys.readouterr().out
        assert all(f"{name} " in out for name in names)
        assert ("rows: true" in out) == (columns >= 80)


@pytest.mark.parametrize("columns", [60, 80])
def test_curves_fit_the_terminal(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    console.show_curves([{"validation_accuracy": k / 100, "loss": 1000.0 - k} for k in range(101)])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= columns
