"""What a user asks of a training, and what a run computes because of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from os import PathLike
from pathlib import Path
from typing import Any, get_args

from birnn_cli.data import strokes
from birnn_cli.errors import ConfigError
from birnn_cli.reader import Reader
from birnn_cli.runs import checkpoint
from birnn_cli.runs.config import RunConfig
from birnn_cli.runs.folders import checkpoint_path, refuse_existing_run
from birnn_cli.runs.recipes import NETWORK_VALUES, RECIPES, Recipe, RecipeName, check_value
from birnn_cli.training.device import resolve_device, resolve_precision
from birnn_cli.training.images import DataSets
from birnn_cli.training.threads import default_threads


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What a user asks of a training; what was not given is None, or absent from `values`.

    `values` stand in place of the recipe's, by name (see `Recipe`). `dataset` is a data set's name or a
    folder, `data_dir` where torchvision's data sets live, and `reader` how a folder's pictures are read.
    `init` is a checkpoint file or a run folder to take the first weights from, `output` the run folder.
    `device` is as torch names it, or `auto`. `seed`, `deterministic` and `threads` are those of
    `RunConfig`. `save_every` is in seconds.

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
    threads: int | None = None
    save_every: float = field(default=2.0, metadata={"above": 0, "unit": "seconds"})

    def __post_init__(self) -> None:
        """Check what no recipe and no run configuration checks."""
        if self.recipe is not None and self.recipe not in get_args(RecipeName):
            raise ConfigError(f"recipe is {self.recipe!r}, expected one of {', '.join(RECIPES)}")
        for name in ("reader", "seed", "device", "deterministic", "threads"):
            if (value := getattr(self, name)) is not None:
                check_value(RunConfig, name, value)
        for name in ("dataset", "data_dir", "init", "output"):
            value = getattr(self, name)
            is_name = isinstance(value, str | PathLike) and str(value) and "\0" not in str(value)
            if value is not None and not is_name:
                raise ConfigError(f"{name} is {value!r}, expected a name or a path")
        check_value(TrainOptions, "save_every", self.save_every)

    @staticmethod
    def from_keywords(keywords: Mapping[str, Any]) -> "TrainOptions":
        """Options from keywords; those that are no option are values of the recipe.

        Raises:
            ConfigError: A name is unknown, or a value is refused.
        """
        names = {own.name for own in fields(TrainOptions)} - {"values"}
        known = sorted(names | {own.name for own in fields(Recipe)})
        values = {name: value for name, value in keywords.items() if name not in names}
        for name, value in values.items():
            if name not in known:
                raise ConfigError(f"there is no option {name!r}: expected one of {', '.join(known)}")
            check_value(Recipe, name, value)
        own = {name: value for name, value in keywords.items() if name in names}
        return TrainOptions(**own, values=values)

    @property
    def init_file(self) -> Path | None:
        """The checkpoint file to take the first weights from, as an absolute path."""
        return None if self.init is None else checkpoint_path(Path(self.init)).absolute()


def new_run(options: TrainOptions, data_sets: DataSets) -> RunConfig:
    """What a new run computes.

    Raises:
        BirnnError: The options, the data or the output folder cannot be used.
    """
    values = dict(options.values)
    if options.init_file is not None:
        recipe = checkpoint.load(options.init_file).config.recipe
        network = {name: getattr(recipe, name) for name in NETWORK_VALUES}
        _refuse_other(options.values, network, f"the network in {options.init}", "--init")
        values |= network
    recipe_name = options.recipe or "notebook"
    recipe = RECIPES[recipe_name].override(values)
    device = resolve_device(options.device or "auto")
    if options.output is not None:
        refuse_existing_run(Path(options.output))
    data = data_sets.open(str(options.dataset or "auto"), options.reader)
    if set(data.classes) != set(strokes.CLASSES):  # what is drawn for digits is not mixed in
        for name in ("mix_strokes", "mix_outliers"):
            if values.get(name):
                raise ConfigError(
                    f"--{name.replace('_', '-')} {values[name]} is for digits, and the classes of "
                    f"{data.name} are {' '.join(data.classes)}: leave it out"
                )
        recipe = replace(recipe, mix_strokes=0.0, mix_outliers=0.0)
    return RunConfig(
        recipe_name=recipe_name,
        recipe=replace(recipe, precision=resolve_precision(recipe.precision, device)),
        dataset=data.name,
        classes=data.classes,
        reader=data.reader,
        seed=options.seed or 0,
        device=str(device),
        init=None if options.init_file is None else str(options.init_file),
        deterministic=options.deterministic,
        threads=options.threads or default_threads(),
    )


def resumed_config(options: TrainOptions, config: RunConfig, folder: Path) -> RunConfig:
    """What a run in a folder computes when it is resumed with these options.

    They must be the run's own, but for the device, and more samples at a constant learning rate.

    Raises:
        ConfigError: Another option differs, or the device cannot be used here.
    """
    recipe = config.recipe
    try:
        device = resolve_device(options.device or config.device)
    except ConfigError as error:
        raise ConfigError(f"{error}; --device auto goes on with {folder} on one that can") from None
    named = ("recipe", "seed", "reader", "dataset", "threads")
    asked = {name: getattr(options, name) for name in named}
    asked |= {"deterministic": options.deterministic or None, **options.values}
    if options.init is not None:
        given = Path(options.init).absolute()  # its file may be gone
        is_own = config.init in (str(options.init_file), str(given / checkpoint.FILE_NAME))
        asked["init"] = config.init if is_own else str(given)
    precision = resolve_precision(recipe.precision, device)
    if "precision" in asked and resolve_precision(asked["precision"], device) == precision:
        asked["precision"] = recipe.precision
    if options.dataset is not None:
        is_folder = Path(config.dataset).is_absolute()
        asked["dataset"] = str(Path(options.dataset).absolute() if is_folder else options.dataset)
    if (samples := asked.pop("samples", recipe.samples)) != recipe.samples:
        longer = replace(recipe, samples=samples)
        if not longer.continues(recipe.samples):
            raise ConfigError(
                f"--samples {samples} cannot be reached: the run in {folder} can only go on to more "
                f"than its {recipe.samples}, and at a constant learning rate (its schedule is "
                f"{recipe.schedule}): leave --samples out, or begin another run with --init {folder}"
            )
        recipe = longer
    asked = {name: value for name, value in asked.items() if value not in (None, "auto")}
    own = {**vars(config), **vars(config.recipe), "recipe": config.recipe_name}
    _refuse_other(asked, own, f"the run in {folder}", "begin another run")
    if str(device) != config.device:
        recipe = replace(recipe, precision=precision)
    return replace(config, recipe=recipe, device=str(device))


def _refuse_other(asked: Mapping[str, Any], own: Mapping[str, Any], owner: str, other: str) -> None:
    """Refuse the first value asked for that is not the owner's own; `other` is what to do instead."""
    for name, value in asked.items():
        if value != own.get(name, value):
            option = "--" + name.replace("_", "-")
            raise ConfigError(
                f"{option} {value} differs from {own[name]}, which {owner} has: "
                f"leave {option} out, or {other}"
            )
