"""Turn a finished run into the model that ships: calibrated, and with nothing that only training needs.

python examples/ship.py runs/best-1 birnn_cli/runs/shipped.safetensors

A network that has learned to be unsure of what is no digit is less sure of digits than it is right. So
the logits are divided by a temperature, that of the least loss on the validation images (Guo and others,
"On Calibration of Modern Neural Networks", 2017). No answer changes by it. The weights are kept in half
precision.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from birnn_cli.data import datasets
from birnn_cli.evaluation import read_images, score
from birnn_cli.runs import checkpoint
from birnn_cli.runs.checkpoint import Checkpoint

TEMPERATURES = np.arange(0.5, 1.505, 0.01)


def main(run: Path, target: Path) -> None:
    """Read a run's checkpoint and write its network alone, calibrated."""
    finished = checkpoint.load(run / checkpoint.FILE_NAME)
    data = datasets.open_data_set(finished.config.dataset, datasets.default_data_dir())
    calibrated, temperature = calibrate(finished, data)
    checkpoint.save(target, calibrated, np.float16)
    print(
        f"{target}: {target.stat().st_size:,} bytes, temperature {temperature:.2f}, "
        f"validation {calibrated.metadata.validation}"
    )


def calibrate(finished: Checkpoint, data: datasets.DataSet) -> tuple[Checkpoint, float]:
    """The network with its head divided by the best of TEMPERATURES, and that temperature."""
    read = read_images(finished, data, "validation")
    scores = {t: score(read.logits / np.float32(t), read.labels, read.classes) for t in TEMPERATURES}
    temperature = min(scores, key=lambda t: scores[t].loss)
    best = scores[temperature]
    weights = {
        name: array / np.float32(temperature) if name.startswith("head.") else array
        for name, array in finished.weights.items()
    }
    validation = {"n": best.n, "loss": best.loss, "accuracy": best.accuracy}
    metadata = replace(finished.metadata, validation=validation)
    return Checkpoint(metadata=metadata, weights=weights, training={}), float(temperature)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
