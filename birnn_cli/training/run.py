"""A training run: begun or resumed in its folder, step by step, with metrics and checkpoints kept."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from birnn_cli.errors import InterruptedRunError
from birnn_cli.runs import checkpoint, folders
from birnn_cli.runs.checkpoint import Checkpoint, CheckpointMetadata
from birnn_cli.runs.metrics import MetricsFile
from birnn_cli.runs.recipes import RunConfig
from birnn_cli.training.batches import LabelledImages
from birnn_cli.training.device import resolve_device
from birnn_cli.training.distributed import ALONE, Group, local_device
from birnn_cli.training.images import DataSets, drawings
from birnn_cli.training.loop import StepResult, TrainingLoop, TrainResult
from birnn_cli.training.options import TrainOptions, check_unchanged, new_run

if TYPE_CHECKING:
    from filelock import FileLock


def _say_nothing(*_: object) -> None:
    """Report nothing."""


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """What surrounds a run: by default one process, which reports nothing.

    Attributes:
        group: The processes that compute the run together, and all begin or resume it.
        warn: Called with a line where MNIST cannot be had and drawn digits take its place.
        on_download: Called with the bytes done, and in all, of a file that is downloaded.
    """

    group: Group = ALONE
    warn: Callable[[str], None] = _say_nothing
    on_download: Callable[[int, int | None], None] = _say_nothing


class Run:
    """A training run in its folder: make it with `begin` or `resume`, train with `steps`, ask `result`.

    Args:
        folder: The run's.
        config: What it computes.
        start: The run's own checkpoint to resume from, or another one whose weights it starts with.
        is_resumed: Whether `start` is the run's own.
        images: Training and validation images; None for a run that is finished.
        lock: Keeps other processes out of the folder until the steps are done; the leader holds it.
        save_every: Seconds between saves.
        context: What surrounds it.
    """

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        start: Checkpoint | None,
        is_resumed: bool,
        images: tuple[LabelledImages, LabelledImages] | None,
        lock: "FileLock | None",
        save_every: float,
        context: RunContext,
    ) -> None:
        self.folder, self.config = folder, config
        self.checkpoint = folder / checkpoint.FILE_NAME
        self._lock, self._save_every = lock, save_every
        self._group = context.group
        self._seconds = 0.0
        self._final: Mapping[str, float] | None = None
        self._validation: Mapping[str, float] | None = None
        self.first_step = 0
        if start is not None and is_resumed:
            self.first_step = start.metadata.step
            self._final, self._validation = start.metadata.final, start.metadata.validation
        self._loop: TrainingLoop | None = None
        if images is None:
            self._release()
            return
        self._loop = TrainingLoop(
            config.recipe,
            len(config.classes),
            config.seed,
            local_device(torch.device(config.device)),
            *images,
            list(drawings(config)),
            self._group,
            config.deterministic,
        )
        if start is not None and is_resumed:
            self._loop.restore(start.metadata.step, start.weights, start.training)
        elif start is not None:
            self._take_weights(start)

    @classmethod
    def begin(cls, *, context: RunContext = RunContext(), **options: Any) -> "Run":
        """Begin a run: decide what it computes, load the data, make the folder.

        Args:
            context: What surrounds the run.
            **options: `TrainOptions` by name, and values of the recipe by name.

        Raises:
            BirnnError: The options, the data or the folder cannot be used.
        """
        if context.group.stored_run_folder() is not None:  # `torchrun` has started the group again
            return cls.resume(context=context, **options)
        wanted = TrainOptions.from_keywords(options)
        data_sets = DataSets(wanted.data_dir, context.warn, context.on_download)
        config, init = context.group.run_on_leader(lambda: new_run(wanted, data_sets))
        images = context.group.run_on_all(lambda: data_sets.load(config))
        lock: FileLock | None = None

        def create() -> Path:
            nonlocal lock
            output = None if wanted.output is None else Path(wanted.output)
            folder, lock = folders.create(output, config)
            context.group.store_run_folder(str(folder))
            return folder

        folder = context.group.run_on_leader(create)
        return cls(folder, config, init, False, images, lock, wanted.save_every, context)

    @classmethod
    def resume(cls, *, context: RunContext = RunContext(), **options: Any) -> "Run":
        """Resume the run in `output`, or the newest interrupted one under `runs/`.

        Args:
            context: What surrounds the run.
            **options: As for `begin`; they must equal those of the run, except `output`, `data_dir` and
                `save_every`.

        Raises:
            BirnnError: There is no such run, it is in use, the options differ, or the data do.
        """
        if (begun := context.group.stored_run_folder()) is not None:
            options["output"] = begun
        wanted = TrainOptions.from_keywords(options)
        data_sets = DataSets(wanted.data_dir, context.warn, context.on_download)
        lock: FileLock | None = None

        def find() -> tuple[Path, RunConfig, Checkpoint | None, bool]:
            nonlocal lock
            output = None if wanted.output is None else Path(wanted.output)
            folder, config, lock = folders.lock_for_resuming(output)
            try:
                check_unchanged(wanted, config, folder)
                resolve_device(config.device)
            except BaseException:
                lock.release()  # the exception may live on, in a notebook, and the lock with it
                raise
            context.group.store_run_folder(str(folder))
            path = folder / checkpoint.FILE_NAME
            if path.exists():
                return folder, config, checkpoint.load(path), True
            return folder, config, checkpoint.load(Path(config.init)) if config.init else None, False

        folder, config, start, resumed = context.group.run_on_leader(find)
        images = None
        if not (resumed and start is not None and start.metadata.complete):
            images = context.group.run_on_all(lambda: data_sets.load(config, folder))
        return cls(folder, config, start, resumed, images, lock, wanted.save_every, context)

    @property
    def is_finished(self) -> bool:
        """Whether there is no step left to learn."""
        return self._step == self.total_steps

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.config.recipe.steps

    @property
    def _step(self) -> int:
        """Steps done."""
        return self.first_step if self._loop is None else self._loop.step

    def __repr__(self) -> str:
        """The folder, the recipe and how far it is."""
        done = f"step {self._step:,} of {self.total_steps:,}"
        return f"Run({str(self.folder)!r}: {self.config.recipe_name} on {self.config.dataset}, {done})"

    def steps(self, stop_signal: Callable[[], int] = lambda: 0) -> Iterator[StepResult]:
        """Train to the end, as far as the results are iterated over; metrics and checkpoints are kept.

        `stop_signal` is called after each step: the number of a signal, if not 0, asks to save and stop.

        Raises:
            DivergedError: Loss or weights are no longer finite; the last good checkpoint stays.
            InterruptedRunError: A signal asked for it; the run is saved as it stands.
            OSError: A row or a checkpoint cannot be written; the last good one stays.
        """
        if self._loop is None:
            return
        metrics = MetricsFile(self.folder, self._step) if self._group.is_leader else None
        started = saved_at = time.perf_counter()
        validate_step = self.config.recipe.validate_step
        try:
            for result in self._loop.steps():
                self._seconds = time.perf_counter() - started
                if self.is_finished or (validate_step and result.step % validate_step == 0):
                    result = replace(result, validation=self._loop.validate())
                self._record(metrics, result)
                signal = self._group.all_reduce_max(stop_signal())
                stopped = bool(signal) and not self.is_finished
                is_due = time.perf_counter() - saved_at >= self._save_every
                if metrics is not None and (self.is_finished or stopped or is_due):
                    metrics.sync()
                    self._save(complete=self.is_finished)
                    saved_at = time.perf_counter()
                yield result  # first, so that this last step is shown too
                if stopped:
                    raise InterruptedRunError(
                        f"stopped after step {result.step} of {self.total_steps}, all saved; go on "
                        f"with `birnn train --resume --output {self.folder}`",
                        signal,
                    )
        finally:
            if metrics is not None:
                metrics.close()
            self._release()

    def result(self) -> TrainResult:
        """The run in numbers, once its steps are done."""
        samples = self._step * self.config.recipe.batch_size
        own_samples = samples - self.first_step * self.config.recipe.batch_size
        return TrainResult(
            recipe=self.config.recipe_name,
            dataset=self.config.dataset,
            seed=self.config.seed,
            device=self.config.device,
            steps=self._step,
            samples=samples,
            first_step=self.first_step,
            train_seconds=self._seconds,
            samples_per_second=own_samples / self._seconds if own_samples else 0.0,
            parameters=self.config.architecture.num_parameters,
            run=str(self.folder),
            checkpoint=str(self.checkpoint),
            final=self._final,
            validation=self._validation,
        )

    def _take_weights(self, init: Checkpoint) -> None:
        """Start with the weights of another checkpoint, and save them, so that its file may go.

        If the classes differ, the head keeps its random weights.
        """
        assert self._loop is not None
        own, has_new_head = self._loop.weights(), init.config.classes != self.config.classes
        self._loop.network.load_weights(
            {
                name: own[name] if has_new_head and name.startswith("head.") else array
                for name, array in init.weights.items()
            }
        )
        if self._group.is_leader:
            self._save(complete=False)

    def _record(self, metrics: MetricsFile | None, result: StepResult) -> None:
        """Remember the latest scores; the leader also writes them as a row of metrics."""
        row: dict[str, float] = {}
        if result.batch is not None:
            self._final = {"loss": result.batch.loss, "accuracy": result.batch.accuracy}
            row |= self._final
        if result.validation is not None:
            self._validation = asdict(result.validation)
            row["validation_loss"] = result.validation.loss
            row["validation_accuracy"] = result.validation.accuracy
        if row and metrics is not None:
            metrics.append({"step": result.step, "samples": result.samples, **row})

    def _save(self, *, complete: bool) -> None:
        """Write the checkpoint."""
        assert self._loop is not None
        metadata = CheckpointMetadata(
            config=self.config,
            step=self._step,
            samples=self._step * self.config.recipe.batch_size,
            complete=complete,
            final=self._final,
            validation=self._validation,
            versions=checkpoint.versions(torch=torch.__version__),
        )
        weights, averages = self._loop.weights(), self._loop.optimizer_state()
        checkpoint.save(
            self.checkpoint, Checkpoint(metadata=metadata, weights=weights, training=averages)
        )

    def _release(self) -> None:
        """Let other processes use the folder."""
        if self._lock is not None:
            self._lock.release()


def train(
    *, resume: bool = False, on_step: Callable[[StepResult], None] = _say_nothing, **options: Any
) -> Run:
    """Learn to read digits, to the end, and give the finished run; see `Run.begin` for the options.

    Args:
        resume: Whether to resume the run in `output`, or the newest interrupted one.
        on_step: Called after each step.
        **options: Such as `recipe="notebook"`, `dataset="mnist"`, `samples=2_000`, `output="runs/a"`.

    Raises:
        BirnnError: The options, the data or the folder cannot be used, or the loss is not finite.
    """
    run = Run.resume(**options) if resume else Run.begin(**options)
    for result in run.steps():
        on_step(result)
    return run
