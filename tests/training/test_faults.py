"""Killed, out of space, interrupted twice: what a run keeps, and how it says so."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from birnn_cli import files
from birnn_cli.data import strokes
from tests.conftest import TESTS, child_environment, run_birnn

ROOT = TESTS.parent
RANDOM_KILLS = 100


@pytest.fixture(scope="module")
def counts(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    """What happened when a run was broken at every call and at random moments."""
    scratch = tmp_path_factory.mktemp("faults")
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.faults", small_data, scratch, str(RANDOM_KILLS)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # it forks, which threads do not survive
        capture_output=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    found: dict[str, dict[str, int]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("fault", ["kill", "error"])
def test_a_run_broken_at_any_write_sync_or_rename_keeps_a_whole_state_and_goes_on_to_the_same_bits(
    fault: str, counts: dict[str, Any]
) -> None:
    # config.json, then four steps' rows and saves: each save writes, syncs, renames, syncs the folder.
    assert counts[fault]["faults"] >= 20
    assert counts[fault] == {**counts[fault], "lost": 0, "different": 0, "unclean": 0}


def test_a_run_killed_at_a_hundred_moments_loses_no_save_and_ends_with_the_same_bits(
    counts: dict[str, Any],
) -> None:
    assert counts["random"]["kills"] >= RANDOM_KILLS
    assert counts["random"] == {**counts["random"], "lost": 0, "different": 0}


OPTIONS = ("train", "--dataset", "mnist", "--device", "cpu", "--output", "run", "-q")


def test_a_second_ctrl_c_ends_at_once(small_data: Path, tmp_path: Path) -> None:
    """The first is noted when the step is done; here a step takes far longer than anyone waits."""
    program = (
        "import sys, time\n"
        "from birnn_cli.training.loop import TrainingLoop\n"
        "TrainingLoop._learn = lambda *_: (print('learning', flush=True), time.sleep(60))\n"
        "from birnn_cli.__main__ import main\n"
        "main()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, *OPTIONS],
        cwd=tmp_path,
        env=child_environment(tmp_path, BIRNN_DATA_DIR=str(small_data)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "learning\n"
    child.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert child.poll() is None
    child.send_signal(signal.SIGINT)
    started = time.monotonic()
    _, err = child.communicate(timeout=30)
    assert time.monotonic() - started < 20
    assert child.returncode == 130
    assert err == "birnn train: stopped\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_a_full_disk_ends_predict_with_one_line_and_no_answer_that_was_not_kept(tmp_path: Path) -> None:
    (tmp_path / "7.png").write_bytes(files_png())
    done = run_birnn("predict", "7.png", "--output", "/dev/full", "--force", cwd=tmp_path)
    assert done.code == 1
    assert done.out == ""
    assert "No space left on device" in done.err and "Traceback" not in done.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
@pytest.mark.parametrize("options", [("info",), ("info", "--json"), ("predict", "7.png", "--json")])
def test_a_full_disk_behind_stdout_is_one_line_and_exit_1(
    options: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "7.png").write_bytes(files_png())
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "birnn_cli", *options, "-q"],
            cwd=tmp_path,
            # Unlike in some environments, what is printed is buffered, and flushed again at the end.
            env=child_environment(tmp_path, PYTHONUNBUFFERED=""),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.decode() == f"birnn {options[0]}: No space left on device\n"


def test_scores_outlive_a_report_that_cannot_be_written(
    trained: Path, small_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "report" / "index.html").mkdir(parents=True)  # in the way of the file
    options = ("eval", "--checkpoint", trained, "--report", "report", "--force", "-q")
    data = {"BIRNN_DATA_DIR": str(small_data)}
    text = run_birnn(*options, cwd=tmp_path, **data)
    assert text.code == 1
    assert text.err.startswith("birnn eval: ") and "index.html" in text.err
    assert len(text.err.splitlines()) == 1
    assert "accuracy  " in text.out
    done = run_birnn(*options, "--json", cwd=tmp_path, **data)
    assert (done.code, done.err) == (1, text.err)
    assert (done.json["status"], done.json["error"]["code"]) == ("error", "os")
    plain = run_birnn(*options[:3], "--json", cwd=tmp_path, **data).json
    assert {key: done.json[key] for key in ("checkpoint", "n", "correct", "loss", "confusion")} == {
        key: plain[key] for key in ("checkpoint", "n", "correct", "loss", "confusion")
    }


def files_png() -> bytes:
    """A drawn digit as a PNG file."""
    from birnn_cli.reader.decode import encode_png

    return encode_png(strokes.sample("test", 1)[0][0])


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that not even root may write to")
def test_a_folder_that_cannot_be_written_is_refused_before_training(
    small_data: Path, tmp_path: Path
) -> None:
    options = ("--dataset", "mnist", "--output", "/proc/self/run", "-q")
    done = run_birnn("train", *options, cwd=tmp_path, BIRNN_DATA_DIR=str(small_data))
    assert done.code == 1
    assert "/proc/self/run cannot be made" in done.err and len(done.err.splitlines()) == 1


def test_a_write_that_fails_leaves_no_half_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "file"
    files.write_atomically(target, b"old")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch, pytest.raises(OSError, match="Input/output") as caught:
            patch.setattr(os, name, fail)
            files.write_atomically(target, b"new")
        assert caught.value.filename == str(target)
        assert target.read_bytes() == b"old"
        assert [path.name for path in tmp_path.iterdir()] == ["file"]
