"""The file of answers: gone on with wherever it was cut, and in shards that make up the whole."""

import json
import shutil
from pathlib import Path

import pytest

from birnn_cli.cli.outputs import Answers
from birnn_cli.errors import OutputError
from birnn_cli.prediction import find_pictures
from tests.conftest import EXAMPLES, run_birnn

DIGITS = EXAMPLES / "digits"
# Of each picture, its path and how many digits are read in it, or None where it is read as one.
PICTURES: list[tuple[str, int | None]] = [
    ("a.png", None),
    ("b.png", 3),
    ("ü\udcff.png", None),
    ("d.png", 2),
]


def write(path: Path, **options: bool) -> None:
    """Answer to all pictures that have none in the file."""
    with Answers(path, **options) as answers:
        for name, digits in PICTURES:
            if name in answers.done:
                continue
            for index in [None] if digits is None else range(digits):
                values: dict[str, object] = {"path": name, "status": "ok", "label": "7"}
                if index is not None:
                    values["index"] = index
                answers.add(json.dumps(values), index)


def test_a_file_cut_anywhere_and_gone_on_with_is_the_uncut_one(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    write(whole)
    content = whole.read_bytes()
    # The answers to a picture get in by one write: what a stopped process leaves ends in a picture's
    # end, or in a torn line.
    lines = content.splitlines(keepends=True)
    ends = {sum(map(len, lines[:n])) for n in range(len(lines) + 1)}
    cuts = [cut for cut in range(len(content)) if cut not in ends or cut in (0, len(lines[0]))]
    for cut in cuts:
        file = tmp_path / "cut.jsonl"
        file.write_bytes(content[:cut])
        write(file, skip_existing=True)
        assert file.read_bytes() == content, cut


def test_a_picture_left_in_the_middle_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    with pytest.raises(KeyboardInterrupt), Answers(file) as answers:
        answers.add('{"path": "a.png", "status": "ok"}', None)
        answers.add('{"path": "b.png", "status": "ok", "index": 0}', 0)
        raise KeyboardInterrupt
    assert file.read_text() == '{"path": "a.png", "status": "ok"}\n'


@pytest.mark.parametrize("content", ["mine\n", "[1]\n", '{"path": 3, "status"\n', '{"status": "ok"}\n'])
def test_a_file_of_something_else_is_kept(content: str, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(content)
    with pytest.raises(OutputError, match="line 1"):
        Answers(file, skip_existing=True)
    assert file.read_text() == content


def test_a_file_that_another_process_writes_is_left_to_it(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    with Answers(file) as answers:
        answers.add('{"path": "a.png", "status": "ok"}', None)
        with pytest.raises(OutputError, match="another process"):
            Answers(file, skip_existing=True)
    assert file.read_text() == '{"path": "a.png", "status": "ok"}\n'


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 12])
def test_shards_one_after_the_other_are_the_whole(shards: int) -> None:
    paths = [str(DIGITS), "-", "nowhere.png"]
    parts = [find_pictures(paths, (number, shards)) for number in range(1, shards + 1)]
    assert [each for part in parts for each in part] == list(find_pictures(paths))


def test_the_command_goes_on_and_remembers_what_failed(tmp_path: Path) -> None:
    shutil.copytree(DIGITS, tmp_path / "scans")
    (tmp_path / "scans" / "1-mnist.png").write_bytes(b"no picture")
    file = tmp_path / "answers.jsonl"
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
        assert "is a picture that is to be read" in done.err.splitlines()[-1]
    assert picture.read_bytes() == (DIGITS / "7-photo.jpg").read_bytes()
