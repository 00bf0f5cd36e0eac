"""The options that several commands have, and those that `train` has for the values of a recipe."""

import inspect
from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_type_hints

import typer

from birnn_cli.errors import ConfigError
from birnn_cli.runs.recipes import Recipe, check_value


def option(help_text: str, *names: str, default: str | bool = True, **settings: Any) -> Any:
    """An option of a command; `default` is shown: a text, or whether the signature's value is."""
    return typer.Option(*names, help=help_text, show_default=default, **settings)


def positive(value: float | None) -> float | None:
    """Check that an option's value is finite and above 0: Typer's own `min` lets 0, inf and nan pass."""
    if value is not None and not 0 < value < float("inf"):
        raise typer.BadParameter(f"{value} is not a finite number above 0.")
    return value


class Shard(NamedTuple):
    """One of the parts that several processes read, each its own: part `number`, from 1, of `shards`."""

    number: int
    shards: int


def parse_shard(text: str) -> Shard:
    """The shard that a text such as `3/8` names."""
    number, _, shards = text.partition("/")
    if not (number.isdecimal() and shards.isdecimal() and 1 <= int(number) <= int(shards)):
        raise typer.BadParameter(f"{text!r} is no shard: expected I/N with 1 <= I <= N, such as 3/8.")
    return Shard(int(number), int(shards))


def with_recipe_values(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each value of a recipe, in place of its last parameter, `**values`.

    A value that the user does not give is None: the recipe's own then stands.
    """
    signature = inspect.signature(command)
    *own, _ = signature.parameters.values()
    own += map(_recipe_parameter, fields(Recipe))
    command.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in own}
    return command


def _recipe_parameter(value: "Field[Any]") -> inspect.Parameter:
    """The parameter for one value of a recipe; its field has the help text and the default."""
    default, shown, metavar = value.default, str(value.default), None
    if isinstance(default, bool):
        shown = "yes" if default else "no"
    elif isinstance(default, int | float):
        shown, metavar = f"{default:,}", "N" if isinstance(default, int) else "X"

    def check(given: Any) -> Any:  # refuses what the recipe would refuse, in the same words
        if given is not None:
            try:
                check_value(Recipe, value.name, given)
            except ConfigError as error:
                raise typer.BadParameter(f"{error}.") from None
        return given

    panel = "Override the recipe (shown: the values of notebook)"
    settings = {"metavar": metavar, "callback": check, "rich_help_panel": panel}
    made = option(value.metadata["help"], default=shown, **settings)
    annotation: Any = Annotated[get_type_hints(Recipe)[value.name] | None, made]
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(value.name, kind, default=None, annotation=annotation)


DataDir = Annotated[
    Path | None,
    option(
        "The folder with the data sets, as torchvision lays it out; missing ones are downloaded to it.",
        default="the user's cache folder",
        envvar="BIRNN_DATA_DIR",
    ),
]
CheckpointPath = Annotated[
    Path | None,
    option(
        "A checkpoint file, a run folder, or the word shipped: the model that ships with birnn.",
        default="the newest complete run under runs/, else the model that ships with birnn",
    ),
]
Threads = Annotated[
    int | None,
    option("Threads to compute with.", default="1", metavar="N", min=1, max=1024),
]
AsJson = Annotated[bool, option("Print the result as JSON.", "--json")]
Quiet = Annotated[bool, option("Show no progress and no notes.", "--quiet", "-q")]
