"""How fast each recipe trains, what its time goes into, and how that compares with a plain loop.

The plain loop is what a textbook writes: a bidirectional `nn.LSTM` of 128 units, batches of 128,
float32, Adam, the last row's outputs. All train on the same images in memory, measured in turn; the
notebook's recipe and the plain loop also show loss and accuracy every ten steps, on the same network.
The notebook's speed is also given as a fraction of what its matrix products alone reach on as many
threads, the bound of the hardware: on torch's own threads, which share each product, and on threads that
each take a part of the batch, as the training does.

python examples/benchmark.py [PAIRS (5)] [SECONDS a measurement (4)]

With --scale: how the cost grows with the batch, the hidden size, the processes and the files.

python examples/benchmark.py --scale [SECONDS a measurement (3)] [FILES (100000)]
"""

import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from birnn_cli.data import strokes
from birnn_cli.reader.decode import encode_png
from birnn_cli.runs.recipes import RECIPES
from birnn_cli.training import augment
from birnn_cli.training.device import resolve_precision
from birnn_cli.training.distributed import joined_group
from birnn_cli.training.loop import TrainingLoop
from birnn_cli.training.threads import Threads, default_threads, torch_threads

CPU = torch.device("cpu")
BATCH_SIZE, DISPLAY_STEP = 128, 10
# Batches at the notebook's hidden size, and hidden sizes at one batch.
SCALES = [(size, 128) for size in (64, 256, 1024, 4096, 16_384)]
SCALES += [(256, size) for size in (32, 64, 256, 512)]


def plain(images: torch.Tensor, labels: torch.Tensor, seconds: float) -> float:
    """Images a second of the textbook's loop."""
    lstm = nn.LSTM(28, 128, bidirectional=True, batch_first=True)
    head = nn.Linear(256, 10)
    adam = torch.optim.Adam([*lstm.parameters(), *head.parameters()], 1e-3)
    order = torch.randperm(len(images))
    started, step = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        batch = order[step * BATCH_SIZE % (len(images) - BATCH_SIZE) :][:BATCH_SIZE]
        rows, truth = images[batch].float() / 255, labels[batch]
        adam.zero_grad()
        nn.functional.cross_entropy(head(lstm(rows)[0][:, -1]), truth).backward()
        adam.step()
        step += 1
        if step % DISPLAY_STEP == 0:
            with torch.no_grad():
                logits = head(lstm(rows)[0][:, -1])
                nn.functional.cross_entropy(logits, truth).item()
                (logits.argmax(dim=1) == truth).float().mean().item()
    return step * BATCH_SIZE / (time.perf_counter() - started)


def ours(training: TrainingLoop, seconds: float) -> float:
    """Images a second of a training that goes on for so long."""
    started, first = time.perf_counter(), training.step
    for _ in training.steps():
        if time.perf_counter() - started >= seconds:
            break
    return (training.step - first) * training.recipe.batch_size / (time.perf_counter() - started)


def matrix_products(threads: Threads, seconds: float) -> float:
    """Images a second of the products of the notebook's steps alone, shared by threads as they are.

    Those of the rows and of the outputs before with the weights, of the top rows backwards and of the
    head; and twice as many for the gradients, by inputs and by weights, but for what needs none.
    """
    images = threads.part_size(BATCH_SIZE)

    def products() -> None:
        rows, gates = torch.ones(28 * images, 28), torch.ones(28 * images, 512)
        outputs, states = torch.ones(images, 128), torch.ones(28 * images, 128)
        by_rows, by_outputs = torch.ones(28, 512), torch.ones(128, 512)
        last, features, head = torch.ones(images, 512), torch.ones(images, 256), torch.ones(256, 10)
        logits = torch.ones(images, 10)
        with torch.no_grad():
            for _ in range(10):
                _ = rows @ by_rows, rows.T @ gates, states.T @ gates  # forwards: inputs; both gradients
                for _ in range(28):
                    _ = outputs @ by_outputs, last @ by_outputs.T  # forwards: recurrence; its gradient
                _ = rows[:images] @ by_rows, rows[:images].T @ last  # backwards: one step
                _ = features @ head, features.T @ logits, logits @ head.T

    started, steps, parts = time.perf_counter(), 0, -(-BATCH_SIZE // images)
    while time.perf_counter() - started < seconds:
        threads.map(products, parts * [()])
        steps += 10
    return steps * BATCH_SIZE / (time.perf_counter() - started)


def where_the_time_goes(training: TrainingLoop, seconds: float) -> dict[str, float]:
    """The share of a training's time that each part of a step takes; the rest is `other`."""
    spent: Counter[str] = Counter()
    within = [0.0]  # of each call under way, the seconds that calls within it took

    def timed(owner: Any, name: str, part: str) -> Callable[[], None]:
        own = getattr(owner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            within.append(0.0)
            try:
                return own(*arguments, **named)
            finally:
                took = time.perf_counter() - started
                spent[part] += took - within.pop()
                within[-1] += took

        setattr(owner, name, call)
        return lambda: setattr(owner, name, own)

    undo = [
        timed(training.batches, "batch", "input"),
        timed(augment, "draw", "augmentation"),
        timed(augment, "augment", "augmentation"),
        timed(training.network, "forward", "forward"),
        timed(torch.Tensor, "backward", "backward"),
        timed(training._optimizer, "step", "optimizer"),
        timed(training, "_scores", "display"),
    ]
    started = time.perf_counter()
    ours(training, seconds)
    whole = time.perf_counter() - started
    for restore in undo:
        restore()
    spent["other"] = whole - spent.total()
    return {part: value / whole for part, value in spent.items()}


def main(pairs: int = 5, seconds: float = 4.0) -> None:
    """Measure every recipe in turn with the plain loop; print medians."""
    images, labels = strokes.sample("train", 20_000)
    tensors = torch.from_numpy(images), torch.from_numpy(labels)
    threads = Threads(default_threads())
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {threads.number} threads")
    plain(*tensors, seconds)  # warm up
    for name, recipe in RECIPES.items():
        recipe = recipe.override(
            {"samples": 10**9, "precision": resolve_precision(recipe.precision, CPU)}
        )
        training, alone = (
            TrainingLoop(recipe, 10, 0, CPU, (images, labels), (images[:100], labels[:100]), threads=n)
            for n in (threads.number, 1)
        )
        ours(training, seconds)  # warm up
        rates = [(ours(training, seconds), plain(*tensors, seconds)) for _ in range(pairs)]
        rate, textbook = (statistics.median(column) for column in zip(*rates, strict=True))
        ratio = statistics.median(one / other for one, other in rates)
        line = f"{name}: {rate:,.0f} images/s, {ratio:.2f} of plain nn.LSTM's {textbook:,.0f}"
        if name == "notebook":
            for own, number, said in (
                (Threads(1), threads.number, "on torch's own threads"),
                (threads, 1, "shared by threads as the training is"),
            ):
                bounds = []
                for _ in range(pairs):
                    with torch_threads(number):
                        bound = matrix_products(own, seconds)
                    bounds.append((bound, ours(training, seconds) / bound))
                bound, ratio = (statistics.median(column) for column in zip(*bounds, strict=True))
                line += f", {ratio:.2f} of its matrix products' {bound:,.0f} {said}"
        print(line)
        parts = where_the_time_goes(alone, seconds)
        print("  on one thread: " + ", ".join(f"{part} {share:.1%}" for part, share in parts.items()))


def rate(batch_size: int, hidden_size: int, seconds: float) -> None:
    """Print the images a second of the notebook's recipe, by this process or its group."""
    images, labels = strokes.sample("train", 5_000)
    values = {"samples": 10**9, "batch_size": batch_size, "hidden_size": hidden_size}
    with joined_group("cpu") as group:
        recipe = RECIPES["notebook"].override(values)
        validation = images[:100], labels[:100]
        training = TrainingLoop(recipe, 10, 0, CPU, (images, labels), validation, group=group)
        steps = training.steps()
        next(steps)
        started = time.perf_counter()
        next(steps)
        count = group.all_reduce_max(
            2 + int(seconds / (time.perf_counter() - started))
        )  # the same in all
        started = time.perf_counter()
        for _ in range(count):
            next(steps)
        if group.is_leader:
            print(count * batch_size / (time.perf_counter() - started))
    if group.size > 1:
        sys.stdout.flush()
        os._exit(0)  # Gloo's threads may abort a plain exit


def scale(seconds: float = 3.0, files: int = 100_000) -> None:
    """Print two tables: training by batch and hidden size, reading by files."""
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores")
    print("batch  hidden size  1 process, 1 thread  1 process, 2 threads  2 processes   images/s")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    for batch_size, hidden_size in SCALES:
        rates = []
        for before, threads in (((), "1"), ((), "2"), (torchrun, "1")):
            own = (__file__, "--rate", str(batch_size), str(hidden_size), str(seconds))
            environment = {**os.environ, "OMP_NUM_THREADS": threads}
            done = subprocess.run(
                [sys.executable, *before, *own], env=environment, stdout=subprocess.PIPE, check=True
            )
            rates.append(float(done.stdout))
        one, two, processes = (f"{each:,.0f}" for each in rates)
        print(f"{batch_size:>5,}  {hidden_size:>11}  {one:>19}  {two:>20}  {processes:>11}")
    print("files    seconds  files/s  memory of all processes, MiB")
    images, _ = strokes.sample("test", 1000)
    with tempfile.TemporaryDirectory() as folder:
        kept = 0
        for count in (files // 100, files // 10, files):
            for number in range(kept, count):
                write_digit(Path(folder), number, images)
            kept = count
            took, memory = read_folder(folder)
            print(f"{count:>7,}  {took:>7.1f}  {count / took:>7,.0f}  {memory:>28,.0f}")


def write_digit(folder: Path, number: int, images: NDArray[np.uint8]) -> None:
    """A PNG file of 28 by 28 pixels, one of 1,000; those of the same pixels are one on disk."""
    path = folder / f"{number:06}.png"
    if number < 1000:
        path.write_bytes(encode_png(images[number]))
    else:
        path.hardlink_to(folder / f"{number % 1000:06}.png")


def read_folder(folder: str) -> tuple[float, float]:
    """Seconds and the most MiB that `birnn predict` takes for a folder, its processes included."""
    started, most = time.perf_counter(), 0
    command = [sys.executable, "-m", "birnn_cli", "predict", folder, "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        with suppress(OSError):  # one may have just ended
            members = [str(process.pid), *children.read_text().split()]
            pages = (Path(f"/proc/{pid}/statm").read_text().split()[1] for pid in members)
            most = max(most, sum(map(int, pages)))
        time.sleep(0.1)
    return time.perf_counter() - started, most * resource.getpagesize() / 2**20


def command(arguments: list[str]) -> None:
    """Run what the command line asks for."""
    if arguments[:1] == ["--rate"]:
        rate(int(arguments[1]), int(arguments[2]), float(arguments[3]))
    elif arguments[:1] == ["--scale"]:
        scale(*(kind(value) for kind, value in zip((float, int), arguments[1:], strict=False)))
    else:
        main(*(kind(value) for kind, value in zip((int, float), arguments, strict=False)))


if __name__ == "__main__":
    command(sys.argv[1:])
