"""Every default of a training run, as frozen dataclasses, and the configuration of one run."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args, get_type_hints

from birnn_cli.errors import ConfigError
from birnn_cli.network.architecture import LIMITS, MAX_FORGET_BIAS, Architecture, Readout
from birnn_cli.reader import Reader

RecipeName = Literal["notebook", "fast", "best"]
Schedule = Literal["constant", "one-cycle"]
Optimizer = Literal["adam", "muon"]
Precision = Literal["float32", "tf32", "bfloat16"]

# The largest seed, and the largest number of steps between two events.
LARGEST = 2**31 - 1
# What decides which network is trained, not how.
NETWORK_VALUES = ("hidden_size", "layers", "readout", "columns", "forget_bias")
# Share of the steps over which `one-cycle` raises the learning rate.
WARM_UP = 0.15


def _value(help_text: str, default: Any = MISSING, **limits: float) -> Any:
    """A value of a recipe: what it means, as its option tells, and its range: `min`, `max`, `above`."""
    return field(default=default, metadata={"help": help_text, **limits})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is made and learns; an option overrides each value and describes it as here."""

    samples: int = _value("Go on while step × batch size is below.", min=1, max=10**12)
    batch_size: int = _value("Images a step.", min=1, max=10**6)
    learning_rate: float = _value("The optimizer's, at the schedule's peak.", above=0)
    beta1: float = _value("Adam's, of the mean.", min=0, max=0.999999)
    beta2: float = _value("Adam's, of the mean square.", min=0, max=0.999999)
    # "epsilon hat" in Kingma and Ba 2015, section 2
    epsilon: float = _value("Adam's, where TensorFlow adds it.", above=0)
    hidden_size: int = _value("Units a direction.", min=1, max=LIMITS["hidden_size"])
    layers: int = _value("Bidirectional layers.", min=1, max=LIMITS["num_layers"])
    readout: Readout = _value(
        "last: outputs at the last row; states: both final states; pool: mean and maximum over all rows."
    )
    dropout: float = _value("Units dropped between layers, a share.", min=0, max=0.99)
    forget_bias: float = _value(
        "Added to the forget gate, never trained.", min=-MAX_FORGET_BIAS, max=MAX_FORGET_BIAS
    )
    head_std: float = _value("Spread of the head's first weights.", above=0)
    display_step: int = _value("Steps between rows of metrics.", min=1, max=LARGEST)
    validate_step: int = _value("Steps between validations; 0: the end.", min=0, max=LARGEST)
    # What came later has the value that changes nothing: a run's description may be without it.
    columns: bool = _value("Read a row and the column of the same number in each step.", False)
    optimizer: Optimizer = _value("adam, or muon for the layers' matrices.", "adam")
    weight_decay: float = _value("As a share of the learning rate.", 0.0, min=0, max=1)
    schedule: Schedule = _value(
        "Of the learning rate: constant, or one-cycle: up, then down to nothing.", "constant"
    )
    precision: Precision = _value(
        "Of the products: float32, or what learns faster: bfloat16 on a CPU, tf32 on a GPU that has it.",
        "float32",
    )
    augment: float = _value(
        "How strongly images are shifted, turned, bent: 0 not, 1 well.", 0.0, min=0, max=3
    )
    mix_strokes: float = _value("Share of each batch that is drawn digits.", 0.0, min=0, max=0.99)
    mix_outliers: float = _value(
        "Share that is drawn pictures of no digit, to be unsure of.", 0.0, min=0, max=0.99
    )

    @property
    def steps(self) -> int:
        """Steps in all: the largest number whose product with batch_size stays below samples."""
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

        `one-cycle` rises from nothing over the first WARM_UP of the steps and falls back, both in a
        straight line (Smith and Topin 2018, without its last phase).
        """
        if self.schedule == "constant":
            return self.learning_rate
        done = (step + 1) / (self.steps + 1)
        return self.learning_rate * min(done / WARM_UP, (1 - done) / (1 - WARM_UP))

    def override(self, values: Mapping[str, Any]) -> "Recipe":
        """The recipe with some values replaced.

        Raises:
            ConfigError: The values cannot work together.
        """
        recipe = replace(self, **values)
        if recipe.steps < 1:
            raise ConfigError(
                f"--samples {recipe.samples} at --batch-size {recipe.batch_size} makes no step: "
                f"--samples is an exclusive bound, expected {recipe.batch_size + 1} or more"
            )
        if recipe.dropout and recipe.layers == 1:
            raise ConfigError(
                f"--dropout {recipe.dropout} has no place in a network of one layer: it drops "
                "between layers, so add --layers 2 or leave it out"
            )
        shares = recipe.mix_strokes, recipe.mix_outliers
        if sum(round(share * recipe.batch_size) for share in shares) >= recipe.batch_size:
            raise ConfigError(
                f"--mix-strokes {shares[0]} and --mix-outliers {shares[1]} leave no room for the data "
                f"set in a batch of {recipe.batch_size}: take smaller shares, or --dataset strokes"
            )
        return recipe


RECIPES: dict[RecipeName, Recipe] = {
    # The TensorFlow 1 teaching notebook, value by value.
    "notebook": Recipe(
        samples=100_000,
        batch_size=128,
        learning_rate=1e-3,
        beta1=0.9,
        beta2=0.999,
        epsilon=1e-8,
        hidden_size=128,
        layers=1,
        readout="last",
        dropout=0.0,
        forget_bias=1.0,
        head_std=1.0,
        display_step=10,
        validate_step=0,
    ),
    # 99 % in the least time on two cores: small, wide-eyed, each image changed a little.
    "fast": Recipe(
        samples=250_000,
        batch_size=128,
        learning_rate=1e-2,
        beta1=0.9,
        beta2=0.99,
        epsilon=1e-8,
        hidden_size=64,
        layers=1,
        readout="pool",
        dropout=0.0,
        forget_bias=1.0,
        head_std=0.02,
        display_step=20,
        validate_step=0,
        columns=True,
        optimizer="muon",
        weight_decay=0.02,
        schedule="one-cycle",
        precision="bfloat16",
        augment=0.5,
    ),
    # The highest accuracy: two layers, many passes, strong changes, drawn digits mixed in.
    "best": Recipe(
        samples=2_400_000,
        batch_size=128,
        learning_rate=6e-3,
        beta1=0.9,
        beta2=0.99,
        epsilon=1e-8,
        hidden_size=128,
        layers=2,
        readout="pool",
        dropout=0.1,
        forget_bias=1.0,
        head_std=0.02,
        display_step=100,
        validate_step=3_000,
        columns=True,
        optimizer="muon",
        weight_decay=0.02,
        schedule="one-cycle",
        precision="bfloat16",
        augment=1.0,
        mix_strokes=0.1,
        mix_outliers=0.1,
    ),
}


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides what a run computes: what `config.json` and the checkpoint hold.

    Attributes:
        recipe_name: The recipe that the values started from.
        recipe: The values, overrides included.
        dataset: `mnist`, … or the absolute path of a folder of images.
        classes: The labels' names, in the order of the logits.
        reader: How a picture becomes rows.
        seed: Fixes the first weights, the order, the changes of the images, the dropout.
        device: As torch names it.
        init: The absolute path of the checkpoint whose weights the run began with; None drew them.
        deterministic: Whether slower operations are taken where only those give the same bits twice.
    """

    recipe_name: RecipeName
    recipe: Recipe
    dataset: str
    classes: tuple[str, ...]
    reader: Reader
    seed: int
    device: str
    init: str | None = None
    deterministic: bool = False

    @property
    def architecture(self) -> Architecture:
        """The network of the run."""
        return self.recipe.architecture(len(self.classes))

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "RunConfig":
        """The inverse of `to_dict`.

        Raises:
            KeyError: A value is missing.
            TypeError: A value is of another kind, or has a name that is not known.
            ValueError: A value is out of its range.
        """
        recipe = values["recipe"]
        for name, value in recipe.items():
            _check_kind(name, value, _KINDS[name])
        known = {
            own.name: values[own.name]
            for own in fields(RunConfig)
            if own.name in values or own.default is MISSING
        }
        known |= {"recipe": Recipe(**recipe), "classes": tuple(map(str, values["classes"]))}
        config = RunConfig(**known)
        config.architecture  # noqa: B018 - it checks its own values
        _check_kind("reader", config.reader, Reader)
        _check_kind("deterministic", config.deterministic, bool)
        return config


_KINDS: Mapping[str, Any] = get_type_hints(Recipe)


def _check_kind(name: str, value: object, kind: Any) -> None:
    """Refuse what JSON gave for a value, if it is of another kind; a float may lack its point."""
    choices = get_args(kind)
    expected = (int, float) if kind is float else str if choices else kind
    if not isinstance(value, expected) or isinstance(value, bool) != (kind is bool):
        raise TypeError(f"{name} is {value!r}")
    if choices and value not in choices:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(choices)}")
