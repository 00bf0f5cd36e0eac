"""Which rows each read-out uses: the notebook's network with `last`, `states` and `pool`.

Each network is trained on MNIST with several seeds (on drawn digits where MNIST is not available) and
evaluated once on all test images, then on parts of the first of them, with the other rows blank. The
runs are kept under runs/readouts/: if you stop this program and start it again, it resumes there.

python examples/readouts.py [SEEDS (5)] [IMAGES a training (100000)] [IMAGES in parts (1000)] [FIGURE]
"""

import json
import platform
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from matplotlib.figure import Figure

import birnn_cli as birnn
from birnn_cli import evaluation
from birnn_cli.data import datasets
from birnn_cli.network import numpy_engine
from birnn_cli.network.architecture import NUM_ROWS, Readout
from birnn_cli.network.rows import to_rows
from birnn_cli.runs import checkpoint

HERE = Path(__file__).parent
RUNS = Path("runs/readouts")
DATA_DIR = datasets.default_data_dir()
# The dashes tell the lines apart in grey print too.
LINES = {"last": ("#d55e00", "-"), "states": ("#0072b2", "--"), "pool": ("#000000", ":")}


def scores_of(
    readout: str, seed: int, data: datasets.DataSet, samples: int, pictures: int
) -> dict[str, Any]:
    """Train one network and evaluate it, or read the scores of an earlier start of this program."""
    folder = RUNS / f"{readout}-{samples}-{seed}"
    file = folder / f"scores-{pictures}.json"
    if not file.exists():
        birnn.train(
            recipe="notebook",
            readout=readout,
            samples=samples,
            dataset=data.name,
            data_dir=DATA_DIR,
            seed=seed,
            device="cpu",
            output=folder,
            resume=(folder / "config.json").exists(),
        )
        file.write_text(json.dumps(evaluate(folder, data, pictures)), encoding="utf-8")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def evaluate(folder: Path, data: datasets.DataSet, pictures: int) -> dict[str, Any]:
    """The accuracy on all test images, and on the first rows or the last rows of some of them."""
    network = checkpoint.load(folder / checkpoint.FILE_NAME)
    architecture = network.config.architecture
    whole = evaluation.evaluate(network, data, "test")
    images, labels = data.load("test", min(pictures, whole.n))

    def accuracy(seen: slice) -> float:
        rows = np.zeros(images.shape, np.float32)
        rows[:, seen] = to_rows(images[:, seen])
        logits = numpy_engine.logits(architecture, network.weights, rows)
        return float((logits.argmax(axis=1) == labels).mean())

    return {
        "dataset": data.name,
        "n": whole.n,
        "accuracy": whole.accuracy,
        "pictures": len(images),
        "first_rows": [accuracy(slice(0, row + 1)) for row in range(NUM_ROWS)],
        "last_rows": [accuracy(slice(row, NUM_ROWS)) for row in range(NUM_ROWS)],
    }


def draw(found: dict[str, list[dict[str, Any]]]) -> Figure:
    """Draw the accuracy against the last and the first row that is seen: mean and range over seeds."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    first = found["last"][0]
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, part in ((left, "first_rows"), (right, "last_rows")):
        for readout, runs in found.items():
            percents = 100 * np.array([run[part] for run in runs])
            colour, dashes = LINES[readout]
            axes.plot(percents.mean(axis=0), dashes, color=colour, linewidth=2, label=readout)
            axes.fill_between(
                range(NUM_ROWS), percents.min(axis=0), percents.max(axis=0), color=colour, alpha=0.15
            )
        axes.set(xlim=(0, NUM_ROWS - 1), xticks=range(0, NUM_ROWS, 3), ylim=(0, 100))
        axes.grid(color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
    left.set(
        title="Rows 0 to t alone, the rest blank",
        xlabel="t, the last row that is seen",
        ylabel="accuracy, %",
    )
    right.set(title="Rows t to 27 alone, the rest blank", xlabel="t, the first row that is seen")
    left.legend(title="read-out", loc="upper left", frameon=False)
    figure.suptitle(
        f"{first['pictures']:,} test images of {first['dataset']}, mean and range over "
        f"{len(found['last'])} seeds",
        fontsize="medium",
    )
    return figure


def main(seeds: int = 5, samples: int = 100_000, pictures: int = 1000, figure: str = "") -> None:
    """Train, evaluate, print the table, draw the figure."""
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}")
    data = datasets.open_or_fall_back("auto", DATA_DIR, None, None, warn=print)
    found: dict[str, list[dict[str, Any]]] = {readout: [] for readout in get_args(Readout)}
    for seed in range(seeds):
        for readout, runs in found.items():
            runs.append(scores_of(readout, seed, data, samples, pictures))
            print(f"{readout}, seed {seed}: {runs[-1]['accuracy']:.2%}", flush=True)
    first = found["last"][0]
    print(f"accuracy on {first['n']:,} test images of {first['dataset']}, seeds 0 to {seeds - 1}:")
    for readout, runs in found.items():
        accuracies = [run["accuracy"] for run in runs]
        mean = sum(accuracies) / len(accuracies)
        print(f"{readout:>8}  mean {mean:.2%}, from {min(accuracies):.2%} to {max(accuracies):.2%}")
    path = Path(figure) if figure else HERE / "readouts.png"
    draw(found).savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    kinds = (int, int, int, str)
    main(*(kind(value) for kind, value in zip(kinds, sys.argv[1:], strict=False)))
