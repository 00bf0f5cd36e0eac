"""`birnn predict --explain`: the file, the terminal, and what cannot be explained."""

import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from birnn_cli.cli import explanation
from birnn_cli.errors import ConfigError
from tests.conftest import EXAMPLES, run_birnn

SEVEN = EXAMPLES / "digits" / "7-photo.jpg"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a 7, an empty page, a file that is no picture, and a folder of two pictures."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "two").mkdir()
    for name in ("7.jpg", "two/a.jpg", "two/b.jpg"):
        (folder / name).write_bytes(SEVEN.read_bytes())
    Image.new("L", (60, 90), 255).save(folder / "blank.png")
    (folder / "text.png").write_bytes(b"hello")
    return folder


def test_the_file_is_a_picture_and_the_result_is_what_it_is_without(here: Path, tmp_path: Path) -> None:
    file = tmp_path / "how.png"
    plain = run_birnn("predict", "7.jpg", cwd=here)
    done = run_birnn("predict", "7.jpg", "--explain", file, cwd=here)
    assert (done.code, done.out, done.err) == (0, plain.out, plain.err)
    with Image.open(file) as picture:
        assert picture.format == "PNG" and picture.width == 1210
    content = file.read_bytes()
    file.write_bytes(b"mine")
    done = run_birnn("predict", "7.jpg", "--explain", file, "-q", cwd=here)
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
    assert "exists already" in done.err and "--force" in done.err and file.read_bytes() == b"mine"
    run_birnn("predict", "7.jpg", "--explain", file, "--force", cwd=here)
    assert file.read_bytes() == content


def test_the_terminal_shows_a_line_a_row_plain_in_a_pipe(here: Path) -> None:
    done = run_birnn("predict", "7.jpg", "--explain", "-", "-q", cwd=here)
    assert done.out.startswith(run_birnn("predict", "7.jpg", "-q", cwd=here).out) and done.err == ""
    lines = done.out.splitlines()[4:]
    assert [int(line.split()[0]) for line in lines] == list(range(28))
    assert lines[0].split()[3:5] == lines[27].split()[1:3] == ["7", "100%"]
    assert "@@" in done.out and "\x1b" not in done.out
    colours = {"NO_COLOR": "", "FORCE_COLOR": "1", "COLORTERM": "truecolor", "TERM": "xterm-256color"}
    done = run_birnn("predict", "7.jpg", "--explain", "-", "-q", cwd=here, **colours)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", done.out).splitlines()
    assert "48;2;255;255;255" in done.out and max(map(len, shown)) <= 80 and len(shown) == 32


@pytest.mark.parametrize(("name", "code"), [("blank.png", 0), ("text.png", 1), ("nowhere.png", 1)])
def test_without_a_prediction_there_is_the_usual_line_and_no_file(
    here: Path, tmp_path: Path, name: str, code: int
) -> None:
    done = run_birnn("predict", name, "--explain", tmp_path / "how.png", cwd=here)
    assert (done.code, done.out) == (code, run_birnn("predict", name, cwd=here).out)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (("7.jpg", "blank.png", "--explain", "how.png"), "one picture", 2),
        (("two", "--explain", "-"), "one picture", 1),
        (("7.jpg", "--several", "--explain", "how.png"), "--several", 2),
        (("7.jpg", "--explain", "how.jpg"), ".png", 2),
        (("7.jpg", "--explain", "no/how.png"), "no folder no", 1),
        (("blank.png", "--explain", "blank.png", "--force"), "is what is to be read", 2),
    ],
)
def test_what_cannot_be_explained_is_one_line(
    here: Path, arguments: tuple[str, ...], words: str, code: int
) -> None:
    done = run_birnn("predict", *arguments, "-q", cwd=here)
    assert (done.code, done.out, len(done.err.splitlines())) == (code, "", 1), done.err
    assert words in done.err and not (here / "how.png").exists()


def test_without_matplotlib_the_line_names_what_to_install_and_the_terminal_still_shows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not there
    with pytest.raises(ConfigError, match="pip install jinja2 matplotlib"):
        explanation.check_target(tmp_path / "how.png", ["7.png"], ["7.png"], force=False)
    explanation.check_target(Path("-"), ["7.png"], ["7.png"], force=False)
