"""Under load: many processes at once, readers that wait or leave, terminals that change, long runs."""

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torchvision

from birnn_cli.data import strokes
from birnn_cli.data.datasets import open_data_set
from birnn_cli.data.download import download
from birnn_cli.reader.decode import encode_png
from tests.conftest import child_environment, run_birnn, write_mnist

TRAIN = ("train", "--dataset", "mnist", "--samples", 700, "--device", "cpu", "--hidden-size", 8, "-q")


def start(cwd: Path, *arguments: object, **settings: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "birnn_cli", *map(str, arguments)],
        cwd=cwd,
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings},
    )


def test_two_trainings_at_once_get_a_run_each(small_data: Path, tmp_path: Path) -> None:
    environment = child_environment(tmp_path, BIRNN_DATA_DIR=str(small_data))
    children = [start(tmp_path, *TRAIN, env=environment) for _ in range(2)]
    for child in children:
        _, err = child.communicate(timeout=120)
        assert child.returncode == 0, err
    runs = sorted((tmp_path / "runs").iterdir())
    assert [run.name for run in runs] == ["notebook-1", "notebook-2"]
    assert all((run / "checkpoint.safetensors").exists() for run in runs)


def test_a_run_in_use_is_refused_to_others_until_its_owner_ends(
    small_data: Path, tmp_path: Path
) -> None:
    data = {"BIRNN_DATA_DIR": str(small_data)}
    options = ("--dataset", "mnist", "--device", "cpu", "--output", "run", "--save-every", 0.1, "-q")
    owner = start(tmp_path, "train", *options, env=child_environment(tmp_path, **data))
    while not (tmp_path / "run" / "checkpoint.safetensors").exists():
        assert owner.poll() is None
        time.sleep(0.02)
    owner.send_signal(signal.SIGSTOP)  # so that it is still there, however fast it learns
    for arguments in (("--resume", "--output", "run"), options):
        other = run_birnn("train", *arguments, cwd=tmp_path, **data)
        assert other.code == 1
        assert "run" in other.err and len(other.err.splitlines()) == 1
    assert (
        "in use by another process"
        in run_birnn("train", "--resume", "--output", "run", cwd=tmp_path, **data).err
    )
    owner.kill()
    owner.communicate()
    done = run_birnn("train", "--resume", "--output", "run", cwd=tmp_path, **data)
    assert done.code == 0, done.err


def test_twenty_processes_read_at_once(tmp_path: Path) -> None:
    images, _ = strokes.sample("test", 4)
    for number, image in enumerate(images):
        (tmp_path / f"{number}.png").write_bytes(encode_png(image))
    alone = run_birnn("predict", *(f"{number}.png" for number in range(4)), cwd=tmp_path)
    environment = child_environment(tmp_path, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    children = [
        start(tmp_path, "predict", *(f"{number}.png" for number in range(4)), env=environment)
        for _ in range(20)
    ]
    for child in children:
        out, err = child.communicate(timeout=120)
        assert (child.returncode, out) == (0, alone.out), err


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_long_training_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    """Resident memory over 1,500 steps with saves and validations, after 500 to warm up."""
    program = """
import sys
from pathlib import Path
from birnn_cli.training.run import Run
from birnn_cli.data import published
published.NUM_VALIDATION = 100
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20
steps = int(sys.argv[2])
values = {"samples": 20 * (steps + 1), "batch_size": 20, "hidden_size": 8, "validate_step": 100}
run = Run.begin(recipe="best", **values, mix_strokes=0.0, mix_outliers=0.0, dataset="mnist",
    data_dir=sys.argv[1], device="cpu", output="run", save_every=0.05)
for result in run.steps():
    if result.step == 500:
        before = resident()
print(resident() - before)
"""
    write_mnist(tmp_path / "data", train=300, test=20)
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "data", os.environ.get("BIRNN_LONG_STEPS", "2000")],
        cwd=tmp_path,
        env=child_environment(tmp_path, OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 10, "MiB"


def test_a_reader_that_waits_gets_every_answer_in_order(tmp_path: Path) -> None:
    """A pipe holds 64 KiB: predict waits with its reader and loses nothing."""
    (tmp_path / "7.png").write_bytes(encode_png(strokes.sample("test", 1)[0][0]))
    environment = child_environment(tmp_path)
    child = start(tmp_path, "predict", *["7.png"] * 800, "--json", "--top-k", 10, env=environment)
    time.sleep(4)
    assert child.poll() is None  # it is blocked, not done
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    assert out.count("\n") == 800 and len(out) > 1 << 16


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_a_terminal_that_changes_its_size_does_not_disturb_a_training(
    small_data: Path, tmp_path: Path
) -> None:
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    environment = child_environment(tmp_path, BIRNN_DATA_DIR=str(small_data), TERM="xterm-256color")
    del environment["COLUMNS"]
    child = start(tmp_path, *TRAIN[:-1], env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = bytearray()

    def read() -> None:
        try:
            while part := os.read(ours, 4096):
                shown.extend(part)
        except OSError:  # the other side is closed
            return

    reader = threading.Thread(target=read)
    reader.start()
    for columns in (120, 20, 1, 80) * 10:
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        if child.poll() is None:
            child.send_signal(signal.SIGWINCH)
        time.sleep(0.1)
    assert child.wait(timeout=120) == 0, shown.decode()
    reader.join(timeout=10)
    assert "Traceback" not in shown.decode() and "checkpoint" in shown.decode()


def test_two_downloads_at_once_leave_one_whole_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(4)

    def fetch(root: Path, download: bool) -> None:
        both.wait(30)  # all have found nothing on disk, and now all download
        write_mnist(Path(root), train=5100, test=50)
        both.wait(30)

    monkeypatch.setattr(torchvision.datasets, "MNIST", fetch)
    threads = [threading.Thread(target=download, args=("mnist", "MNIST", tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST"]
    data = open_data_set("mnist", tmp_path)
    assert len(data.load("train")[0]) == 100 and len(data.load("test")[0]) == 50
