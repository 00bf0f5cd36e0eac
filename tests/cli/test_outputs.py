"""The file of predictions: gone on with wherever it was cut, and in shards that make up the whole."""

import json
import shutil
from pathlib import Path

import pytest

from birnn_cli.cli.outputs import open_predictions
from birnn_cli.errors import OutputError
from birnn_cli.reader.inputs import find_pictures
from tests.conftest import EXAMPLES, run_birnn

DIGITS = EXAMPLES / "digits"
NAMES = ("a.png", "b.png", "ü\udcff.png", "d.png")


def write(path: Path, **options: bool) -> None:
    """Add a prediction for each picture that has none in the file."""
    with open_predictions(path, **options) as file:
        for name in NAMES:
            if name not in file.done:
                file.add(json.dumps({"path": name, "status": "ok", "label": "7"}))


def test_a_file_cut_anywhere_and_gone_on_with_is_the_uncut_one(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    write(whole)
    content = whole.read_bytes()
    assert content.count(b"\n") == len(NAMES)
    for cut in range(len(content)):
        file = tmp_path / "cut.jsonl"
        file.write_bytes(content[:cut])
        write(file, skip_existing=True)
        assert file.read_bytes() == content, cut


def test_a_prediction_is_in_the_file_at_once(tmp_path: Path) -> None:
    file = tmp_path / "predictions.jsonl"
    with pytest.raises(KeyboardInterrupt), open_predictions(file) as predictions:
        predictions.add('{"path": "a.png", "status": "ok"}')
        assert file.read_text() == '{"path": "a.png", "status": "ok"}\n'
        raise KeyboardInterrupt
    assert file.read_text() == '{"path": "a.png", "status": "ok"}\n'


@pytest.mark.parametrize("content", ["mine\n", "[1]\n", '{"path": 3, "status"\n', '{"status": "ok"}\n'])
def test_a_file_of_something_else_is_kept(content: str, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(content)
    with pytest.raises(OutputError, match="line 1"), open_predictions(file, skip_existing=True):
        pass
    assert file.read_text() == content


def test_a_file_that_another_process_writes_is_left_to_it(tmp_path: Path) -> None:
    file = tmp_path / "predictions.jsonl"
    with open_predictions(file) as predictions:
        predictions.add('{"path": "a.png", "status": "ok"}')
        again = open_predictions(file, skip_existing=True)
        with pytest.raises(OutputError, match="another process"), again:
            pass
    assert file.read_text() == '{"path": "a.png", "status": "ok"}\n'


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 12])
def test_shards_one_after_the_other_are_the_whole(shards: int) -> None:
    paths = [str(DIGITS), "-", "nowhere.png"]
    parts = [find_pictures(paths, (number, shards)) for number in range(1, shards + 1)]
    assert [each for part in parts for each in part] == list(find_pictures(paths))


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
    picture, link = tmp_path / "7.jpg", tmp_path / "link"
    shutil.copy(DIGITS / "7-photo.jpg", picture)
    link.symlink_to(picture)
    for output in (picture, link):
        done = run_birnn("predict", picture, "--output", output, "--force", cwd=tmp_path)
        assert done.code == 1 and not done.out
        assert "is what is to be read" in done.err.splitlines()[-1]
    assert picture.read_bytes() == (DIGITS / "7-photo.jpg").read_bytes()
