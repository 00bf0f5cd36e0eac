"""Many pictures: shared among processes, predicted in order, stopped at once, no prediction lost."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from birnn_cli import digits, prediction
from birnn_cli.data import strokes
from birnn_cli.errors import ConfigError
from birnn_cli.prediction import (
    CHUNK_FILES,
    MIN_CHUNKS,
    Candidate,
    Options,
    Prediction,
    _likeliest_texts,
    predict,
)
from birnn_cli.reader import decode
from birnn_cli.reader.inputs import Source, find_pictures
from birnn_cli.runs import checkpoint, folders
from tests.conftest import child_environment, run_birnn

MANY = CHUNK_FILES * MIN_CHUNKS + 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough small pictures for several processes, one of them damaged, in two subfolders."""
    folder = tmp_path_factory.mktemp("many")
    pictures, _ = strokes.sample("test", 50)
    for k in range(MANY):
        file = folder / f"{k // 300}" / f"{k:04d}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(decode.encode_png(pictures[k % 50]) if k != 321 else b"no picture")
    return folder


def test_processes_give_the_answers_that_one_gives(folder: Path) -> None:
    network = checkpoint.load(folders.SHIPPED)
    alone, shared = (
        [(answer.source, answer.status, answer.top) for answer in predict(network, inputs, jobs=jobs)]
        for jobs in (1, 3)
        for inputs in [find_pictures([str(folder)])]
    )
    assert alone == shared
    assert [source.path for source, _, _ in alone] == sorted(source.path for source, _, _ in alone)
    assert [source.path for source, status, _ in alone if status == "error"] == [
        str(folder / "1" / "0321.png")
    ]
    assert len(alone) == MANY


def test_one_on_stdin_is_read_among_many_files(folder: Path) -> None:
    file = str(folder / "0" / "0000.png")
    done = run_birnn(
        *("predict", *[file] * 300, "-", *[file] * 300, "--jobs", 2, "-q"),
        cwd=folder,
        stdin=Path(file).read_bytes(),
    )
    lines = [line.rpartition(": ")[2] for line in done.out.splitlines()]
    assert done.code == 0 and len(lines) == 601 and len(set(lines)) == 1


def test_progress_is_on_stderr_and_no_part_of_the_answers(folder: Path) -> None:
    done = run_birnn("predict", folder, "--json", "--jobs", 2, cwd=folder)
    assert len([json.loads(line) for line in done.out.splitlines()]) == MANY
    assert run_birnn("predict", folder, "--json", "-q", cwd=folder).err == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_ends_at_once_with_every_finished_answer_written_whole(
    folder: Path, tmp_path: Path, number: int, code: int
) -> None:
    command = [
        sys.executable,
        "-m",
        "birnn_cli",
        "predict",
        *[str(folder)] * 60,
        "--jobs",
        "2",
        "--json",
    ]
    with subprocess.Popen(
        [*command, "--output", str(tmp_path / "out.jsonl"), "-q"],
        env=child_environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        seen = [child.stdout.readline() for _ in range(300)]
        os.killpg(child.pid, number)  # as a terminal does: every process of the group
        asked = time.monotonic()
        seen += child.stdout.read().splitlines(keepends=True)
        error = child.stderr.read().decode()
        assert child.wait(60) == code, error
        assert time.monotonic() - asked < 20
    assert error == "birnn predict: stopped\n"
    *answers, last = (json.loads(line) for line in seen)
    assert last["status"] == "interrupted" and len(answers) >= 300
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert written[: len(answers)] == answers and len(written) - len(answers) in (0, 1)
    with pytest.raises(ProcessLookupError):  # nobody is left behind
        for _ in range(100):
            os.killpg(child.pid, 0)
            time.sleep(0.1)


def test_memory_does_not_grow_with_the_number_of_files(folder: Path) -> None:
    """Pictures are taken as predictions are, whatever their number."""
    network = checkpoint.load(folders.SHIPPED)
    taken: list[int] = []

    def endless() -> object:
        while True:
            taken.append(1)
            yield Source(str(folder / "0" / "0000.png"))

    answers = predict(network, endless(), Options(), jobs=2)  # type: ignore[arg-type]
    for _ in range(3 * CHUNK_FILES):
        next(answers)
    answers.close()
    assert len(taken) <= (3 + 2 * 2 + MIN_CHUNKS) * CHUNK_FILES


def test_large_pictures_in_memory_are_read_a_few_at_a_time() -> None:
    network = checkpoint.load(folders.SHIPPED)
    taken: list[int] = []

    def pages() -> Iterator[Source]:
        for number in range(99):
            taken.append(number)
            yield Source("page", content=np.full((1500, 2000), 255, np.uint8))

    found = predict(network, pages())
    assert next(found).status == "no-ink"
    found.close()
    assert len(taken) <= 2 * MIN_CHUNKS


def test_find_pictures_sorts_as_paths_do(tmp_path: Path) -> None:
    for name in ("b.png", "a/z.png", "a.png", "a/b/c.png", "a-b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = [Path(source.path) for source in find_pictures([str(tmp_path)])]
    assert found == sorted(found) and len(found) == 5


def test_many_28_by_28_pictures_keep_their_pixels(folder: Path) -> None:
    drawn, _ = strokes.sample("test", 50)
    network = checkpoint.load(folders.SHIPPED)
    for k, answer in enumerate(predict(network, find_pictures([str(folder / "0")]))):
        assert answer.pixels is not None
        np.testing.assert_array_equal(answer.pixels, drawn[k % 50])


def test_a_subfolder_that_cannot_be_read_is_an_error_in_its_place_and_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b/c.png", "d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    scan = os.scandir

    def refuse(folder: str) -> object:
        if folder.endswith("b"):
            raise PermissionError(13, "Permission denied", folder)
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    found = [Path(source.path).name for source in find_pictures([str(tmp_path)])]
    assert found == ["a.png", "b", "d.png"]


def test_a_picture_that_ends_its_process_is_an_error_in_its_place_and_the_others_are_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The processes import `sitecustomize`, in which reading one of the pictures kills them."""
    (tmp_path / "sitecustomize.py").write_text(
        "import builtins, os, signal\n"
        "opened = builtins.open\n"
        "def deadly(file, *settings, **more):\n"
        "    if str(file).endswith('0200.png'):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return opened(file, *settings, **more)\n"
        "builtins.open = deadly\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    network = checkpoint.load(folders.SHIPPED)
    found = list(predict(network, find_pictures([str(folder)]), jobs=2))
    assert len(found) == MANY
    wrong = {Path(each.source.path).name: each.error for each in found if each.error is not None}
    assert list(wrong) == ["0200.png", "0321.png"]
    assert wrong["0200.png"] == (
        "internal",
        "reading it ended the process: it crashed, or was killed, perhaps for want of memory",
    )


def test_a_fault_of_the_reader_on_one_picture_is_an_error_in_its_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    normal = prediction.read_source

    def fail(source: Source, *arguments: object, **more: object) -> object:
        if source.path == "2":
            raise ZeroDivisionError("division by zero")
        return normal(source._replace(path=str(folder / "0" / "0000.png")), *arguments, **more)

    monkeypatch.setattr(prediction, "read_source", fail)
    network = checkpoint.load(folders.SHIPPED)
    found = list(predict(network, [Source(name) for name in "123"]))
    assert [each.status == "error" for each in found] == [False, True, False]
    assert found[1].error == ("internal", "it cannot be read: ZeroDivisionError('division by zero')")


def test_a_fault_of_the_network_on_one_picture_is_an_error_in_its_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    normal = digits.to_rows

    def fail(images: np.ndarray) -> np.ndarray:
        if (images == deadly).all((1, 2)).any():
            raise MemoryError("no memory for 7 GiB")
        return normal(images)

    network = checkpoint.load(folders.SHIPPED)
    sources = [Source(str(folder / "0" / f"000{k}.png")) for k in range(3)]
    deadly = [each.pixels for each in predict(network, sources)][1]
    monkeypatch.setattr(digits, "to_rows", fail)
    found = list(predict(network, sources))
    assert [each.status == "error" for each in found] == [False, True, False]
    assert found[1].error == ("internal", "it cannot be read: MemoryError('no memory for 7 GiB')")


def test_the_likeliest_texts_are_those_of_all_combinations() -> None:
    random = np.random.default_rng(0)
    digits = [
        tuple(Candidate(label, float(p)) for label, p in zip("0123", sorted(row)[::-1], strict=True))
        for row in random.dirichlet(np.ones(4), 3)
    ]
    every = sorted(
        (
            Candidate(a.label + b.label + c.label, a.probability * b.probability * c.probability)
            for a in digits[0]
            for b in digits[1]
            for c in digits[2]
        ),
        key=lambda text: -text.probability,
    )
    for count in (1, 2, 7, 64, 99):
        kept = [each[:count] for each in digits]  # as `top_k` leaves them
        assert list(_likeliest_texts(kept, count)) == every[:count]


def test_a_prediction_is_a_line_of_text_and_in_a_notebook_a_picture() -> None:
    shown = Prediction(
        source=Source("<b>.png"),
        status="unsure",
        top=(Candidate("7", 0.5), Candidate("1", 0.25)),
        pixels=np.zeros((28, 28), np.uint8),
    )
    assert (shown.label, shown.probability) == ("7", 0.5)
    assert str(shown) == "<b>.png: 7? (50.0 %), 1 (25.0 %)"
    assert repr(shown) == f"<Prediction {shown}>"
    html = shown._repr_html_()
    assert 'src="data:image/png;base64,' in html and "image-rendering: pixelated" in html
    assert "&lt;b&gt;.png: 7? (50.0 %)" in html and "<b>" not in html
    empty = Prediction(source=Source("a.png"), status="error", error=("image", "no such file"))
    assert (empty.label, empty.probability) == (None, None)
    assert empty._repr_html_() == "<p>a.png: error: no such file</p>"


@pytest.mark.parametrize(
    "values", [{"top_k": 0}, {"top_k": 1.5}, {"invert": "maybe"}, {"invert": None}], ids=str
)
def test_options_that_cannot_be_are_refused_in_one_line(values: dict[str, object]) -> None:
    (name,) = values
    with pytest.raises(ConfigError, match=rf"^{name} is .*, expected [^\n]+$"):
        Options(**values)  # type: ignore[arg-type]
