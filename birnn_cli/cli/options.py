"""The options that several commands have, and those that `train` has for the values of a recipe."""

import contextlib
import inspect
from collections.abc import Callable
from dataclasses import Field, fields
from math import inf
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_type_hints

import typer

from birnn_cli.errors import ConfigError
from birnn_cli.runs.recipes import NETWORK_VALUES, Recipe, check_value

# Values that hardly anybody changes: the help shows them last.
RARE = ("beta1", "beta2", "epsilon", "forget_bias", "head_std")
# The panels of the help of `train`, in their order.
RUN, DATA, NETWORK, LEARNING, AUGMENTATION = "Run", "Data", "Network", "Learning", "Augmentation"


def option(help_text: str, *names: str, default: object = None, metavar: str, **settings: Any) -> Any:
    """An option with a value, of which `metavar` says the kind; a `default` is told in the help text."""
    shown = "" if default is None else f" (default: {default})"
    return typer.Option(*names, help=help_text + shown, show_default=False, metavar=metavar, **settings)


def flag(help_text: str, *names: str, **settings: Any) -> Any:
    """An option without a value."""
    return typer.Option(*names, help=help_text, show_default=False, **settings)


def _parser(
    kind: Callable[[str], Any], fits: Callable[[Any], bool], expected: str
) -> Callable[[str], Any]:
    """A parser of values of a kind; one that does not fit is refused with what was expected."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
            if fits(value):
                return value
        except ValueError:
            pass
        raise typer.BadParameter(f"found {text!r}, expected {expected}")

    return parse


def number(kind: type[int] | type[float], low: float, high: float = inf) -> Callable[[str], Any]:
    """A parser for numbers from `low` to `high`, both included, and finite."""
    whole = "whole " if kind is int else ""
    expected = f"a {whole}number from {low:,}" + (f" to {high:,}" if high < inf else "")
    return _parser(kind, lambda value: low <= value <= high and value < inf, expected)


positive = _parser(float, lambda value: 0 < value < inf, "a finite number above 0")


def choice(*choices: str) -> dict[str, Any]:
    """The settings of an option that takes one of these words."""
    parse = _parser(str, lambda text: text in choices, f"one of {', '.join(choices)}")
    return {"parser": parse, "autocompletion": lambda: list(choices)}


class Shard(NamedTuple):
    """One of the parts that several processes read, each its own: part `number`, from 1, of `shards`."""

    number: int
    shards: int


def parse_shard(text: str) -> Shard:
    """The shard that a text such as `3/8` names."""
    number, _, shards = text.partition("/")
    if not (number.isdecimal() and shards.isdecimal() and 1 <= int(number) <= int(shards)):
        raise typer.BadParameter(f"found {text!r}, expected I/N with 1 <= I <= N, such as 3/8")
    return Shard(int(number), int(shards))


def with_recipe_values(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each value of a recipe, in place of its last parameter, `**values`.

    A value that the user does not give is None: the recipe's own then stands.
    """
    signature = inspect.signature(command)
    *own, _ = signature.parameters.values()
    order = (RUN, NETWORK, LEARNING, AUGMENTATION)
    own += map(
        _recipe_parameter,
        sorted(fields(Recipe), key=lambda value: (order.index(_panel(value.name)), value.name in RARE)),
    )
    command.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in own}
    return command


def _panel(value: str) -> str:
    """The panel of the help that shows a value of a recipe."""
    if value in NETWORK_VALUES or value in ("dropout", "head_std"):
        return NETWORK
    if value in ("augment", "mix_strokes", "mix_outliers"):
        return AUGMENTATION
    return RUN if value in ("display_step", "validate_step") else LEARNING


def _recipe_parameter(value: "Field[Any]") -> inspect.Parameter:
    """The parameter for one value of a recipe; its field has the help text and the default."""
    kind, help_text = get_type_hints(Recipe)[value.name], value.metadata["help"]

    def parse(text: str) -> Any:  # refuses what the recipe would refuse, in the same words
        found: Any = text
        with contextlib.suppress(ValueError):
            found = kind(text) if kind in (int, float) else text
        try:
            check_value(Recipe, value.name, found)
        except ConfigError as error:
            expected = str(error).rpartition(", expected ")[2]
            raise typer.BadParameter(f"found {text!r}, expected {expected}") from None
        return found

    if kind is bool:
        made = flag(help_text, rich_help_panel=_panel(value.name))
    else:
        made = option(
            help_text,
            default=f"{value.default:,}" if kind in (int, float) else value.default,
            metavar={int: "N", float: "X"}.get(kind, "NAME"),
            parser=parse,
            autocompletion=lambda: list(get_args(kind)),
            rich_help_panel=_panel(value.name),
        )
    annotation: Any = Annotated[kind | None, made]
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(value.name, keyword, default=None, annotation=annotation)


DataDir = Annotated[
    Path | None,
    option(
        "Where the data sets are, and missing ones are downloaded to.",
        default="BIRNN_DATA_DIR, else the user's cache folder",
        metavar="DIR",
        rich_help_panel=DATA,
    ),
]
CheckpointPath = Annotated[
    Path | None,
    option(
        "A checkpoint file, a run folder, or the word shipped: the model that ships with birnn.",
        default="the newest complete run under runs/, else shipped",
        metavar="PATH",
    ),
]
Threads = Annotated[
    int | None,
    option("Threads to compute with.", default="1", metavar="N", parser=number(int, 1, 1024)),
]
AsJson = Annotated[bool, flag("Print the result as JSON.", "--json")]
Quiet = Annotated[bool, flag("Show no progress and no notes.", "--quiet", "-q")]
