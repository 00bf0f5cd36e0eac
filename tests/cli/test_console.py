"""Notes, which are silenced, and warnings, which are not."""

import pytest

from birnn_cli.cli import console


def test_quiet_silences_notes_and_not_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet in (False, True):
        console.note_unless(quiet)("the report is page.html")
        console.warn("a folder without images")
    out, err = capsys.readouterr()
    assert out == ""
    warning = "warning: a folder without images"
    assert err.splitlines() == ["the report is page.html", warning, warning]
