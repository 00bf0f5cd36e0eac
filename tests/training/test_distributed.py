"""Training in several processes under torchrun is the training of one, whatever befalls them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from birnn_cli.runs import checkpoint
from birnn_cli.runs.metrics import read_metrics
from tests.conftest import Done, child_environment, run_birnn

# Muon, augmentation, dropout, two layers.
RECIPE = (
    *("--recipe", "best", "--precision", "float32", "--hidden-size", 16),
    *("--mix-strokes", 0, "--mix-outliers", 0, "--batch-size", 51, "--display-step", 5),
)
TRAIN = (*RECIPE, "--validate-step", 20, "--dataset", "mnist", "--device", "cpu", "--seed", 3, "-q")
LOSS_TOLERANCE, WEIGHT_TOLERANCE = 1e-4, 1e-5


def start(
    *arguments: object, cwd: Path, data: Path, ranks: int = 2, restarts: int = 0
) -> subprocess.Popen[str]:
    """Start `birnn` in so many processes."""
    settings = ("--standalone", "--nproc-per-node", ranks, "--max-restarts", restarts)
    program = arguments if str(arguments[0]).endswith(".py") else ("-m", "birnn_cli", *arguments)
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *map(str, (*settings, *program))],
        cwd=cwd,
        env=child_environment(cwd, BIRNN_DATA_DIR=str(data)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> Done:
    """Wait for the end."""
    out, err = process.communicate(timeout=180)
    return Done(process.returncode, out, err)


def until(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    """Wait for something that a running process does."""
    for _ in range(3000):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    raise AssertionError("it did not come about")


def saved_step(run: Path) -> int:
    """Steps done in a run's checkpoint."""
    file = run / checkpoint.FILE_NAME
    return checkpoint.load_metadata(file).step if file.exists() else 0


def assert_same_run(one: Path, other: Path) -> None:
    """Losses and weights of two runs within single precision's bounds."""
    loaded = [checkpoint.load(run / checkpoint.FILE_NAME) for run in (one, other)]
    assert loaded[0].metadata.complete and loaded[1].metadata.complete
    first, second = (each.weights for each in loaded)
    off = np.concatenate([(first[name] - second[name]).ravel() for name in first])
    assert np.sqrt(np.square(off).mean()) < WEIGHT_TOLERANCE
    rows = list(zip(read_metrics(one), read_metrics(other), strict=True))
    assert rows
    for row, same in rows:
        assert row.keys() == same.keys() and row["step"] == same["step"]
        for name in ("loss", "validation_loss"):
            assert row.get(name, 0) == pytest.approx(same.get(name, 0), abs=LOSS_TOLERANCE)


@pytest.fixture(scope="module")
def alone(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 50 steps by one process."""
    folder = tmp_path_factory.mktemp("alone")
    done = run_birnn(
        "train", *TRAIN, "--samples", 2600, "--output", "run", cwd=folder, BIRNN_DATA_DIR=str(small_data)
    )
    assert done.code == 0, done.err
    return folder / "run"


def test_two_processes_compute_the_run_of_one(alone: Path, small_data: Path, tmp_path: Path) -> None:
    """A batch of 51 has no equal shares."""
    process = start(
        "train", *TRAIN, "--samples", 2600, "--output", "run", "--json", cwd=tmp_path, data=small_data
    )
    done = finish(process)
    assert done.code == 0, done.err
    assert done.json["steps"] == 50  # one object, printed once
    assert_same_run(alone, tmp_path / "run")


def test_a_run_goes_from_two_processes_to_one_to_two(
    alone: Path, small_data: Path, tmp_path: Path
) -> None:
    run, options = tmp_path / "run", ("--output", "run", "--save-every", 0.01)
    process = start("train", *TRAIN, "--samples", 2600, *options, cwd=tmp_path, data=small_data)
    until(lambda: saved_step(run) >= 5, process)
    process.send_signal(signal.SIGTERM)
    done = finish(process)
    first = saved_step(run)
    assert done.code != 0 and 5 <= first < 50
    assert done.err.count("all saved; go on with") == 1, done.err
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "birnn_cli",
            "train",
            "--resume",
            "--output",
            "run",
            "--save-every",
            "0.01",
            "-q",
        ],
        cwd=tmp_path,
        env=child_environment(tmp_path, BIRNN_DATA_DIR=str(small_data)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: saved_step(run) > first, process)
    process.send_signal(signal.SIGINT)
    assert finish(process).code == 130
    assert first < saved_step(run) < 50
    done = finish(start("train", "--resume", *options, cwd=tmp_path, data=small_data))
    assert done.code == 0, done.err
    assert_same_run(alone, run)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
def test_a_killed_worker_is_restarted_and_the_run_ends_like_an_undisturbed_one(
    alone: Path, small_data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "best-1"
    options = ("--samples", 2600, "--save-every", 0.01)
    process = start("train", *TRAIN, *options, cwd=tmp_path, data=small_data, restarts=1)
    until(lambda: saved_step(run) >= 5, process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [
        pid for pid in map(int, children) if b"birnn_cli" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    assert len(workers) == 2
    os.kill(workers[1], signal.SIGKILL)
    done = finish(process)
    assert done.code == 0, done.err
    assert [path.name for path in run.parent.iterdir()] == ["best-1"]
    assert_same_run(alone, run)


def test_processes_started_again_go_on_with_their_own_run_even_when_it_is_complete(
    alone: Path, small_data: Path, tmp_path: Path
) -> None:
    """The second process is killed as it ends; an older run that was not finished is none of theirs."""
    older = tmp_path / "runs" / "best-1"
    older.mkdir(parents=True)
    (older / "config.json").write_bytes((alone / "config.json").read_bytes())
    program = tmp_path / "program.py"
    program.write_text(
        "import os, signal\n"
        "from birnn_cli.training.run import Run\n"
        "if (os.environ['RANK'], os.environ['TORCHELASTIC_RESTART_COUNT']) == ('1', '0'):\n"
        "    Run.result = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from birnn_cli.__main__ import main\nmain()\n"
    )
    options = (*TRAIN, "--samples", 2600)
    done = finish(start(program, "train", *options, cwd=tmp_path, data=small_data, restarts=1))
    assert done.code == 0, done.err
    assert sorted(path.name for path in older.parent.iterdir()) == ["best-1", "best-2"]
    assert [path.name for path in older.iterdir()] == ["config.json"]
    assert_same_run(alone, tmp_path / "runs" / "best-2")


def test_a_run_that_was_refused_is_not_gone_on_with_by_starting_again(
    alone: Path, small_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    for name in ("config.json", "metrics.jsonl"):
        (tmp_path / "run" / name).write_bytes((alone / name).read_bytes())
    options = (*TRAIN, "--samples", 2600, "--output", "run")
    done = finish(start("train", *options, cwd=tmp_path, data=small_data, restarts=1))
    assert done.code != 0
    assert done.err.count("holds an unfinished run") == 2, done.err
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names == ["config.json", "metrics.jsonl"]


def test_what_fails_in_one_process_ends_all_with_its_message_alone(
    small_data: Path, tmp_path: Path
) -> None:
    """The second process has no data, and cannot get any."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os\n"
        "if os.environ['RANK'] == '1':\n    os.environ['BIRNN_DATA_DIR'] = 'nowhere'\n"
        "from birnn_cli.__main__ import main\nmain()\n"
    )
    process = start(
        program, "train", *TRAIN, "--samples", 2600, "--output", "run", cwd=tmp_path, data=small_data
    )
    done = finish(process)
    assert done.code != 0 and done.out == ""
    own = [line for line in done.err.splitlines() if line.startswith("birnn train: ")]
    assert len(own) == 1 and "mnist is not in nowhere" in own[0], done.err


def test_what_the_leader_refuses_is_said_once(small_data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    done = finish(start("train", *TRAIN, "--output", "run", cwd=tmp_path, data=small_data))
    assert done.code != 0
    own = [line for line in done.err.splitlines() if line.startswith("birnn train: ")]
    assert len(own) == 1 and "is a file" in own[0], done.err
    assert (tmp_path / "run").read_text() == "mine"


def test_data_that_will_not_do_are_complained_of_once(tmp_path: Path) -> None:
    for folder in ("a", "b", "validation/a", "test/a"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for name in "ab":
        Image.new("L", (28, 28)).save(tmp_path / "data" / name / "0.png")
    options = ("--dataset", tmp_path / "data", "--reader", "plain", "--device", "cpu", "--json", "-q")
    done = finish(start("train", *options, cwd=tmp_path, data=tmp_path))
    assert done.code != 0
    assert (done.json["status"], done.json["error"]["code"]) == ("error", "data")  # one object
    assert done.err.count("birnn train: ") == 1, done.err
