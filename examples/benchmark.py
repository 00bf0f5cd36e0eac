"""How fast each recipe trains, what its time goes into, and how that compares with a plain loop.

The plain loop is what a textbook writes: a bidirectional `nn.LSTM` of 128 units, batches of 128,
float32, Adam, the last row's outputs. All train on the same images in memory, measured in turn; the
notebook's recipe and the plain loop also show loss and accuracy every ten steps, on the same network.

python examples/benchmark.py [PAIRS (5)] [SECONDS a measurement (4)]
"""

import platform
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from birnn_cli.data import batches, strokes
from birnn_cli.recipes import RECIPES
from birnn_cli.training import Training, resolve_precision

CPU = torch.device("cpu")
BATCH_SIZE, DISPLAY_STEP = 128, 10


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


def ours(training: Training, seconds: float) -> float:
    """Images a second of a training that goes on for so long."""
    started, first = time.perf_counter(), training.step
    for _ in training.steps():
        if time.perf_counter() - started >= seconds:
            break
    return (training.step - first) * training.recipe.batch_size / (time.perf_counter() - started)


def where_the_time_goes(training: Training, seconds: float) -> dict[str, float]:
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
        timed(batches, "augment", "augmentation"),
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
    images, labels = strokes.draw("train", 20_000)
    tensors = torch.from_numpy(images), torch.from_numpy(labels)
    threads = torch.get_num_threads()
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {threads} threads")
    plain(*tensors, seconds)  # warm up
    for name, recipe in RECIPES.items():
        recipe = recipe.override(
            {"samples": 10**9, "precision": resolve_precision(recipe.precision, CPU)}
        )
        training = Training(recipe, 10, 0, CPU, (images, labels), (images[:100], labels[:100]))
        ours(training, seconds)  # warm up
        rates = [(ours(training, seconds), plain(*tensors, seconds)) for _ in range(pairs)]
        rate, textbook = (statistics.median(column) for column in zip(*rates, strict=True))
        ratio = statistics.median(one / other for one, other in rates)
        print(f"{name}: {rate:,.0f} images/s, {ratio:.2f} of plain nn.LSTM's {textbook:,.0f}")
        parts = where_the_time_goes(training, seconds)
        print("  " + ", ".join(f"{part} {share:.1%}" for part, share in parts.items()))


if __name__ == "__main__":
    main(*(kind(value) for kind, value in zip((int, float), sys.argv[1:], strict=False)))
