"""What the commands' options have in common, and those that a recipe's values make."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_type_hints

import typer

from birnn_cli.errors import ConfigError
from birnn_cli.runs.recipes import Recipe, check_value


def option(help_text: str, *names: str, default: str | bool = True, **settings: Any) -> Any:
    """An option; `default` is shown in its help where the signature's None says too little."""
    return typer.Option(*names, help=help_text, show_default=default, **settings)


def positive(value: float | None) -> float | None:
    """Refuse zero, and the infinity and not-a-number that a plain comparison lets through."""
    if value is not None and not 0 < value < float("inf"):
        raise typer.BadParameter(f"{value} is not a finite number above 0.")
    return value


class Shard(NamedTuple):
    """The I-th of N shares, from 1."""

    number: int
    shards: int


def parse_shard(text: str) -> Shard:
    """Two numbers from `3/8`."""
    number, _, shards = text.partition("/")
    if not (number.isdecimal() and shards.isdecimal() and 1 <= int(number) <= int(shards)):
        raise typer.BadParameter(f"{text!r} is no share: expected I/N with 1 <= I <= N, such as 3/8.")
    return Shard(int(number), int(shards))


def _check(name: str) -> Callable[[Any], Any]:
    """A callback that refuses a value which the recipe would refuse."""

    def check(value: Any) -> Any:
        if value is not None:
            try:
                check_value(Recipe, name, value)
            except ConfigError as error:
                raise typer.BadParameter(f"{error}.") from None
        return value

    return check


def with_recipe_values(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each of a recipe's values, where its signature has `**values`."""
    signature = inspect.signature(command)
    *own, _ = signature.parameters.values()
    types = get_type_hints(Recipe)
    for value in fields(Recipe):
        default = value.default
        metavar = None if isinstance(default, str | bool) else "N" if isinstance(default, int) else "X"
        value_option = option(
            value.metadata["help"],
            default="no" if default is False else f"{default:,}" if metavar else str(default),
            rich_help_panel="In place of the recipe's values (shown: those of notebook)",
            metavar=metavar,
            callback=_check(value.name),
        )
        kind = Annotated[types[value.name] | None, value_option]  # type: ignore[valid-type, name-defined]
        own.append(
            inspect.Parameter(value.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        )
    command.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in own}
    return command


DataDir = Annotated[
    Path | None,
    option(
        "Where data sets live or are downloaded to (torchvision's layout).",
        default="the user's cache folder",
        envvar="BIRNN_DATA_DIR",
    ),
]
CheckpointPath = Annotated[
    Path | None,
    option(
        "A checkpoint file or a run folder.",
        default="the newest complete run under runs/, else the model that ships",
    ),
]
AsJson = Annotated[bool, option("Print the result as JSON.", "--json")]
Quiet = Annotated[bool, option("Show no progress.", "--quiet", "-q")]


def silent(_: str) -> None:
    """Say nothing."""
