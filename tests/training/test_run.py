"""A run that is killed, interrupted or diverges keeps its last good state and resumes to the same."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import birnn_cli as birnn
from birnn_cli.errors import DivergedError, RunError
from birnn_cli.runs import checkpoint
from birnn_cli.training.batches import Batches
from birnn_cli.training.run import Run
from tests.conftest import child_environment, run_birnn


def same(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> bool:
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


OPTIONS = ("--dataset", "mnist", "--device", "cpu", "--samples", 40_000, "--save-every", 0.05)


@pytest.fixture(scope="module")
def whole_run(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    done = run_birnn(
        "train", *OPTIONS, "--output", "run", "-q", cwd=folder, BIRNN_DATA_DIR=str(small_data)
    )
    assert done.code == 0, done.err
    return folder / "run"


def start(cwd: Path, data: Path, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "birnn_cli", "train", *map(str, arguments)],
        cwd=cwd,
        env=child_environment(cwd, BIRNN_DATA_DIR=str(data)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for_rows(run: Path, count: int, child: subprocess.Popen[bytes]) -> None:
    """Until so many rows of metrics and a checkpoint are there."""
    deadline = time.monotonic() + 120
    metrics, saved = run / "metrics.jsonl", run / "checkpoint.safetensors"
    while not (saved.exists() and metrics.exists() and metrics.read_bytes().count(b"\n") >= count):
        assert child.poll() is None, child.communicate()[1].decode()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def assert_same_run(one: Path, two: Path) -> None:
    assert same(load_file(one / "checkpoint.safetensors"), load_file(two / "checkpoint.safetensors"))
    assert (one / "metrics.jsonl").read_text() == (two / "metrics.jsonl").read_text()


def test_a_run_killed_twice_and_resumed_is_the_run_that_nothing_stopped(
    whole_run: Path, small_data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "cut"
    for rows, arguments in ((4, (*OPTIONS, "--output", run)), (12, ("--resume", "--output", run))):
        child = start(tmp_path, small_data, *arguments)
        wait_for_rows(run, rows, child)
        child.send_signal(signal.SIGKILL)
        child.communicate()
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 9')  # torn, as by a crash in the middle of a row
    done = run_birnn(
        "train", "--resume", "--output", run, "--json", cwd=tmp_path, BIRNN_DATA_DIR=str(small_data)
    )
    assert done.code == 0, done.err
    assert done.json["first_step"] > 0
    assert_same_run(whole_run, run)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_says_how_to_go_on_and_the_rest_is_the_same_run(
    number: signal.Signals, code: int, whole_run: Path, small_data: Path, tmp_path: Path
) -> None:
    child = start(tmp_path, small_data, *OPTIONS, "--json")
    run = tmp_path / "runs" / "notebook-1"
    wait_for_rows(run, 3, child)
    child.send_signal(number)
    out, err = (text.decode() for text in child.communicate(timeout=60))
    assert child.returncode == code
    assert "--resume --output runs/notebook-1" in err.splitlines()[-1]
    assert '"status": "interrupted"' in out
    assert not checkpoint.load(run / "checkpoint.safetensors").metadata.complete
    done = run_birnn("train", "--resume", cwd=tmp_path, BIRNN_DATA_DIR=str(small_data))
    assert done.code == 0, done.err
    assert_same_run(whole_run, run)


def test_a_run_that_diverges_keeps_its_last_good_checkpoint(
    small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From step 25 on the rows are no numbers: step 20 displays and saves, step 30 finds out."""
    own_batch = Batches.batch

    def batch(batches: Batches, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        rows, labels = own_batch(batches, step)
        return rows * (float("nan") if step >= 25 else 1), labels

    monkeypatch.setattr(Batches, "batch", batch)
    run = Run.begin(
        dataset="mnist", data_dir=small_data, device="cpu", output=tmp_path / "run", save_every=1e-9
    )
    with pytest.raises(DivergedError, match="--learning-rate"):
        list(run.steps())
    metadata = checkpoint.load(run.checkpoint).metadata
    assert (metadata.step, metadata.complete) == (25, False)


def test_a_run_that_diverges_ends_with_one_line(small_data: Path, tmp_path: Path) -> None:
    options = (*OPTIONS[:4], "--output", "run", "--learning-rate", 1e38, "-q")
    done = run_birnn("train", *options, cwd=tmp_path, BIRNN_DATA_DIR=str(small_data))
    assert done.code == 1
    assert "--learning-rate" in done.err and len(done.err.splitlines()) == 1


def test_a_checkpoint_that_cannot_be_written_ends_the_run_with_one_line(
    small_data: Path, tmp_path: Path
) -> None:
    program = (
        "import resource, sys\n"
        "from birnn_cli.__main__ import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "train", *map(str, OPTIONS), "--output", "run", "-q"],
        cwd=tmp_path,
        env=child_environment(tmp_path, BIRNN_DATA_DIR=str(small_data)),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert b"File too large" in done.stderr
    assert b"Traceback" not in done.stderr
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        ".lock",
        "config.json",
        "metrics.jsonl",
    ]


def test_from_python_a_run_is_trained_in_any_thread_without_a_word_or_a_signal_handler(
    small_data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    seen: list[int] = []
    options = {"samples": 1000, "hidden_size": 8, "device": "cpu", "data_dir": str(small_data)}

    def learn() -> None:
        run = birnn.train(
            dataset="mnist",
            output=str(tmp_path / "run"),
            on_step=lambda result: seen.append(result.step),
            **options,
        )
        assert run.is_finished and run.result().steps == 7
        assert birnn.load(run.folder).metadata.step == 7
        again = birnn.train(resume=True, output=run.folder)  # its folder is free again
        assert again.result().first_step == 7 and again.result().validation == run.result().validation

    thread = threading.Thread(target=learn)
    thread.start()
    thread.join(120)
    assert seen == list(range(1, 8))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert capfd.readouterr() == ("", "")


def test_from_python_a_runs_steps_are_typed_results_and_a_rest_can_be_resumed(
    small_data: Path, tmp_path: Path
) -> None:
    options = {"dataset": "mnist", "samples": 2700, "hidden_size": 8, "data_dir": small_data}
    run = Run.begin(**options, device="cpu", output=tmp_path / "run", save_every=1e-9)
    steps = run.steps()
    first = [next(steps) for _ in range(10)]
    assert [result.step for result in first] == list(range(1, 11))
    assert first[9].batch is not None and 0 <= first[9].batch.accuracy <= 1
    steps.close()  # as when a program stops looking; what is saved stays
    with pytest.raises(RunError, match="ended at step 10, and its folder may be in use"):
        next(run.steps())
    rest = Run.resume(output=tmp_path / "run", data_dir=small_data)
    assert rest.first_step == 10 and not rest.is_finished
    assert [result.step for result in rest.steps()][-1] == 21 and rest.is_finished


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lerning_rate": 0.1}, "there is no option 'lerning_rate': expected one of"),
        ({"recipe": "fastt"}, "recipe is 'fastt', expected one of notebook, fast, best"),
        ({"samples": 128}, "makes no step"),
        ({"batch_size": 1.5}, "batch_size is 1.5, expected a whole number"),
        ({"seed": -1}, "seed is -1, expected a whole number from 0"),
        ({"output": 7}, "output is 7, expected a name or a path"),
        ({"save_every": "2"}, "save_every is '2', expected a number of seconds above 0"),
        ({"save_every": 0}, "save_every is 0, expected a number of seconds above 0"),
        ({"device": "gpu"}, "device is 'gpu', expected auto, cpu"),
    ],
)
def test_from_python_a_wrong_option_is_one_line_and_leaves_nothing_behind(
    options: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(birnn.ConfigError) as caught:
        birnn.train(**{"dataset": "strokes", **options})
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_from_python_the_very_options_of_a_run_may_stand_beside_resume(
    small_data: Path, tmp_path: Path
) -> None:
    """What a device changes of them included: no CPU computes in TF32."""
    options = {"recipe": "fast", "dataset": "mnist", "data_dir": small_data, "device": "cpu"}
    options |= {"samples": 1000, "hidden_size": 8, "precision": "tf32", "output": tmp_path / "run"}
    birnn.train(**options)
    assert birnn.train(resume=True, **options).is_finished
    drawn = {"dataset": Path("strokes"), "samples": 300, "output": tmp_path / "drawn", "device": "cpu"}
    birnn.train(**drawn)
    assert birnn.train(resume=True, **drawn).is_finished


def test_from_python_a_refused_resume_says_the_first_difference_and_leaves_the_folder_free(
    small_data: Path, tmp_path: Path
) -> None:
    options = {"dataset": "mnist", "data_dir": small_data, "device": "cpu", "output": tmp_path / "run"}
    run = Run.begin(**options, samples=2700, hidden_size=8)
    next(run.steps())
    del run
    kept = []  # as a notebook keeps the last exception, and all that it refers to
    for _ in range(2):
        with pytest.raises(birnn.ConfigError, match="--recipe fast differs from notebook") as refused:
            Run.resume(output=tmp_path / "run", recipe="fast", seed=7, layers=3)
        kept.append(refused)
    assert birnn.train(resume=True, data_dir=small_data, output=tmp_path / "run").is_finished


def test_from_python_data_are_looked_for_where_the_environment_says(
    small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIRNN_DATA_DIR", str(small_data))
    run = birnn.train(samples=300, hidden_size=8, device="cpu", output=tmp_path / "run")
    assert run.config.dataset == "mnist"
    assert birnn.load(run.folder).evaluate(samples=20).n == 20
