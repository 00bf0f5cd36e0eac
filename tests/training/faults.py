"""Break a run on purpose, many times, and count: `python -m tests.training.faults DATA SCRATCH KILLS`.

One process loads torch and then forks a child for each fault, so that a hundred take seconds.
"""

import errno
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import torch

from birnn_cli.data import published
from birnn_cli.errors import BirnnError, CheckpointError
from birnn_cli.runs import checkpoint, folders
from birnn_cli.runs.metrics import METRICS
from birnn_cli.training.run import Run

STEPS = 4
FAILED = 7


class Fault:
    """The nth write, fsync or rename does not come through: half of it is done, at most."""

    def __init__(self, nth: int, *, kill: bool) -> None:
        self.nth, self.kill, self.calls = nth, kill, 0
        own_open, own_fsync, own_replace = Path.open, os.fsync, os.replace

        def opened(path: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
            file = own_open(path, mode, *rest, **options)
            return Writer(file, self) if mode in ("wb", "ab") else file

        Path.open = opened  # type: ignore[method-assign,assignment]
        os.fsync = lambda descriptor: self.before() or own_fsync(descriptor)
        os.replace = lambda *names: self.before() or own_replace(*names)

    def before(self, half: Callable[[], None] = lambda: None) -> None:
        """Count a call; on the nth, do half of it and fail."""
        self.calls += 1
        if self.calls == self.nth:
            half()
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.EIO, "Input/output error")


class Writer:
    """A file whose writing may fail."""

    def __init__(self, file: Any, fault: Fault) -> None:
        self.file, self.fault = file, fault

    def write(self, content: bytes) -> None:
        def half() -> None:
            self.file.write(content[: len(content) // 2])
            self.file.flush()

        self.fault.before(half)
        self.file.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def train(folder: Path, data_dir: Path, *, steps: int = STEPS, save_every: float = 1e-9) -> None:
    """Begin the run, or resume it, to its end; with validation, dropout, Muon and augmentation."""
    options: dict[str, Any] = {"data_dir": data_dir, "output": folder, "save_every": save_every}
    if (folder / folders.CONFIG).exists():
        run = Run.resume(**options)
    else:
        run = Run.begin(
            **options,
            recipe="best",
            dataset="mnist",
            device="cpu",
            samples=50 * steps + 1,
            batch_size=50,
            hidden_size=8,
            display_step=2,
            validate_step=3,
            mix_strokes=0.0,
            mix_outliers=0.0,
        )
    for _ in run.steps():
        pass


def child(work: Callable[[], None]) -> int:
    """Fork a process that does some work: its process id."""
    if process := os.fork():
        return process
    try:
        work()
    except (OSError, BirnnError):
        os._exit(FAILED)
    except BaseException:
        _show()
    os._exit(0)


def _show() -> NoReturn:
    import traceback

    traceback.print_exc()
    os._exit(99)


def ended(process: int) -> int:
    """Wait for a process: its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def state(folder: Path) -> int:
    """The step that a run's checkpoint holds, after all its checks; 0 without one."""
    path = folder / checkpoint.FILE_NAME
    return checkpoint.load(path).metadata.step if path.exists() else 0


def same(one: Path, two: Path) -> bool:
    """Whether two finished runs are equal: every array, every row."""
    first, second = (checkpoint.load(folder / checkpoint.FILE_NAME) for folder in (one, two))
    pairs = ((first.weights, second.weights), (first.training, second.training))
    arrays = all(a.keys() == b.keys() and all((a[n] == b[n]).all() for n in a) for a, b in pairs)
    rows = (one / METRICS).read_bytes() == (two / METRICS).read_bytes()
    return arrays and rows and first.metadata.validation == second.metadata.validation


def every_call(scratch: Path, data_dir: Path, whole: Path, *, kill: bool) -> dict[str, int]:
    """Let the nth file operation of a run fail, for every n; go on; compare."""
    counts = {"faults": 0, "lost": 0, "different": 0, "unclean": 0}
    while True:
        nth = counts["faults"] + 1
        folder = scratch / f"{'kill' if kill else 'error'}-{nth}"

        def work(folder: Path = folder, nth: int = nth) -> None:
            Fault(nth, kill=kill)
            train(folder, data_dir)

        code = ended(child(work))
        if code == 0:
            return counts
        counts["faults"] += 1
        counts["unclean"] += code != (-signal.SIGKILL if kill else FAILED)
        try:
            state(folder)
        except CheckpointError:
            counts["lost"] += 1
        if not kill and folder.exists():  # an error that the process survives leaves no half file either
            counts["unclean"] += any(path.name.endswith(".tmp") for path in folder.iterdir())
        ended(child(lambda folder=folder: train(folder, data_dir)))
        counts["different"] += not same(folder, whole)


def random_moments(scratch: Path, data_dir: Path, whole: Path, kills: int, steps: int) -> dict[str, int]:
    """Kill runs at random moments, go on, until so many kills are done and the last run is whole."""
    counts = {"kills": 0, "runs": 0, "lost": 0, "different": 0}
    moments = random.Random(0)
    while counts["kills"] < kills:
        folder, reached = scratch / f"random-{counts['runs']}", 0
        while True:
            process = child(lambda folder=folder: train(folder, data_dir, steps=steps, save_every=0.01))
            time.sleep(moments.uniform(0.02, 0.5))
            os.kill(process, signal.SIGKILL)
            if ended(process) == 0:
                break
            counts["kills"] += 1
            try:
                counts["lost"] += state(folder) < reached
                reached = state(folder)
            except CheckpointError:
                counts["lost"] += 1
        counts["runs"] += 1
        counts["different"] += not same(folder, whole)
    return counts


def main(data_dir: Path, scratch: Path, kills: int) -> None:
    """Do all of it and print the counts."""
    torch.set_num_threads(1)
    published.NUM_VALIDATION = 40  # validating is not what takes the time here
    long_steps = 400
    # In this process: its children inherit the kernels that oneDNN compiles for the first steps.
    whole, long = scratch / "whole", scratch / "long"
    train(whole, data_dir, save_every=1)
    train(long, data_dir, steps=long_steps, save_every=1)
    counts = {
        "kill": every_call(scratch, data_dir, whole, kill=True),
        "error": every_call(scratch, data_dir, whole, kill=False),
        "random": random_moments(scratch, data_dir, long, kills, long_steps),
    }
    sys.stdout.write(json.dumps(counts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
