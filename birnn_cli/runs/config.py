"""The configuration of a run: its recipe, its data, and whatever else decides what it computes.

A new run, a `config.json` and a checkpoint all make a `RunConfig`, and making one checks it.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from birnn_cli.errors import ConfigError
from birnn_cli.network.architecture import Architecture
from birnn_cli.reader import Reader
from birnn_cli.runs.recipes import MAX_INT32, VALUES_ADDED_LATER, Recipe, RecipeName, check_value

MAX_CLASSES = 1000


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides what a run computes: what `config.json` and the checkpoint hold.

    `recipe` holds the named recipe's values, overrides included. `dataset` is `mnist`, … or the absolute
    path of a folder of images; `classes` are the labels' names, in the order of the logits; `reader` is
    how a picture becomes rows. `seed` fixes the first weights, the order, the augmentation, the dropout.
    `device` is as torch names it. `init` is the absolute path of the checkpoint whose weights the run
    began with, None for random ones. `deterministic` says whether slower operations are used where only
    those give the same bits twice. `data_sha256` is that of the images and labels that the run learns
    from, which a resumed run must find again; older runs have none. So many `threads` share every batch,
    which decides in what parts its gradients are added up, and so their last bits; 0 stands for as many
    as may be used.

    Raises:
        ConfigError: A value is of the wrong kind or out of its range.
    """

    recipe_name: RecipeName
    recipe: Recipe
    dataset: str
    classes: tuple[str, ...]
    reader: Reader
    seed: int = field(metadata={"min": 0, "max": MAX_INT32})
    device: str
    init: str | None = None
    deterministic: bool = False
    data_sha256: str | None = None
    threads: int = field(default=0, metadata={"min": 0, "max": 1024})

    def __post_init__(self) -> None:
        """Check the values; any recipe's name is fine, since another version may have made the run."""
        for own in fields(self):
            if own.name not in ("recipe_name", "recipe", "classes"):
                check_value(RunConfig, own.name, getattr(self, own.name))
        if not isinstance(self.recipe_name, str):
            raise ConfigError(f"recipe_name is {self.recipe_name!r}, expected text")
        is_tuple = isinstance(self.classes, tuple)
        if not is_tuple or not all(isinstance(name, str) for name in self.classes):
            raise ConfigError(f"classes is {self.classes!r}, expected the names of the classes")
        if not 1 <= len(set(self.classes)) == len(self.classes) <= MAX_CLASSES:
            raise ConfigError(
                f"classes has {len(self.classes)} names, {len(set(self.classes))} of them different, "
                f"expected 1 to {MAX_CLASSES} different ones"
            )

    @property
    def architecture(self) -> Architecture:
        """The network of the run."""
        return self.recipe.architecture(len(self.classes))

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "RunConfig":
        """The inverse of `dataclasses.asdict`; other keys are ignored.

        Raises:
            ConfigError: A value is missing, unknown in a recipe, of the wrong kind, or out of range.
        """
        for own in fields(RunConfig):
            if own.default is MISSING and own.name not in values:
                raise ConfigError(f"{own.name} is missing")
        recipe = values["recipe"]
        if not isinstance(recipe, Mapping):
            raise ConfigError(f"recipe is {recipe!r}, expected values by their names")
        for own in fields(Recipe):
            if own.name not in recipe and own.name not in VALUES_ADDED_LATER:
                raise ConfigError(f"{own.name} is missing")
        known = {own.name: values[own.name] for own in fields(RunConfig) if own.name in values}
        classes = values["classes"]
        known["classes"] = tuple(classes) if isinstance(classes, list) else classes
        return RunConfig(**{**known, "recipe": Recipe().override(recipe)})
