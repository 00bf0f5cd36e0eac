"""The values of a training: each with its name, range, unit and default, and one check for all.

An option, a `config.json`, a checkpoint and the Python API all make a `Recipe`, and making one
checks it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_type_hints

from birnn_cli.errors import ConfigError, UsageError
from birnn_cli.network.architecture import Architecture, Readout

RecipeName = Literal["notebook", "fast", "best"]
Precision = Literal["float32", "tf32", "bfloat16"]

# The largest seed, and the largest number of steps between two displays or validations.
MAX_INT32 = 2**31 - 1
# The limit of numbers that have no other one: float32 still holds it.
MAX_FLOAT = 1e38
# The values that decide which network is trained; the others decide how.
NETWORK_VALUES = ("hidden_size", "layers", "readout", "columns", "forget_bias")
# The values that came after the first version: a run without them had what is the default now.
VALUES_ADDED_LATER = (
    *("columns", "optimizer", "weight_decay", "schedule", "precision", "augment"),
    *("mix_strokes", "mix_outliers"),
)
# The fraction of the steps over which `one-cycle` raises the learning rate.
WARM_UP = 0.15


def _value(default: Any, help_text: str, unit: str = "", **limits: float) -> Any:
    """A field of a recipe: its default, help text, unit and range.

    The range is `min` and `max`, or `above` for a number that must be larger.
    """
    return field(default=default, metadata={"help": help_text, "unit": unit, **limits})


_types = cache(get_type_hints)


def check_value(owner: type, name: str, value: object) -> None:
    """Refuse a value that is not of the type, the choices or the range of a field of a dataclass.

    The ConfigError says the name, the value, and what was expected.
    """
    kind, limits = _types(owner)[name], owner.__dataclass_fields__[name].metadata  # type: ignore[attr-defined]
    if isinstance(kind, UnionType):
        if value is None:
            return
        (kind,) = set(get_args(kind)) - {NoneType}
    if kind in (int, float):
        low, high = limits.get("min", limits.get("above")), limits.get("max", MAX_FLOAT)
        fits = (
            isinstance(value, int | float if kind is float else int)
            and not isinstance(value, bool)
            and low <= value <= high
            and value != limits.get("above")
        )
        unit = f" of {limits['unit']}" if limits.get("unit") else ""
        span = f"above {low:,}, at most {high:g}" if "above" in limits else f"from {low:,} to {high:,}"
        expected = f"a {'whole ' if kind is int else ''}number{unit} {span}"
    elif kind in (bool, str):
        fits, expected = isinstance(value, kind), {bool: "true or false", str: "text"}[kind]
    else:
        choices = get_args(kind)
        fits, expected = value in choices, f"one of {', '.join(map(str, choices))}"
    if not fits:
        raise ConfigError(f"{name} is {value!r}, expected {expected}")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is made and how it learns; the defaults are those of the 2017 notebook.

    Raises:
        ConfigError: A value is of the wrong kind or out of its range, or two cannot work together.
    """

    samples: int = _value(
        100_000,
        "Training goes on while steps times batch size is below this.",
        "images",
        min=1,
        max=10**12,
    )
    batch_size: int = _value(128, "Images per step.", "images", min=1, max=10**6)
    learning_rate: float = _value(1e-3, "The optimizer's, at the schedule's peak.", above=0)
    beta1: float = _value(0.9, "Adam's decay of the mean.", min=0, max=0.999999)
    beta2: float = _value(0.999, "Adam's decay of the mean square.", min=0, max=0.999999)
    # "epsilon hat" in Kingma and Ba 2015, section 2
    epsilon: float = _value(1e-8, "Adam's epsilon, added where TensorFlow adds it.", above=0)
    # Far more than images of 28×28 can use, so that a mistyped or hostile size is refused before memory
    # is allocated for it.
    hidden_size: int = _value(128, "Units per direction.", "units", min=1, max=2048)
    layers: int = _value(1, "Bidirectional layers.", "layers", min=1, max=16)
    readout: Readout = _value(
        "last",
        "What the head sees. last: outputs at the last row; states: both final states; "
        "pool: mean and maximum over all rows.",
    )
    dropout: float = _value(0.0, "Fraction of units dropped between layers.", min=0, max=0.99)
    forget_bias: float = _value(1.0, "Constant added to the forget gate.", min=-100.0, max=100.0)
    head_std: float = _value(1.0, "Standard deviation of the head's first weights.", above=0)
    display_step: int = _value(10, "Steps between rows of metrics.", "steps", min=1, max=MAX_INT32)
    validate_step: int = _value(
        0, "Steps between validations; 0: only at the end.", "steps", min=0, max=MAX_INT32
    )
    columns: bool = _value(False, "Read column t of the image together with row t.")
    optimizer: Literal["adam", "muon"] = _value("adam", "adam, or muon for the layers' matrices.")
    weight_decay: float = _value(0.0, "As a fraction of the learning rate.", min=0, max=1)
    schedule: Literal["constant", "one-cycle"] = _value(
        "constant", "Of the learning rate: constant, or one-cycle (up, then down to zero)."
    )
    precision: Precision = _value(
        "float32", "Of matrix products: float32, bfloat16 (faster on some CPUs), tf32 (on some GPUs)."
    )
    augment: float = _value(
        0.0, "How strongly images are shifted, turned and bent: 0 not, 1 usual.", min=0, max=3
    )
    mix_strokes: float = _value(
        0.0, "Fraction of each batch that is digits drawn by birnn.", min=0, max=0.99
    )
    mix_outliers: float = _value(
        0.0, "Fraction that is drawings of no digit, to be unsure of.", min=0, max=0.99
    )

    def __post_init__(self) -> None:
        """Check every value, then those that depend on each other."""
        for own in fields(self):
            check_value(Recipe, own.name, getattr(self, own.name))
        if self.steps < 1:
            raise UsageError(
                f"--samples {self.samples} at --batch-size {self.batch_size} makes no step: "
                f"--samples is an exclusive bound, expected {self.batch_size + 1} or more"
            )
        if self.dropout and self.layers == 1:
            raise UsageError(
                f"--dropout {self.dropout} has no effect in a network of one layer, since it drops "
                "units between layers: take --dropout 0, or, without --init, --layers 2 or more"
            )
        mixed = self.mix_strokes, self.mix_outliers
        if sum(round(fraction * self.batch_size) for fraction in mixed) >= self.batch_size:
            raise UsageError(
                f"--mix-strokes {mixed[0]} and --mix-outliers {mixed[1]} leave no room for the data "
                f"set in a batch of {self.batch_size}: take smaller fractions, or --dataset strokes"
            )

    @property
    def steps(self) -> int:
        """The number of steps: the largest whose product with batch_size stays below samples."""
        return -(-self.samples // self.batch_size) - 1

    def architecture(self, num_classes: int) -> Architecture:
        """The network that this recipe trains."""
        return Architecture(
            num_classes=num_classes,
            hidden_size=self.hidden_size,
            num_layers=self.layers,
            readout=self.readout,
            forget_bias=self.forget_bias,
            columns=self.columns,
        )

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0.

        `one-cycle` rises from zero over the first WARM_UP of the steps and falls back to zero, both in a
        straight line (Smith and Topin 2018, without its last phase).
        """
        if self.schedule == "constant":
            return self.learning_rate
        done = (step + 1) / (self.steps + 1)
        return self.learning_rate * min(done / WARM_UP, (1 - done) / (1 - WARM_UP))

    def continues(self, samples: int) -> bool:
        """Whether a run of so many samples, all else alike, is the beginning of one of this recipe."""
        return samples <= self.samples and self.schedule == "constant"

    def override(self, values: Mapping[str, Any]) -> "Recipe":
        """The recipe with some values replaced, by name.

        Raises:
            ConfigError: A name is unknown, or the new recipe is refused.
        """
        known = [own.name for own in fields(self)]
        for name in values:
            if name not in known:
                raise ConfigError(f"a recipe has no value {name!r}: expected one of {', '.join(known)}")
        return replace(self, **values)


# What `fast` and `best` share; their networks see rows and columns.
_SHARED = Recipe(
    beta2=0.99,
    readout="pool",
    head_std=0.02,
    columns=True,
    optimizer="muon",
    weight_decay=0.02,
    schedule="one-cycle",
    precision="bfloat16",
)
RECIPES: dict[RecipeName, Recipe] = {
    # The TensorFlow 1 teaching notebook: every value is a default.
    "notebook": Recipe(),
    # 99 % in the least time on two cores: a small network.
    "fast": replace(
        _SHARED, samples=250_000, learning_rate=1e-2, hidden_size=64, display_step=20, augment=0.5
    ),
    # The highest accuracy: two layers, many passes, strong augmentation, drawn digits mixed in.
    "best": replace(
        _SHARED,
        samples=4_400_000,
        learning_rate=6e-3,
        layers=2,
        dropout=0.1,
        display_step=100,
        validate_step=3_000,
        augment=1.0,
        mix_strokes=0.2,
        mix_outliers=0.1,
    ),
}
