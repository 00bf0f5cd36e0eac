"""One process's part of a run: find the data, learn, keep metrics and checkpoints, stop cleanly."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from birnn_cli import interrupts, runs
from birnn_cli.data import outliers, strokes
from birnn_cli.data.batches import Labelled
from birnn_cli.data.datasets import STROKES_SIZES, DataSet, default_data_dir, open_or_fall_back
from birnn_cli.data.download import Report
from birnn_cli.errors import ConfigError, InterruptedRunError, RunError
from birnn_cli.network import checkpoint
from birnn_cli.network.checkpoint import About, Checkpoint
from birnn_cli.recipes import NETWORK_VALUES, RECIPES, Reader, Recipe, RecipeName, RunConfig
from birnn_cli.training import StepResult, Training, resolve_device, resolve_precision

# Pictures of no digit that a training draws: a batch of `best` takes 13 of them.
OUTLIERS = 30_000


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for; None, or absent among the overrides, is what was not said.

    Attributes:
        recipe: A recipe's name.
        overrides: Values in place of the recipe's.
        dataset: A data set's name, or a folder.
        data_dir: Where torchvision's sets live.
        reader: How a folder's pictures are read.
        init: A checkpoint file or a run folder to take the first weights from.
        output: The run folder.
        resume: Whether to go on with a run.
        seed: The run's.
        device: As torch names it, or `auto`.
        save_every: Seconds between saves.
    """

    recipe: RecipeName | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    dataset: str | None = None
    data_dir: Path | None = None
    reader: Reader | None = None
    init: Path | None = None
    output: Path | None = None
    resume: bool = False
    seed: int | None = None
    device: str | None = None
    save_every: float = 2.0


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """A finished run, as `birnn train --json` prints it (units: seconds, nats, 0 to 1)."""

    recipe: str
    dataset: str
    seed: int
    device: str
    steps: int
    samples: int
    first_step: int
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
    """A run that is under way in this process, or was finished before.

    Args:
        folder: The run's.
        config: What is computed.
        data: What on.
        save_every: Seconds between saves.
        lock: Keeps other processes out of the folder, as long as the session lives.
    """

    def __init__(
        self, folder: Path, config: RunConfig, data: DataSet, save_every: float, lock: FileLock
    ) -> None:
        self.folder, self.config, self.save_every, self._lock = folder, config, save_every, lock
        self._path = folder / checkpoint.FILE_NAME
        self._final: Mapping[str, float] | None = None
        self._validation: Mapping[str, float] | None = None
        self._seconds = self._save_seconds = self._display_seconds = 0.0
        self._training = Training(
            config.recipe,
            len(config.classes),
            config.seed,
            torch.device(config.device),
            data.load("train"),
            data.load("validation"),
            list(_mixed(config)),
        )
        if self._path.exists():
            self._restore(checkpoint.load(self._path))
        elif config.init is not None:
            self._take_weights(checkpoint.load(Path(config.init)))
        self.first_step = self._training.step

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.config.recipe.steps

    def _restore(self, saved: Checkpoint) -> None:
        self._training.restore(saved.about.step, saved.weights, saved.training)
        self._final, self._validation = saved.about.final, saved.about.validation

    def _take_weights(self, given: Checkpoint) -> None:
        """Begin with given weights, and keep them: their file need not outlive the first step.

        The head stays as it was drawn where it tells other classes apart.
        """
        drawn, new_head = self._training.weights(), given.about.config.classes != self.config.classes
        self._training.network.load_weights(
            {
                name: drawn[name] if new_head and name.startswith("head.") else array
                for name, array in given.weights.items()
            }
        )
        self._save(complete=False)

    def steps(self) -> Iterator[StepResult]:
        """Go on to the end, keeping rows and checkpoints; what is yielded is only to be shown.

        Raises:
            DivergedError: Loss or weights are no longer finite; the last good checkpoint stays.
            InterruptedRunError: Ctrl-C or SIGTERM came; the run is saved as it stands.
            OSError: A row or a checkpoint cannot be written; the last good one stays.
        """
        metrics = runs.Metrics(self.folder, self._training.step)
        started = saved_at = time.perf_counter()
        try:
            with interrupts.noted() as signals:
                for result in self._training.steps():
                    self._seconds = time.perf_counter() - started
                    validate_step = self.config.recipe.validate_step
                    last = result.step == self.total_steps
                    if last or (validate_step and result.step % validate_step == 0):
                        result = replace(result, validation=self._training.validate())
                    self._note(metrics, result)
                    stopped = bool(signals) and not last
                    if last or stopped or time.perf_counter() - saved_at >= self.save_every:
                        saving_at = time.perf_counter()
                        metrics.sync()
                        self._save(complete=last)
                        saved_at = time.perf_counter()
                        self._save_seconds += saved_at - saving_at
                    showing_at = time.perf_counter()
                    yield result
                    self._display_seconds += time.perf_counter() - showing_at
                    if stopped:
                        raise InterruptedRunError(
                            f"stopped after step {result.step} of {self.total_steps}, all saved; go on "
                            f"with `birnn train --resume --output {self.folder}`",
                            signals[0],
                        )
        finally:
            metrics.close()

    def _note(self, metrics: runs.Metrics, result: StepResult) -> None:
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
        if row:
            metrics.append({"step": result.step, "samples": result.samples, **row})

    def _about(self, *, complete: bool) -> About:
        return About(
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
            about=self._about(complete=complete),
            weights=self._training.weights(),
            training=self._training.optimizer_state(),
        )
        checkpoint.save(self._path, state)

    def result(self) -> TrainResult:
        """The run in numbers, once its steps are done."""
        about = self._about(complete=True)
        seconds = (self._seconds, self._save_seconds, self._display_seconds)
        return _result(self.folder, about, self.first_step, seconds)


def _result(
    folder: Path, about: About, first_step: int, seconds: tuple[float, float, float]
) -> TrainResult:
    """A run in numbers; `seconds` are those of training in all, of saving, and of showing."""
    train_seconds, save_seconds, display_seconds = seconds
    config, seen = about.config, about.samples - first_step * about.config.recipe.batch_size
    return TrainResult(
        recipe=config.recipe_name,
        dataset=config.dataset,
        seed=config.seed,
        device=config.device,
        steps=about.step,
        samples=about.samples,
        first_step=first_step,
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


def open_session(request: Request, report: Report, warn: Callable[[str], None]) -> Session | TrainResult:
    """Begin a run, or go on with one; a run that is finished already is only told of.

    Args:
        request: What the user asked for.
        report: Is told of a download's progress.
        warn: Is told when MNIST is out of reach.

    Raises:
        BirnnError: The settings, the data or the folder will not do.
    """
    return (_resume if request.resume else _begin)(request, report, warn)


def _begin(request: Request, report: Report, warn: Callable[[str], None]) -> Session:
    """Settle what is computed, find the data, make the folder."""
    recipe_name = request.recipe or "notebook"
    overrides = {**request.overrides}
    if request.init is not None:
        overrides |= _network_of(request.init, overrides)
    recipe = RECIPES[recipe_name].override(overrides)
    device = resolve_device(request.device or "auto")
    recipe = replace(recipe, precision=resolve_precision(recipe.precision, device))
    if request.output is not None:
        runs.check_free(request.output)
    data = _open_data(request, request.dataset or "auto", request.reader, report, warn)
    if set(strokes.CLASSES) != set(data.classes):
        recipe = _without_digits(recipe, overrides, data)
    config = RunConfig(
        recipe_name=recipe_name,
        recipe=recipe,
        dataset=data.name,
        classes=data.classes,
        reader=data.reader,
        seed=request.seed or 0,
        device=str(device),
        init=str(runs.checkpoint_in(request.init).absolute()) if request.init else None,
    )
    folder, lock = runs.create(request.output, config)
    return Session(folder, config, data, request.save_every, lock)


def _without_digits(recipe: Recipe, overrides: Mapping[str, Any], data: DataSet) -> Recipe:
    """The recipe for other classes than the ten digits: what is drawn for those has no place in it.

    Raises:
        ConfigError: An override asks for it.
    """
    for name in ("mix_strokes", "mix_outliers"):
        if overrides.get(name):
            raise ConfigError(
                f"--{name.replace('_', '-')} {overrides[name]} is for digits, and the classes of "
                f"{data.name} are {' '.join(data.classes)}: leave it out"
            )
    return replace(recipe, mix_strokes=0.0, mix_outliers=0.0)


def _network_of(path: Path, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a recipe that make up a checkpoint's network.

    Raises:
        ConfigError: An override asks for another network.
    """
    own = checkpoint.load(runs.checkpoint_in(path)).about.config.recipe
    for name in NETWORK_VALUES:
        if overrides.get(name, getattr(own, name)) != getattr(own, name):
            option = "--" + name.replace("_", "-")
            raise ConfigError(
                f"{option} {overrides[name]} differs from {getattr(own, name)}, which the network in "
                f"{path} has: leave {option} out, or --init"
            )
    return {name: getattr(own, name) for name in NETWORK_VALUES}


def _mixed(config: RunConfig) -> Iterator[tuple[str, float, Labelled]]:
    """What the program draws for every batch, beside the data set's images."""
    if share := config.recipe.mix_strokes:
        images, labels = strokes.draw("train", STROKES_SIZES["train"])
        own = np.array([config.classes.index(name) for name in strokes.CLASSES])
        yield "strokes", share, (images, own[labels])
    if share := config.recipe.mix_outliers:
        yield "outliers", share, (outliers.draw(OUTLIERS), np.full(OUTLIERS, outliers.NO_CLASS))


def _resume(request: Request, report: Report, warn: Callable[[str], None]) -> Session | TrainResult:
    """Take up a run as its folder describes it."""
    if request.output is None:
        folder, lock = runs.claim_interrupted()
        config = runs.read_config(folder)
    else:
        folder = request.output
        config = runs.read_config(folder)  # before a lock is left in a folder that holds no run
        lock = runs.claim(folder)
    _check_same(request, config, folder)
    path = folder / checkpoint.FILE_NAME
    if path.exists() and (saved := checkpoint.load(path)).about.complete:
        return _result(folder, saved.about, saved.about.step, (0.0, 0.0, 0.0))
    resolve_device(config.device)
    own_reader = config.reader if Path(config.dataset).is_absolute() else None
    data = _open_data(request, config.dataset, own_reader, report, warn)
    if data.classes != config.classes:
        raise RunError(
            f"{folder} learns {len(config.classes)} classes, and {data.name} now has "
            f"{len(data.classes)}: put the data back as they were, or begin another run"
        )
    return Session(folder, config, data, request.save_every, lock)


def _open_data(
    request: Request,
    name: str,
    reader: Reader | None,
    report: Report,
    warn: Callable[[str], None],
) -> DataSet:
    return open_or_fall_back(name, request.data_dir or default_data_dir(), reader, report, warn)


def _check_same(request: Request, config: RunConfig, folder: Path) -> None:
    """Refuse options beside --resume that differ from the run's."""
    asked: dict[str, tuple[Any, Any]] = {
        name: (value, getattr(config.recipe, name)) for name, value in request.overrides.items()
    }
    asked["recipe"] = (request.recipe, config.recipe_name)
    asked["seed"] = (request.seed, config.seed)
    asked["reader"] = (request.reader, config.reader)
    asked["init"] = (request.init and str(runs.checkpoint_in(request.init).absolute()), config.init)
    if request.dataset is not None and request.dataset != "auto":
        is_folder = Path(config.dataset).is_absolute()
        asked["dataset"] = (
            str(Path(request.dataset).absolute()) if is_folder else request.dataset,
            config.dataset,
        )
    if request.device is not None and request.device != "auto":
        asked["device"] = (str(resolve_device(request.device)), config.device)
    for name, (wanted, own) in asked.items():
        if wanted is not None and wanted != own:
            option = "--" + name.replace("_", "-")
            raise ConfigError(
                f"{option} {wanted} differs from {own}, which the run in {folder} has: leave "
                f"{option} out, or begin another run"
            )
