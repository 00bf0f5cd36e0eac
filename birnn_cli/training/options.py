"""What a user asks of a training, and what a run computes because of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from os import PathLike
from pathlib import Path
from typing import Any, get_args

import torch

from birnn_cli.data import strokes
from birnn_cli.data.datasets import DataSet
from birnn_cli.errors import ConfigError
from birnn_cli.reader import Reader
from birnn_cli.runs import checkpoint
from birnn_cli.runs.checkpoint import Checkpoint
from birnn_cli.runs.folders import checkpoint_path, refuse_existing_run
from birnn_cli.runs.recipes import (
    NETWORK_VALUES,
    RECIPES,
    Recipe,
    RecipeName,
    RunConfig,
    check_value,
)
from birnn_cli.training.device import resolve_device, resolve_precision
from birnn_cli.training.images import DataSets


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What a user asks of a training; None, or absent among the values, is what was not said.

    Attributes:
        recipe: A recipe's name.
        values: Values in place of the recipe's, by name (see `Recipe`).
        dataset: A data set's name, or a folder.
        data_dir: Where torchvision's data sets live.
        reader: How a folder's pictures are read.
        init: A checkpoint file or a run folder to take the first weights from.
        output: The run folder.
        seed: The run's.
        device: As torch names it, or `auto`.
        deterministic: Whether the device gives the same bits twice, even if that takes longer.
        save_every: Seconds between saves.

    Raises:
        ConfigError: A value is of the wrong kind or out of its range.
    """

    recipe: RecipeName | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    dataset: str | PathLike[str] | None = None
    data_dir: str | PathLike[str] | None = None
    reader: Reader | None = None
    init: str | PathLike[str] | None = None
    output: str | PathLike[str] | None = None
    seed: int | None = None
    device: str | None = None
    deterministic: bool = False
    save_every: float = 2.0

    def __post_init__(self) -> None:
        """Check what no recipe and no run configuration checks."""
        if self.recipe is not None and self.recipe not in get_args(RecipeName):
            raise ConfigError(f"recipe is {self.recipe!r}, expected one of {', '.join(RECIPES)}")
        for name in ("reader", "seed", "device", "deterministic"):
            if (value := getattr(self, name)) is not None:
                check_value(RunConfig, name, value)
        for name in ("dataset", "data_dir", "init", "output"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str | PathLike):
                raise ConfigError(f"{name} is {value!r}, expected a name or a path")
        if not 0 < self.save_every < float("inf"):
            raise ConfigError(f"save_every is {self.save_every}, expected a number of seconds above 0")

    @staticmethod
    def from_keywords(keywords: Mapping[str, Any]) -> "TrainOptions":
        """Options from keywords, of which those that are no option are values of the recipe.

        Raises:
            ConfigError: A name is unknown, or a value is refused.
        """
        names = {own.name for own in fields(TrainOptions)} - {"values"}
        values = {name: value for name, value in keywords.items() if name not in names}
        known = {own.name for own in fields(Recipe)}
        for name, value in values.items():
            if name not in known:
                raise ConfigError(
                    f"there is no option {name!r}: expected one of {', '.join(sorted(names | known))}"
                )
            check_value(Recipe, name, value)
        own = {name: value for name, value in keywords.items() if name in names}
        return TrainOptions(**own, values=values)


def new_run(options: TrainOptions, data_sets: DataSets) -> tuple[RunConfig, Checkpoint | None]:
    """What a new run computes, and the checkpoint it takes its first weights from.

    Raises:
        BirnnError: The options, the data or the output folder cannot be used.
    """
    init = None
    if options.init is not None:
        init = checkpoint.load(checkpoint_path(Path(options.init)))
    device = resolve_device(options.device or "auto")
    recipe = _recipe(options, init, device)
    if options.output is not None:
        refuse_existing_run(Path(options.output))
    data = data_sets.open(str(options.dataset or "auto"), options.reader)
    return _config(options, recipe, device, data), init


def _recipe(options: TrainOptions, init: Checkpoint | None, device: torch.device) -> Recipe:
    """The recipe with the values that the user gave, in a precision that the device has.

    Args:
        options: What the user asked for.
        init: The checkpoint that `options.init` names; its network is kept.
        device: Where the run computes.

    Raises:
        ConfigError: The values cannot work together, or ask for another network than the checkpoint's.
    """
    values = dict(options.values)
    if init is not None:
        values |= _network_values(init, options)
    recipe = RECIPES[options.recipe or "notebook"].override(values)
    return replace(recipe, precision=resolve_precision(recipe.precision, device))


def _config(options: TrainOptions, recipe: Recipe, device: torch.device, data: DataSet) -> RunConfig:
    """What a new run computes on a data set.

    Raises:
        ConfigError: The options ask for drawn digits, and the classes are not the digits.
    """
    if set(data.classes) != set(strokes.CLASSES):
        recipe = _without_drawings(recipe, options, data)
    return RunConfig(
        recipe_name=options.recipe or "notebook",
        recipe=recipe,
        dataset=data.name,
        classes=data.classes,
        reader=data.reader,
        seed=options.seed or 0,
        device=str(device),
        init=_absolute(options.init),
        deterministic=options.deterministic,
    )


def check_unchanged(options: TrainOptions, config: RunConfig, folder: Path) -> None:
    """Refuse options beside --resume that differ from the run's.

    Raises:
        ConfigError: One does.
    """
    asked: dict[str, tuple[Any, Any]] = {
        name: (value, getattr(config.recipe, name)) for name, value in options.values.items()
    }
    asked["recipe"] = (options.recipe, config.recipe_name)
    asked["seed"] = (options.seed, config.seed)
    asked["reader"] = (options.reader, config.reader)
    asked["deterministic"] = (options.deterministic or None, config.deterministic)
    asked["init"] = (_absolute(options.init), config.init)
    if options.dataset is not None and options.dataset != "auto":
        is_folder = Path(config.dataset).is_absolute()
        dataset = str(Path(options.dataset).absolute()) if is_folder else str(options.dataset)
        asked["dataset"] = (dataset, config.dataset)
    if options.device is not None and options.device != "auto":
        asked["device"] = (str(resolve_device(options.device)), config.device)
    for name, (wanted, own) in asked.items():
        _refuse_other(name, wanted, own, f"the run in {folder}", "begin another run")


def _absolute(init: str | PathLike[str] | None) -> str | None:
    """The absolute path of the checkpoint file that --init names."""
    return None if init is None else str(checkpoint_path(Path(init)).absolute())


def _network_values(init: Checkpoint, options: TrainOptions) -> dict[str, Any]:
    """The values of a recipe that make up a checkpoint's network.

    Raises:
        ConfigError: The options ask for another network.
    """
    own = {name: getattr(init.config.recipe, name) for name in NETWORK_VALUES}
    for name, value in own.items():
        wanted = options.values.get(name)
        _refuse_other(name, wanted, value, f"the network in {options.init}", "--init")
    return own


def _refuse_other(name: str, wanted: object, own: object, owner: str, other: str) -> None:
    """Refuse a value that was asked for, if any was, where it differs from the owner's."""
    if wanted is not None and wanted != own:
        option = "--" + name.replace("_", "-")
        raise ConfigError(
            f"{option} {wanted} differs from {own}, which {owner} has: leave {option} out, or {other}"
        )


def _without_drawings(recipe: Recipe, options: TrainOptions, data: DataSet) -> Recipe:
    """The recipe for classes that are not the ten digits: what is drawn for digits is not mixed in.

    Raises:
        ConfigError: The options ask for it.
    """
    for name in ("mix_strokes", "mix_outliers"):
        if options.values.get(name):
            raise ConfigError(
                f"--{name.replace('_', '-')} {options.values[name]} is for digits, and the classes of "
                f"{data.name} are {' '.join(data.classes)}: leave it out"
            )
    return replace(recipe, mix_strokes=0.0, mix_outliers=0.0)
