"""Every default of a training run, as frozen dataclasses, and the configuration of one run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_type_hints

from birnn_cli.errors import ConfigError
from birnn_cli.network.architecture import Architecture, Readout

Reader = Literal["digit", "plain"]
RecipeName = Literal["notebook"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is made and learns; all of it may be overridden by an option.

    Attributes:
        samples: Exclusive bound on the images seen: training goes on while step * batch_size < samples.
        batch_size: Images a step.
        learning_rate: Adam's.
        beta1: Adam's decay of the gradient's average.
        beta2: Adam's decay of the squared gradient's average.
        epsilon: Adam's, in TensorFlow's place ("epsilon hat", Kingma and Ba 2015, section 2).
        hidden_size: Units of each direction.
        layers: Bidirectional layers.
        readout: What the head sees (see `Architecture`).
        dropout: Share of units dropped between two layers, in [0, 1).
        forget_bias: Added to the forget gate, never trained.
        head_std: Standard deviation of the head's first weights and bias.
        display_step: Steps between two rows of metrics.
        validate_step: Steps between two validations; 0 validates at the end alone.
    """

    samples: int
    batch_size: int
    learning_rate: float
    beta1: float
    beta2: float
    epsilon: float
    hidden_size: int
    layers: int
    readout: Readout
    dropout: float
    forget_bias: float
    head_std: float
    display_step: int
    validate_step: int

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
        )

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
        seed: Fixes the first weights, the order and the dropout.
        device: As torch names it.
    """

    recipe_name: RecipeName
    recipe: Recipe
    dataset: str
    classes: tuple[str, ...]
    reader: Reader
    seed: int
    device: str

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
        recipe = dict(values["recipe"])
        for name, kind in _KINDS.items():
            if isinstance(recipe[name], bool) or not isinstance(recipe[name], kind):
                raise TypeError(f"{name} is {recipe[name]!r}")
        own = {field.name: values[field.name] for field in fields(RunConfig)}
        own |= {"recipe": Recipe(**recipe), "classes": tuple(map(str, values["classes"]))}
        config = RunConfig(**own)
        config.architecture  # noqa: B018 - it checks its own values
        if config.reader not in ("digit", "plain"):
            raise ValueError(f"reader is {config.reader!r}, expected 'digit' or 'plain'")
        return config


# What JSON may give for each value: a float may be written without its point.
_KINDS: dict[str, tuple[type, ...]] = {
    name: (int, float) if kind is float else (int,) if kind is int else (str,)
    for name, kind in get_type_hints(Recipe).items()
}
