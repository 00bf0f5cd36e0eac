"""What the network reads, drawn on the terminal: by --preview, and by --explain with a dash."""

import re
from pathlib import Path

import numpy as np
from PIL import Image

from tests.conftest import EXAMPLES, run_birnn

SEVEN, ONE = EXAMPLES / "digits" / "7-photo.jpg", EXAMPLES / "digits" / "1-mnist.png"


def test_preview_shows_what_the_network_reads_on_stdout(tmp_path: Path) -> None:
    done = run_birnn("predict", ONE, "--preview", "-q", cwd=tmp_path)
    title, *rows = done.out.splitlines()
    assert title.startswith(f"{ONE}: 1 (") and done.err == ""
    assert len(rows) == 28
    with Image.open(ONE) as picture:
        pixels = np.asarray(picture)
    for row, line in zip(pixels, rows, strict=True):
        assert [column for column in range(28) if line.ljust(56)[2 * column] != " "] == [
            column for column in range(28) if row[column] >= 29
        ]


def test_an_explanation_is_a_line_a_row_plain_in_a_pipe(tmp_path: Path) -> None:
    done = run_birnn("predict", SEVEN, "--explain", "-", "-q", cwd=tmp_path)
    assert done.out.startswith(run_birnn("predict", SEVEN, "-q", cwd=tmp_path).out) and done.err == ""
    lines = done.out.splitlines()[4:]
    assert [int(line.split()[0]) for line in lines] == list(range(28))
    assert lines[0].split()[3:5] == lines[27].split()[1:3] == ["7", "100%"]
    assert "@@" in done.out and "\x1b" not in done.out
    colours = {"NO_COLOR": "", "FORCE_COLOR": "1", "COLORTERM": "truecolor", "TERM": "xterm-256color"}
    done = run_birnn("predict", SEVEN, "--explain", "-", "-q", cwd=tmp_path, **colours)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", done.out).splitlines()
    assert "48;2;255;255;255" in done.out and max(map(len, shown)) <= 80 and len(shown) == 32
