"""Images a second of the notebook's recipe against a plain `nn.LSTM` loop, measured in turn.

Both train the same network with the same displays on the same images in memory. The plain loop
computes all 28 backward steps, of which the read-out uses one.

python examples/benchmark.py
"""

import platform
import statistics
import time

import torch
from torch import nn

from birnn_cli.data import strokes
from birnn_cli.recipes import RECIPES
from birnn_cli.training import Training

PAIRS, STEPS = 10, 200
RECIPE = RECIPES["notebook"].override({"samples": 128 * (STEPS + 1)})


def plain(images: torch.Tensor, labels: torch.Tensor) -> float:
    """Images a second of what a textbook writes."""
    lstm = nn.LSTM(28, RECIPE.hidden_size, bidirectional=True, batch_first=True)
    head = nn.Linear(2 * RECIPE.hidden_size, 10)
    adam = torch.optim.Adam([*lstm.parameters(), *head.parameters()], RECIPE.learning_rate)
    order = torch.randperm(len(images))
    started = time.perf_counter()
    for step in range(STEPS):
        batch = order[step * 128 % (len(images) - 128) :][:128]
        rows, truth = images[batch].float() / 255, labels[batch]
        adam.zero_grad()
        nn.functional.cross_entropy(head(lstm(rows)[0][:, -1]), truth).backward()
        adam.step()
        if (step + 1) % RECIPE.display_step == 0:
            with torch.no_grad():
                logits = head(lstm(rows)[0][:, -1])
                nn.functional.cross_entropy(logits, truth).item()
                (logits.argmax(dim=1) == truth).float().mean().item()
    return STEPS * 128 / (time.perf_counter() - started)


def main() -> None:
    """Measure in turn, print every pair and the median of the ratios."""
    images, labels = strokes.draw("train", 20_000)
    held_out = images[:100], labels[:100]
    tensors = torch.from_numpy(images), torch.from_numpy(labels)

    def birnn() -> float:
        training = Training(RECIPE, 10, 0, torch.device("cpu"), (images, labels), held_out)
        started = time.perf_counter()
        for _ in training.steps():
            pass
        return STEPS * 128 / (time.perf_counter() - started)

    threads = torch.get_num_threads()
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {threads} threads")
    plain(*tensors), birnn()  # warm up
    ratios = []
    for _ in range(PAIRS):
        textbook, ours = plain(*tensors), birnn()
        ratios.append(ours / textbook)
        print(f"plain nn.LSTM {textbook:7,.0f} images/s, birnn {ours:7,.0f} images/s: {ratios[-1]:.2f}")
    print(f"median of {PAIRS} ratios {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
