"""A run's scores as event files for TensorBoard, by PyTorch's own writer."""

from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

from birnn_cli.optional import require
from birnn_cli.training.loop import StepResult


def writer_class() -> Any:
    """PyTorch's SummaryWriter.

    Raises:
        ConfigError: TensorBoard is not installed.
    """
    return require("torch.utils.tensorboard", "tensorboard").SummaryWriter


def written(steps: Iterable[StepResult], folder: Path, first_step: int) -> Generator[StepResult]:
    """Write the scores of a run's steps as event files into its folder, and pass the steps on.

    Scores of steps after `first_step`, which an interrupted process left there, are dropped.
    """
    writer = writer_class()(folder, purge_step=first_step + 1)
    try:
        for step in steps:
            for images, scores in (("batch", step.batch), ("validation", step.validation)):
                if scores is not None:
                    writer.add_scalar(f"loss/{images}", scores.loss, step.step)
                    writer.add_scalar(f"accuracy/{images}", scores.accuracy, step.step)
            yield step
    finally:
        writer.close()
