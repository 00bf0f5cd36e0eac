"""The files that `birnn predict` writes, and how the one of predictions is gone on with."""

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from birnn_cli.cli.outputs import open_predictions
from birnn_cli.errors import OutputError
from birnn_cli.reader.inputs import find_pictures, take_shard
from tests.conftest import EXAMPLES, run_birnn

DIGITS = EXAMPLES / "digits"
SEVEN = DIGITS / "7-photo.jpg"
NAMES = ("a.png", "b.png", "ü\udcff.png", "d.png")


def row(name: str) -> dict[str, object]:
    """A prediction as JSON; its label has two lines, as that of several rows of digits."""
    return {"path": name, "status": "ok", "label": '7\n"8"', "probability": 0.5, "error": None}


def write(path: Path, **options: bool) -> None:
    """Add a prediction for each picture that has none in the file."""
    with open_predictions(path, **options) as file:
        for name in NAMES:
            if name not in file.done:
                file.add(row(name))


@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
def test_a_file_cut_anywhere_and_gone_on_with_is_the_uncut_one(ending: str, tmp_path: Path) -> None:
    whole = tmp_path / f"whole{ending}"
    write(whole)
    content = whole.read_bytes()
    assert content.count(b"\n") == (len(NAMES) if ending == ".jsonl" else 1 + 2 * len(NAMES))
    for cut in range(len(content)):
        file = tmp_path / f"cut{ending}"
        file.write_bytes(content[:cut])
        write(file, skip_existing=True)
        assert file.read_bytes() == content, cut


def test_a_picture_saved_by_an_earlier_run_is_not_replaced_by_another_of_its_name(
    tmp_path: Path,
) -> None:
    pictures = [tmp_path / folder / "a.jpg" for folder in "xy"]
    for picture, digit in zip(pictures, ("7-photo.jpg", "3-marker.png"), strict=True):
        picture.parent.mkdir()
        picture.write_bytes((DIGITS / digit).read_bytes())
    options = ["--output", "o.csv", "--save-input", "in", "--checkpoint", "shipped"]
    assert run_birnn("predict", str(pictures[0]), *options, cwd=tmp_path).code == 0
    first = (tmp_path / "in" / "a.png").read_bytes()
    rest = run_birnn(
        "predict", *map(str, pictures), *options, "--skip-existing", "--force", cwd=tmp_path
    )
    assert rest.out.endswith("y/a.jpg: 3 (100.0 %)\n")
    assert (tmp_path / "in" / "a.png").read_bytes() == first
    assert (tmp_path / "in" / "a-2.png").read_bytes() != first


def test_a_prediction_is_in_the_file_at_once(tmp_path: Path) -> None:
    file = tmp_path / "predictions.jsonl"
    with pytest.raises(KeyboardInterrupt), open_predictions(file) as predictions:
        predictions.add(row("a.png"))
        assert json.loads(file.read_text()) == row("a.png")
        raise KeyboardInterrupt
    assert json.loads(file.read_text()) == row("a.png")


@pytest.mark.parametrize(
    "content",
    [
        *("mine\n", "[1]\n", '{"path": 3, "status"\n', '{"status": "ok"}\n'),
        *("mine", '{"label": "7"}', 'size 3"\nand more\n', "path,status,mine"),
    ],
)
def test_a_file_of_something_else_is_kept(content: str, tmp_path: Path) -> None:
    for file in (tmp_path / "notes.jsonl", tmp_path / "notes.csv"):
        file.write_text(content)
        with pytest.raises(OutputError, match="line 1"), open_predictions(file, skip_existing=True):
            pass
        assert file.read_text() == content


def test_a_file_that_another_process_writes_is_left_to_it(tmp_path: Path) -> None:
    file = tmp_path / "predictions.jsonl"
    with open_predictions(file) as predictions:
        predictions.add(row("a.png"))
        with (
            pytest.raises(OutputError, match="another process"),
            open_predictions(file, skip_existing=True),
        ):
            pass
    assert json.loads(file.read_text()) == row("a.png")
    assert list(tmp_path.iterdir()) == [file]  # no lock file beside it


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 12])
def test_shards_one_after_the_other_are_the_whole(shards: int) -> None:
    paths = [str(DIGITS), "-", "nowhere.png"]
    found = list(find_pictures(paths))
    parts = [take_shard(found, number, shards) for number in range(1, shards + 1)]
    assert [each for part in parts for each in part] == found


def test_the_command_goes_on_and_remembers_what_failed(tmp_path: Path) -> None:
    shutil.copytree(DIGITS, tmp_path / "scans")
    (tmp_path / "scans" / "1-mnist.png").write_bytes(b"no picture")
    file = tmp_path / "predictions.jsonl"
    done = run_birnn("predict", "scans", "--output", file, cwd=tmp_path)
    assert done.code == 1
    content = file.read_bytes()
    file.write_bytes(content[:-7])
    done = run_birnn("predict", "scans", "--output", file, "--skip-existing", cwd=tmp_path)
    assert (done.code, len(done.out.splitlines())) == (1, 1)
    assert file.read_bytes() == content


def test_skipping_needs_a_file_and_a_share_is_one_of_all(tmp_path: Path) -> None:
    assert run_birnn("predict", "x.png", "--skip-existing", cwd=tmp_path).code == 2
    for share in ("0/2", "3/2", "1", "a/b", "1/2/3", "-1/2"):
        assert run_birnn("predict", "x.png", "--shard", share, cwd=tmp_path).code == 2


def test_a_picture_that_is_to_be_read_is_no_output(tmp_path: Path) -> None:
    picture, link = tmp_path / "7.jpg", tmp_path / "link.jsonl"
    shutil.copy(SEVEN, picture)
    link.symlink_to(picture)
    for output, words in ((picture, ".jsonl or .csv"), (link, "is what is to be read")):
        done = run_birnn("predict", picture, "--output", output, "--force", "--json", cwd=tmp_path)
        assert done.code == 2 and not done.out
        assert words in done.err.splitlines()[-1]
    assert picture.read_bytes() == (SEVEN).read_bytes()


def test_pictures_beside_or_below_what_is_read_are_refused_before_anything_is_read(
    tmp_path: Path,
) -> None:
    shutil.copytree(DIGITS, tmp_path / "scans")
    before = {path: path.read_bytes() for path in (tmp_path / "scans").iterdir()}
    for option in ("--save-input", "--save-stages"):
        for folder in ("scans", "scans/new", "."):
            done = run_birnn("predict", "scans", option, folder, "--force", "--json", cwd=tmp_path)
            assert (done.code, done.out) == (2, "") and option in done.err.splitlines()[-1]
    assert {path: path.read_bytes() for path in (tmp_path / "scans").iterdir()} == before


def test_a_link_in_a_folder_of_outputs_does_not_lead_to_an_original(tmp_path: Path) -> None:
    shutil.copy(SEVEN, tmp_path / "7.jpg")
    (tmp_path / "precious.png").write_bytes(b"mine")
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen" / "7.png").symlink_to(tmp_path / "precious.png")
    done = run_birnn("predict", "7.jpg", "--save-input", "seen", "--force", cwd=tmp_path)
    assert done.code == 1 and "is a link out of its folder" in done.err
    assert (tmp_path / "precious.png").read_bytes() == b"mine"


def test_csv_has_a_header_and_other_endings_are_refused(tmp_path: Path) -> None:
    done = run_birnn("predict", SEVEN, "no.png", "--output", "x.csv", cwd=tmp_path)
    assert done.code == 1
    with (tmp_path / "x.csv").open(newline="") as file:
        header, seven, missing = csv.reader(file)
    assert header == ["path", "status", "label", "probability", "error"]
    assert seven[1:3] == ["ok", "7"] and 0.9 < float(seven[3]) <= 1 and seven[4] == ""
    assert missing == ["no.png", "error", "", "", "no such file"]
    refused = run_birnn("predict", "no.png", "--output", "x.txt", cwd=tmp_path)
    assert refused.code == 2 and "expected a file ending in .jsonl or .csv" in refused.err
    assert not (tmp_path / "x.txt").exists()


def test_a_pipe_gets_json_lines(tmp_path: Path) -> None:
    done = run_birnn("predict", SEVEN, "-q", "--json", "--output", "/dev/stderr", cwd=tmp_path)
    assert done.code == 0 and done.err == done.out


def test_with_nothing_left_to_do_it_says_so(tmp_path: Path) -> None:
    arguments = ("predict", SEVEN, "--output", "x.jsonl")
    run_birnn(*arguments, cwd=tmp_path)
    done = run_birnn(*arguments, "--skip-existing", cwd=tmp_path)
    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines()[-1] == "nothing to do: the one picture is in x.jsonl already"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every file name is text")
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_name_that_is_no_text_is_kept_in_every_output_and_known_again(
    ending: str, tmp_path: Path
) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    (tmp_path / "in").mkdir()
    shutil.copy(DIGITS / "1-mnist.png", tmp_path / "in" / name)
    arguments = ("predict", "in", "--output", f"x.{ending}", "--save-input", "seen")
    assert run_birnn(*arguments, cwd=tmp_path).code == 0
    assert [path.name for path in (tmp_path / "seen").iterdir()] == [name]
    again = run_birnn(*arguments, "--skip-existing", "--force", cwd=tmp_path)
    assert (again.code, again.out) == (0, "")
    assert "nothing to do" in again.err


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


def test_an_explanation_is_a_picture_and_the_result_is_what_it_is_without(
    here: Path, tmp_path: Path
) -> None:
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
    here: Path, tmp_path: Path
) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ImportError(\"No module named 'matplotlib'\")\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    arguments = ("predict", "7.jpg", "-q", "--explain")
    done = run_birnn(*arguments, tmp_path / "how.png", cwd=here, PYTHONPATH=path)
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
    assert "matplotlib is not installed" in done.err and "pip install jinja2 matplotlib" in done.err
    done = run_birnn(*arguments, "-", cwd=here, PYTHONPATH=path)
    assert (done.code, done.err) == (0, "") and "row t:" in done.out
