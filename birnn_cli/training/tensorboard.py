"""A run's metrics as TensorBoard draws them, for those who use it; with PyTorch's own writer."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from birnn_cli.optional import require

if TYPE_CHECKING:
    from birnn_cli.training.loop import StepResult


def writer_class() -> Any:
    """PyTorch's SummaryWriter.

    Raises:
        ConfigError: TensorBoard is not installed.
    """
    return require("torch.utils.tensorboard", "tensorboard").SummaryWriter


def drawn(steps: "Iterable[StepResult]", folder: Path, first_step: int) -> "Iterator[StepResult]":
    """Pass a run's steps on, and keep their scores as event files in its folder.

    Curves of steps after `first_step`, which an interrupted process left there, are dropped.
    """
    writer = writer_class()(folder, purge_step=first_step + 1)
    try:
        for step in steps:
            for where, scores in (("batch", step.batch), ("held out", step.validation)):
                if scores is not None:
                    writer.add_scalar(f"loss/{where}", scores.loss, step.step)
                    writer.add_scalar(f"accuracy/{where}", scores.accuracy, step.step)
            yield step
    finally:
        writer.close()
