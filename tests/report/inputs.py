"""What reports are made from in the tests: random logits, a run's metadata and its metrics."""

import json
from pathlib import Path

import numpy as np

from birnn_cli.evaluation import LabelledLogits, score
from birnn_cli.report.findings import Findings
from birnn_cli.runs.checkpoint import CheckpointMetadata
from birnn_cli.runs.config import RunConfig
from birnn_cli.runs.recipes import RECIPES

DIGITS = tuple("0123456789")


def run_config(
    classes: tuple[str, ...] = DIGITS, recipe: str = "notebook", dataset: str = "mnist"
) -> RunConfig:
    """The configuration of a run."""
    return RunConfig(
        recipe_name=recipe,
        recipe=RECIPES[recipe],
        dataset=dataset,
        classes=classes,
        reader="digit",
        seed=0,
        device="cpu",
    )


def metadata(config: RunConfig, step: int = 781) -> CheckpointMetadata:
    """The metadata of a finished run's checkpoint."""
    return CheckpointMetadata(
        config=config, step=step, samples=128 * step, complete=True, versions={"birnn": "9.8.7"}
    )


def random_outputs(n: int, classes: tuple[str, ...] = DIGITS, accuracy: float = 0.8) -> LabelledLogits:
    """Logits for n random images that reach about this accuracy, at random confidences."""
    random = np.random.default_rng(0)
    labels = random.integers(0, len(classes), n)
    predicted = np.where(random.random(n) < accuracy, labels, (labels + 1) % len(classes))
    logits = random.normal(0, 1, (n, len(classes))).astype(np.float32)
    logits[np.arange(n), predicted] += random.uniform(3, 8, n).astype(np.float32)
    images = random.integers(0, 256, (n, 28, 28), np.uint8)
    return LabelledLogits(images, labels, logits, classes)


def findings_of(
    outputs: LabelledLogits,
    folder: Path,
    config: RunConfig | None = None,
    dataset: str = "mnist",
    split: str = "test",
) -> Findings:
    """What a report is made from, with a checkpoint that would lie in the folder."""
    scores = score(outputs.logits, outputs.labels, outputs.classes)
    config = config or run_config(outputs.classes, dataset=dataset)
    return Findings(folder / "checkpoint.safetensors", metadata(config), dataset, split, outputs, scores)


def write_metrics(folder: Path, ending: bytes = b"") -> None:
    """Write two rows of a run's metrics, and after them an ending that may be damaged."""
    rows = [
        {"step": 10, "samples": 1280, "loss": 1.5, "accuracy": 0.5},
        {"step": 20, "samples": 2560, "loss": 1.0, "accuracy": 0.75}
        | {"validation_loss": 1.25, "validation_accuracy": 0.625},
    ]
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    (folder / "metrics.jsonl").write_bytes(lines + ending)
