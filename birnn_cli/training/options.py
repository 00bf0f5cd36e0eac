"""From what the user asked for to a run under way: settle what is computed, find data and folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from birnn_cli.data import strokes
from birnn_cli.data.datasets import DataSet, default_data_dir, open_or_fall_back
from birnn_cli.data.download import Report
from birnn_cli.errors import ConfigError, RunError
from birnn_cli.reader import Reader
from birnn_cli.runs import checkpoint, folders
from birnn_cli.runs.checkpoint import Checkpoint
from birnn_cli.runs.recipes import NETWORK_VALUES, RECIPES, Recipe, RecipeName, RunConfig
from birnn_cli.training.device import resolve_device, resolve_precision
from birnn_cli.training.distributed import ALONE, Group
from birnn_cli.training.run import Session, TrainResult, result

if TYPE_CHECKING:
    from filelock import FileLock


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
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
        deterministic: Whether the device shall give the same bits twice, at any price.
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
    deterministic: bool = False
    save_every: float = 2.0


class Plan(NamedTuple):
    """What a session is made of: where, what is computed, what it starts from or goes on from."""

    folder: Path
    config: RunConfig
    start: Checkpoint | None
    goes_on: bool


def open_session(
    request: TrainOptions, report: Report, warn: Callable[[str], None], group: Group = ALONE
) -> Session | TrainResult:
    """Begin a run, or go on with one; a run that is finished already is only told of.

    Args:
        request: What the user asked for.
        report: Is told of a download's progress.
        warn: Is told when MNIST is out of reach.
        group: The processes that run it together, and all call this.

    Raises:
        BirnnError: The settings, the data or the folder will not do.
    """
    data_dir = request.data_dir or default_data_dir()
    at_hand: dict[str, DataSet] = {}  # by real names: a folder of very many images is gone through once

    def open_data(name: str, reader: Reader | None) -> DataSet:
        data = at_hand.get(name) or open_or_fall_back(name, data_dir, reader, report, warn)
        at_hand[data.name] = data
        return data

    def settle() -> "tuple[Plan, FileLock]":
        begun = group.stored_run_folder()  # whatever was asked for, and whether or not it is finished
        asked = request if begun is None else replace(request, output=Path(begun), resume=True)
        plan, lock = (_resume if asked.resume else _begin)(asked, open_data)
        group.store_run_folder(str(plan.folder))
        return plan, lock

    plan, lock = group.run_on_leader(settle)
    if plan.goes_on and plan.start is not None and plan.start.metadata.complete:
        about = plan.start.metadata
        return result(plan.folder, about, about.step)
    data = group.run_on_all(lambda: _same_data(plan, open_data))
    return Session(*plan, data, request.save_every, lock, group)


def _same_data(plan: Plan, open_data: Callable[[str, Reader | None], DataSet]) -> DataSet:
    """The run's data set, which must be as it was."""
    config = plan.config
    data = open_data(config.dataset, config.reader if Path(config.dataset).is_absolute() else None)
    if data.classes != config.classes:
        raise RunError(
            f"{plan.folder} learns {len(config.classes)} classes, and {data.name} now has "
            f"{len(data.classes)}: put the data back as they were, or begin another run"
        )
    return data


def _begin(
    request: TrainOptions, open_data: Callable[[str, Reader | None], DataSet]
) -> tuple[Plan, "FileLock"]:
    """Settle what is computed, find the data, make the folder."""
    recipe_name = request.recipe or "notebook"
    overrides = {**request.overrides}
    init = checkpoint.load(folders.checkpoint_in(request.init)) if request.init else None
    if init is not None:
        overrides |= _network_of(init, overrides, f"the network in {request.init}")
    recipe = RECIPES[recipe_name].override(overrides)
    device = resolve_device(request.device or "auto")
    recipe = replace(recipe, precision=resolve_precision(recipe.precision, device))
    if request.output is not None:
        folders.check_free(request.output)
    data = open_data(request.dataset or "auto", request.reader)
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
        init=str(folders.checkpoint_in(request.init).absolute()) if request.init else None,
        deterministic=request.deterministic,
    )
    folder, lock = folders.create(request.output, config)
    return Plan(folder, config, init, goes_on=False), lock


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


def _network_of(init: Checkpoint, overrides: Mapping[str, Any], whose: str) -> dict[str, Any]:
    """The values of a recipe that make up a checkpoint's network.

    Raises:
        ConfigError: An override asks for another network.
    """
    own = {name: getattr(init.config.recipe, name) for name in NETWORK_VALUES}
    for name, value in own.items():
        _check_equal(name, overrides.get(name), value, whose, "--init")
    return own


def _check_equal(name: str, wanted: object, own: object, whose: str, other: str) -> None:
    """Refuse what was asked for, if anything, where it is not what there is."""
    if wanted is not None and wanted != own:
        option = "--" + name.replace("_", "-")
        raise ConfigError(
            f"{option} {wanted} differs from {own}, which {whose} has: leave {option} out, or {other}"
        )


def _resume(request: TrainOptions, _: object) -> "tuple[Plan, FileLock]":
    """Take up a run as its folder describes it."""
    if request.output is None:
        folder, lock = folders.claim_interrupted()
        config = folders.read_config(folder)
    else:
        folder = request.output
        config = folders.read_config(folder)  # before a lock is left in a folder that holds no run
        lock = folders.claim(folder)
    _check_same(request, config, folder)
    resolve_device(config.device)
    path = folder / checkpoint.FILE_NAME
    goes_on = path.exists()
    start = path if goes_on else config.init and Path(config.init)
    return Plan(folder, config, checkpoint.load(start) if start else None, goes_on), lock


def _check_same(request: TrainOptions, config: RunConfig, folder: Path) -> None:
    """Refuse options beside --resume that differ from the run's."""
    asked: dict[str, tuple[Any, Any]] = {
        name: (value, getattr(config.recipe, name)) for name, value in request.overrides.items()
    }
    asked["recipe"] = (request.recipe, config.recipe_name)
    asked["seed"] = (request.seed, config.seed)
    asked["reader"] = (request.reader, config.reader)
    asked["deterministic"] = (request.deterministic or None, config.deterministic)
    asked["init"] = (request.init and str(folders.checkpoint_in(request.init).absolute()), config.init)
    if request.dataset is not None and request.dataset != "auto":
        is_folder = Path(config.dataset).is_absolute()
        asked["dataset"] = (
            str(Path(request.dataset).absolute()) if is_folder else request.dataset,
            config.dataset,
        )
    if request.device is not None and request.device != "auto":
        asked["device"] = (str(resolve_device(request.device)), config.device)
    for name, (wanted, own) in asked.items():
        _check_equal(name, wanted, own, f"the run in {folder}", "begin another run")
