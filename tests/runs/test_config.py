"""The configuration of a run: what is written is what is read, and nothing wrong or missing is."""

import json
from dataclasses import asdict, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birnn_cli.errors import ConfigError
from birnn_cli.runs.config import RunConfig
from birnn_cli.runs.recipes import RECIPES, VALUES_ADDED_LATER, Recipe

CONFIG = RunConfig(
    recipe_name="notebook",
    recipe=Recipe(),
    dataset="mnist",
    classes=tuple("0123456789"),
    reader="digit",
    seed=0,
    device="cpu",
)


def described(**recipe: Any) -> dict[str, Any]:
    """What `config.json` holds, with some values of the recipe replaced."""
    values = asdict(CONFIG)
    return {**values, "recipe": {**values["recipe"], **recipe}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("seed", -1), ("seed", 2**31), ("seed", "0"), ("reader", "letters"), ("device", 0)],
        *[("deterministic", 1), ("classes", []), ("classes", ["a"] * 1001), ("recipe", [1])],
    ],
)
def test_a_description_of_a_wrong_value_is_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=name):
        RunConfig.from_dict({**asdict(CONFIG), name: value})


@pytest.mark.parametrize("name", [own.name for own in fields(RunConfig)][:7])
def test_a_description_without_a_value_is_refused(name: str) -> None:
    values = asdict(CONFIG)
    del values[name]
    with pytest.raises(ConfigError, match=f"{name} is missing"):
        RunConfig.from_dict(values)


def test_only_values_that_came_later_may_be_missing_from_a_recipe() -> None:
    for name in asdict(Recipe()):
        values = described()
        del values["recipe"][name]
        if name in VALUES_ADDED_LATER:
            assert RunConfig.from_dict(values) == CONFIG
        else:
            with pytest.raises(ConfigError, match=f"{name} is missing"):
                RunConfig.from_dict(values)


@given(st.sampled_from(sorted(RECIPES)), st.integers(0, 2**31 - 1))
def test_what_is_written_is_what_is_read(name: str, seed: int) -> None:
    config = RunConfig(**{**vars(CONFIG), "recipe": RECIPES[name], "recipe_name": name, "seed": seed})  # type: ignore[index]
    assert RunConfig.from_dict(json.loads(json.dumps(asdict(config)))) == config
