"""How the gradient vanishes: the size of the loss's gradient at each of the 28 rows.

The loss is known after the last row; Backpropagation Through Time carries its gradient back, one row at
a time. The figure shows the L2 norm of dloss/dh_t over the 128 units, where h_t is the output of the
forward direction at row t and the derivative includes every path from h_t to the loss; it is the
geometric mean over validation images. The network is the notebook's with the read-out `states`: with
forget bias 0 and 1, each before and after training, and untrained with its recurrent weights times 6.
It is trained on MNIST, or on drawn digits where MNIST is not available.

python examples/vanishing_gradient.py [IMAGES of the training (100000)] [FIGURE]
"""

import platform
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from birnn_cli.data import datasets
from birnn_cli.network.rows import to_rows
from birnn_cli.network.torch_engine import BiRNN
from birnn_cli.runs.recipes import RECIPES
from birnn_cli.training.batches import LabelledImages
from birnn_cli.training.loop import TrainingLoop

FIGURE = Path(__file__).with_name("vanishing_gradient.png")
DATA_DIR = datasets.default_data_dir()
SEED, NUM_IMAGES, SCALE = 0, 500, 6


def gradient_sizes(network: BiRNN, rows: Tensor, labels: Tensor) -> list[float]:
    """The geometric mean over images of |dloss/dh_t|, from row 0 to row 27.

    Args:
        network: One layer, with the read-out `states`.
        rows: Shape (images, 28, 28), float32.
        labels: Shape (images,), int64.
    """
    # In double precision, since exploding gradients multiply rounding errors too.
    network, rows = deepcopy(network).double(), rows.double()
    layer = network.layers[0]
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    weights = [getattr(layer.fw, name) for name in names]
    sequence = rows.transpose(0, 1)
    output = cell = rows.new_zeros(len(rows), weights[1].shape[1])
    outputs = []
    for inputs in sequence:
        output, cell = torch.lstm_cell(inputs, (output, cell), *weights)
        output.retain_grad()
        outputs.append(output)
    backwards = layer.bw(sequence.flip(0))[0][-1]
    logits = network.head(torch.cat([output, backwards], dim=1))
    torch.testing.assert_close(logits, network(rows))  # unrolled by hand, it is the same network
    # Summed over images, so that each image's gradient is that of its own loss.
    nn.functional.cross_entropy(logits, labels, reduction="sum").backward()
    return [float(output.grad.norm(dim=1).log().mean().exp()) for output in outputs]


def measure(images: LabelledImages, validation: LabelledImages, samples: int) -> dict[str, list[float]]:
    """The gradient's size at each row, for each network by name."""
    rows = to_rows(torch.from_numpy(validation[0][:NUM_IMAGES]))
    labels = torch.from_numpy(validation[1][:NUM_IMAGES])
    sizes = {}
    for forget_bias in (0.0, 1.0):
        recipe = RECIPES["notebook"].override(
            {"readout": "states", "forget_bias": forget_bias, "samples": samples}
        )
        training = TrainingLoop(recipe, 10, SEED, torch.device("cpu"), images, validation)
        name = f"forget bias {forget_bias:g}"
        sizes[f"{name}, untrained"] = gradient_sizes(training.network, rows, labels)
        for _ in training.steps():
            pass
        sizes[f"{name}, trained"] = gradient_sizes(training.network, rows, labels)
        accuracy = training.validate().accuracy
        steps = training.step
        print(f"{name}: {accuracy:.1%} of the validation images correct after {steps} steps", flush=True)
    # Here `recipe` is the one with forget bias 1.
    large = TrainingLoop(recipe, 10, SEED, torch.device("cpu"), images, validation).network
    with torch.no_grad():
        large.layers[0].fw.weight_hh_l0.mul_(SCALE)
    sizes[f"forget bias 1, untrained, recurrent weights × {SCALE}"] = gradient_sizes(large, rows, labels)
    return sizes


def draw(sizes: dict[str, list[float]], dataset: str) -> Figure:
    """Draw each network's gradient sizes, relative to the last row's, on a logarithmic scale."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axes = figure.subplots()
    # The line styles tell the two forget biases apart in grey print too.
    looks = (("#0072b2", "o:"), ("#0072b2", "o-"), ("#d55e00", ":"), ("#d55e00", "-"), ("black", "--"))
    for (name, values), (colour, look) in zip(sizes.items(), looks, strict=True):
        size = np.array(values) / values[-1]
        axes.plot(size, look, color=colour, linewidth=2, markevery=3, label=name)
    axes.set_yscale("log")  # the same factor at every row gives a straight line
    axes.set(
        xlim=(0, 27),
        xticks=range(0, 28, 3),
        xlabel="t, row of pixels (the loss is known after row 27)",
        ylabel="size of the gradient at row t,\nthat at row 27 = 1",
        title=f"The gradient on its way back through the rows: {NUM_IMAGES} images of {dataset}",
    )
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def main(samples: int = 100_000, figure: str = "") -> None:
    """Train, measure, print, draw."""
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}")
    data = datasets.open_or_fall_back("auto", DATA_DIR, None, None, warn=print)
    sizes = measure(data.load("train"), data.load("validation"), samples)
    images = f"{NUM_IMAGES} validation images of {data.name}"
    print(f"|dloss/dh_t|, geometric mean over {images}, seed {SEED}:")
    for name, values in sizes.items():
        few = "  ".join(f"row {row}: {values[row]:.1e}" for row in (0, 9, 18, 27))
        print(f"  {name}: {few}")
    draw(sizes, data.name).savefig(figure or FIGURE, dpi=130, metadata={"Software": None})


if __name__ == "__main__":
    main(*(kind(value) for kind, value in zip((int, str), sys.argv[1:], strict=False)))
