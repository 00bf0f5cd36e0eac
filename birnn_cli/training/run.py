"""One process's part of a run: learn, keep metrics and checkpoints, stop cleanly."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from birnn_cli.cli import interrupts
from birnn_cli.data import outliers, strokes
from birnn_cli.data.datasets import STROKES_SIZES, DataSet
from birnn_cli.errors import InterruptedRunError
from birnn_cli.runs import checkpoint, folders
from birnn_cli.runs.checkpoint import Checkpoint, CheckpointMetadata
from birnn_cli.runs.recipes import RunConfig
from birnn_cli.training.batches import Labelled
from birnn_cli.training.distributed import ALONE, Group, local_device
from birnn_cli.training.loop import StepResult, Training

# Pictures of no digit that a training draws: a batch of `best` takes 13 of them.
OUTLIERS = 30_000


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """A finished run, as `birnn train --json` prints it (units: seconds, nats, 0 to 1).

    What a GPU needs before the first step, `warm_up_seconds`, is not within `train_seconds`.
    """

    recipe: str
    dataset: str
    seed: int
    device: str
    steps: int
    samples: int
    first_step: int
    warm_up_seconds: float
    train_seconds: float
    save_seconds: float
    display_seconds: float
    samples_per_second: float
    parameters: int
    run: str
    checkpoint: str
    final: Mapping[str, float] | None
    validation: Mapping[str, float] | None


class Session:
    """A run that is under way in this process.

    Args:
        folder: The run's.
        config: What is computed.
        start: What it takes its first weights from, or goes on from.
        goes_on: Which of the two.
        data: What it learns from.
        save_every: Seconds between saves.
        lock: Keeps other processes out of the folder, as long as the session lives; the leader has it.
        group: The processes that run it together; the one that leads writes.
    """

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        start: Checkpoint | None,
        goes_on: bool,
        data: DataSet,
        save_every: float,
        lock: FileLock | None,
        group: Group = ALONE,
    ) -> None:
        self.folder, self.config, self.save_every, self._lock = folder, config, save_every, lock
        self._group = group
        self._path = folder / checkpoint.FILE_NAME
        self._final: Mapping[str, float] | None = None
        self._validation: Mapping[str, float] | None = None
        self._seconds = self._save_seconds = self._display_seconds = 0.0
        train, validation = group.run_on_all(lambda: (data.load("train"), data.load("validation")))
        self._training = Training(
            config.recipe,
            len(config.classes),
            config.seed,
            local_device(torch.device(config.device)),
            train,
            validation,
            list(_mixed(config)),
            group,
            config.deterministic,
        )
        if start is not None and goes_on:
            self._training.restore(start.metadata.step, start.weights, start.training)
            self._final, self._validation = start.metadata.final, start.metadata.validation
        elif start is not None:
            self._take_weights(start)
        self.first_step = self._training.step

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.config.recipe.steps

    def _take_weights(self, given: Checkpoint) -> None:
        """Begin with given weights, and keep them: their file need not outlive the first step.

        The head stays as it was drawn where it tells other classes apart.
        """
        drawn, new_head = self._training.weights(), given.config.classes != self.config.classes
        self._training.network.load_weights(
            {
                name: drawn[name] if new_head and name.startswith("head.") else array
                for name, array in given.weights.items()
            }
        )
        if self._group.is_leader:
            self._save(complete=False)

    def steps(self) -> Iterator[StepResult]:
        """Go on to the end, keeping rows and checkpoints; what is yielded is only to be shown.

        Raises:
            DivergedError: Loss or weights are no longer finite; the last good checkpoint stays.
            InterruptedRunError: Ctrl-C or SIGTERM came; the run is saved as it stands.
            OSError: A row or a checkpoint cannot be written; the last good one stays.
        """
        metrics = folders.Metrics(self.folder, self._training.step) if self._group.is_leader else None
        started = saved_at = time.perf_counter()
        try:
            with interrupts.noted_signals(patient=self._group.size > 1) as stop:
                for step in self._training.steps():
                    since = started + self._training.warm_up_seconds
                    self._seconds = time.perf_counter() - since
                    validate_step = self.config.recipe.validate_step
                    last = step.step == self.total_steps
                    if last or (validate_step and step.step % validate_step == 0):
                        step = replace(step, validation=self._training.validate())
                    self._note(metrics, step)
                    signal = self._group.all_reduce_max(stop())
                    stopped = bool(signal) and not last
                    is_due = last or stopped or time.perf_counter() - saved_at >= self.save_every
                    if metrics is not None and is_due:
                        saving_at = time.perf_counter()
                        metrics.sync()
                        self._save(complete=last)
                        saved_at = time.perf_counter()
                        self._save_seconds += saved_at - saving_at
                    showing_at = time.perf_counter()
                    yield step
                    self._display_seconds += time.perf_counter() - showing_at
                    if stopped:
                        raise InterruptedRunError(
                            f"stopped after step {step.step} of {self.total_steps}, all saved; go on "
                            f"with `birnn train --resume --output {self.folder}`",
                            signal,
                        )
        finally:
            if metrics is not None:
                metrics.close()

    def _note(self, metrics: folders.Metrics | None, result: StepResult) -> None:
        """Keep a row, where there is something to keep."""
        row: dict[str, float] = {}
        if result.batch is not None:
            self._final = {"loss": result.batch.loss, "accuracy": result.batch.accuracy}
            row |= self._final
        if result.validation is not None:
            self._validation = asdict(result.validation)
            row |= {
                "validation_loss": result.validation.loss,
                "validation_accuracy": result.validation.accuracy,
            }
        if row and metrics is not None:
            metrics.append({"step": result.step, "samples": result.samples, **row})

    def _about(self, *, complete: bool) -> CheckpointMetadata:
        return CheckpointMetadata(
            config=self.config,
            step=self._training.step,
            samples=self._training.step * self.config.recipe.batch_size,
            complete=complete,
            final=self._final,
            validation=self._validation,
            versions=checkpoint.versions(torch=torch.__version__),
        )

    def _save(self, *, complete: bool) -> None:
        state = Checkpoint(
            metadata=self._about(complete=complete),
            weights=self._training.weights(),
            training=self._training.optimizer_state(),
        )
        checkpoint.save(self._path, state)

    def result(self) -> TrainResult:
        """The run in numbers, once its steps are done."""
        about = self._about(complete=True)
        warm_up = self._training.warm_up_seconds
        seconds = (warm_up, self._seconds, self._save_seconds, self._display_seconds)
        return result(self.folder, about, self.first_step, seconds)


def result(
    folder: Path,
    about: CheckpointMetadata,
    first_step: int,
    seconds: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
) -> TrainResult:
    """A run in numbers; `seconds` are those of warming up, training in all, saving, and showing."""
    warm_up_seconds, train_seconds, save_seconds, display_seconds = seconds
    config, seen = about.config, about.samples - first_step * about.config.recipe.batch_size
    return TrainResult(
        recipe=config.recipe_name,
        dataset=config.dataset,
        seed=config.seed,
        device=config.device,
        steps=about.step,
        samples=about.samples,
        first_step=first_step,
        warm_up_seconds=warm_up_seconds,
        train_seconds=train_seconds,
        save_seconds=save_seconds,
        display_seconds=display_seconds,
        samples_per_second=seen / train_seconds if seen else 0.0,
        parameters=config.architecture.num_parameters,
        run=str(folder),
        checkpoint=str(folder / checkpoint.FILE_NAME),
        final=about.final,
        validation=about.validation,
    )


def _mixed(config: RunConfig) -> Iterator[tuple[str, float, Labelled]]:
    """What the program draws for every batch, beside the data set's images."""
    if share := config.recipe.mix_strokes:
        images, labels = strokes.draw("train", STROKES_SIZES["train"])
        own = np.array([config.classes.index(name) for name in strokes.CLASSES])
        yield "strokes", share, (images, own[labels])
    if share := config.recipe.mix_outliers:
        yield "outliers", share, (outliers.draw(OUTLIERS), np.full(OUTLIERS, outliers.NO_CLASS))
