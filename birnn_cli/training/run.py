"""A training run: begun or resumed in its folder, step by step, with metrics and checkpoints kept."""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import torch

from birnn_cli.data.download import ProgressCallback
from birnn_cli.errors import InterruptedRunError, RunError
from birnn_cli.files import sync
from birnn_cli.runs import checkpoint, folders
from birnn_cli.runs.checkpoint import Checkpoint, CheckpointMetadata
from birnn_cli.runs.config import RunConfig
from birnn_cli.runs.metrics import append_row, open_metrics
from birnn_cli.training.distributed import ALONE, ProcessGroup, local_device
from birnn_cli.training.images import DataSets, Splits, drawings, sha256
from birnn_cli.training.loop import StepResult, TrainingLoop, TrainResult
from birnn_cli.training.options import TrainOptions, new_run, resumed_config


def _say_nothing(*_: object) -> None:
    """Report nothing."""


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """What surrounds a run: by default one process, which reports nothing.

    The processes of `group` compute the run together, and all begin or resume it. `warn` is called with
    a line where MNIST cannot be had and drawn digits take its place, `on_download` with the bytes done,
    and in all, of a file that is downloaded.
    """

    group: ProcessGroup = ALONE
    warn: Callable[[str], None] = _say_nothing
    on_download: ProgressCallback = _say_nothing


class Run:
    """A training run in its folder: `begin` or `resume` it, train with `steps`, ask for its `result`."""

    def __init__(
        self, folder: Path, config: RunConfig, loop: TrainingLoop | None, save_every: float
    ) -> None:
        """`loop` is None where the run is finished; `save_every` is in seconds."""
        self.folder, self.config, self._loop = folder, config, loop
        self.checkpoint = folder / checkpoint.FILE_NAME
        self.first_step = config.recipe.steps if loop is None else loop.step
        self._save_every, self._seconds = save_every, 0.0
        self._final: Mapping[str, float] | None = None
        self._validation: Mapping[str, float] | None = None
        # Held until the steps end, None afterwards: in the leader, the folder's lock.
        self._held: ExitStack | None = ExitStack()

    @classmethod
    def begin(cls, *, context: RunContext = RunContext(), **options: Any) -> "Run":
        """Begin a run: decide what it computes, load the data, make the folder.

        `options` are those of `TrainOptions`, and values of the recipe, by name.

        Raises:
            BirnnError: The options, the data or the folder cannot be used.
        """
        group = context.group
        if group.stored_run_folder() is not None:  # `torchrun` has started the group again
            return cls.resume(context=context, **options)
        wanted = TrainOptions.from_keywords(options)
        data_sets = DataSets(wanted.data_dir, context.warn, context.on_download)
        config = group.run_on_leader(lambda: new_run(wanted, data_sets))
        images = group.run_on_all(lambda: data_sets.load(config))
        config = replace(config, data_sha256=sha256(images))
        loop = _training_loop(config, images, group)
        with ExitStack() as held:

            def create() -> Path:  # last, so that a start that fails does not block its repetition
                output = None if wanted.output is None else Path(wanted.output)
                folder, lock = folders.create(output, config)
                held.callback(lock.release)
                group.store_run_folder(str(folder))
                return folder

            run = cls(group.run_on_leader(create), config, loop, wanted.save_every)
            if config.init is not None and group.is_leader:
                run._save(complete=False)  # so that the file of the weights may be deleted
            run._held = held.pop_all()
            return run

    @classmethod
    def resume(cls, *, context: RunContext = RunContext(), **options: Any) -> "Run":
        """Resume the run in `output`, or the newest interrupted one under `runs/`.

        `options` are as for `begin`; they must equal those of the run, except `output`, `data_dir`,
        `save_every`, `device`, and `samples`, which may be more at a constant learning rate.

        Raises:
            BirnnError: There is no such run, it is in use, the options differ, or the data do.
        """
        group = context.group
        if (begun := group.stored_run_folder()) is not None:
            options["output"] = begun
        wanted = TrainOptions.from_keywords(options)
        data_sets = DataSets(wanted.data_dir, context.warn, context.on_download)
        with ExitStack() as held:  # a notebook keeps its last exception, but not the lock

            def find() -> tuple[Path, RunConfig, RunConfig, Checkpoint | None]:
                output = None if wanted.output is None else Path(wanted.output)
                folder, was, lock = folders.lock_for_resuming(output, context.warn)
                held.callback(lock.release)
                own = folders.own_checkpoint(folder, was)
                config = resumed_config(wanted, was, folder)
                group.store_run_folder(str(folder))
                return folder, was, config, own

            folder, was, config, own = group.run_on_leader(find)
            loop = None
            if own is None or own.metadata.step < config.recipe.steps:
                images = group.run_on_all(lambda: data_sets.load(config, folder))
                loop = _training_loop(config, images, group, own)
            run = cls(folder, config, loop, wanted.save_every)
            if own is not None:
                run._final = own.metadata.final
                # A run that is made longer has no scores of its end yet.
                if loop is None or not own.metadata.complete:
                    run._validation = own.metadata.validation
            if loop is not None and config != was and group.is_leader:
                folders.update_config(folder, config)
                if config.device != was.device:
                    context.warn(
                        f"the run in {folder} was on {was.device} and continues on {config.device}: "
                        "from here on its numbers may differ in their last bits"
                    )
            if loop is not None:
                run._held = held.pop_all()
            return run

    @property
    def is_finished(self) -> bool:
        """Whether all steps are done."""
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

    def steps(self, stop_signal: Callable[[], int] = lambda: 0) -> Generator[StepResult]:
        """Train as far as the results are iterated over, once; metrics and checkpoints are kept.

        `stop_signal` is called after each step: the number of a signal, if not 0, asks to save and stop.

        Raises:
            DivergedError: Loss or weights are no longer finite; the last good checkpoint stays.
            InterruptedRunError: A signal asked for it; the run is saved as it stands.
            OSError: A row or a checkpoint cannot be written; the last good one stays.
            RunError: An earlier iteration ended before the last step, and gave the folder back.
        """
        if self._loop is None or self.is_finished:
            return
        held, self._held = self._held, None
        if held is None:
            raise RunError(
                f"the steps of the run in {self.folder} ended at step {self._step}, and its folder may "
                f"be in use: continue with Run.resume(output={str(self.folder)!r})"
            )
        validate_step = self.config.recipe.validate_step
        with held:
            metrics = None
            if self._loop.group.is_leader:
                metrics = held.enter_context(open_metrics(self.folder, self._step, validate_step))
            started = saved_at = time.perf_counter()
            for result in self._loop.steps():
                self._seconds = time.perf_counter() - started
                if self.is_finished or (validate_step and result.step % validate_step == 0):
                    result = replace(result, validation=self._loop.validate())
                self._record(metrics, result)
                signal = self._loop.group.all_reduce_max(stop_signal())
                stopped = bool(signal) and not self.is_finished
                is_due = time.perf_counter() - saved_at >= self._save_every
                if metrics is not None and (self.is_finished or stopped or is_due):
                    sync(metrics.fileno())
                    self._save(complete=self.is_finished)
                    saved_at = time.perf_counter()
                yield result  # first, so that this last step is shown too
                if stopped:
                    raise InterruptedRunError(
                        f"stopped after step {result.step} of {self.total_steps}, all saved; go on "
                        f"with `birnn train --resume --output {self.folder}`",
                        signal,
                    )

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
            samples_per_second=own_samples / self._seconds if self._seconds else 0.0,
            parameters=self.config.architecture.num_parameters,
            run=str(self.folder),
            checkpoint=str(self.checkpoint),
            final=self._final,
            validation=self._validation,
        )

    def _record(self, metrics: BinaryIO | None, result: StepResult) -> None:
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
            append_row(metrics, {"step": result.step, "samples": result.samples, **row})

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
        current = Checkpoint(metadata=metadata, weights=weights, training=averages)
        checkpoint.save(self.checkpoint, current)


def _training_loop(
    config: RunConfig, images: Splits, group: ProcessGroup, own: Checkpoint | None = None
) -> TrainingLoop:
    """The loop of a run, where its own checkpoint left it, or before its first step.

    Of the checkpoint that gives a run its first weights, the head of other classes is not taken.
    """
    loop = TrainingLoop(
        config.recipe,
        len(config.classes),
        config.seed,
        local_device(torch.device(config.device)),
        *images,
        list(drawings(config)),
        group,
        config.deterministic,
        config.threads,
    )
    if own is not None:
        loop.restore(own.metadata.step, own.weights, own.training)
    elif config.init is not None:
        file, weights = Path(config.init), loop.weights()
        init = group.run_on_leader(lambda: checkpoint.load(file))
        for name in weights:
            if init.config.classes == config.classes or not name.startswith("head."):
                weights[name] = init.weights[name]
        loop.network.load_weights(weights)
    return loop


def train(
    *, resume: bool = False, on_step: Callable[[StepResult], None] = _say_nothing, **options: Any
) -> Run:
    """Learn to read digits, to the end, and give the finished run; see `Run.begin` for the options.

    `resume` resumes the run in `output`, or the newest interrupted one. `on_step` is called after each
    step. Options are such as `recipe="notebook"`, `dataset="mnist"`, `samples=2_000`, `output="runs/a"`.

    Raises:
        BirnnError: The options, the data or the folder cannot be used, or the loss is not finite.
    """
    run = Run.resume(**options) if resume else Run.begin(**options)
    with closing(run.steps()) as steps:  # also where on_step fails, and a notebook keeps its error
        for result in steps:
            on_step(result)
    return run
