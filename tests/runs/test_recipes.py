"""The values of a run: checked the same way, in the same words, whichever road they come in by."""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from birnn_cli.errors import ConfigError, RunError
from birnn_cli.runs import folders
from birnn_cli.runs.recipes import RECIPES, VALUES_ADDED_LATER, Recipe, RunConfig
from birnn_cli.training.options import TrainOptions
from tests.conftest import run_birnn

CONFIG = RunConfig(
    recipe_name="notebook",
    recipe=Recipe(),
    dataset="mnist",
    classes=tuple("0123456789"),
    reader="digit",
    seed=0,
    device="cpu",
)
# A value that each option's parser lets through, and what is said of it.
REFUSED = [
    ("batch_size", 0, "batch_size is 0, expected a whole number of images from 1 to 1,000,000"),
    ("batch_size", -3, "batch_size is -3, expected a whole number of images from 1 to 1,000,000"),
    ("learning_rate", 0.0, "learning_rate is 0.0, expected a number above 0"),
    ("learning_rate", float("nan"), "learning_rate is nan, expected a number above 0"),
    ("learning_rate", float("inf"), "learning_rate is inf, expected a number above 0"),
    ("beta1", 1.0, "beta1 is 1.0, expected a number from 0 to 0.999999"),
    ("forget_bias", -101.0, "forget_bias is -101.0, expected a number from -100.0 to 100.0"),
    ("mix_strokes", 1.0, "mix_strokes is 1.0, expected a number from 0 to 0.99"),
]
# What no option's parser lets through, but a file or a program may hold.
OF_ANOTHER_KIND = [
    ("batch_size", 1.5, "batch_size is 1.5, expected a whole number"),
    ("batch_size", "64", "batch_size is '64', expected a whole number"),
    ("batch_size", True, "batch_size is True, expected a whole number"),
    ("optimizer", "sgd", "optimizer is 'sgd', expected one of adam, muon"),
    ("precision", "fp8", "precision is 'fp8', expected one of float32, tf32, bfloat16"),
    ("columns", 1, "columns is 1, expected true or false"),
    ("samples", None, "samples is None, expected a whole number"),
    ("readout", ["pool"], "readout is ['pool'], expected one of last, states, pool"),
]


def described(**recipe: Any) -> dict[str, Any]:
    """What `config.json` holds, with some values of the recipe replaced."""
    values = CONFIG.to_dict()
    return {**values, "recipe": {**values["recipe"], **recipe}}


@pytest.mark.parametrize(("name", "value", "message"), REFUSED + OF_ANOTHER_KIND)
def test_a_value_is_refused_in_the_same_words_by_every_road(
    name: str, value: object, message: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(described(**{name: value})))
    for road, error in (
        (lambda: RECIPES["notebook"].override({name: value}), ConfigError),
        (lambda: RunConfig.from_dict(described(**{name: value})), ConfigError),
        (lambda: TrainOptions.from_keywords({name: value}), ConfigError),
        (lambda: folders.read_config(tmp_path), RunError),
    ):
        with pytest.raises(error) as caught:
            road()
        assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "value", "message"), REFUSED)
def test_an_option_expects_the_same_in_the_same_words_too(
    name: str, value: object, message: str, tmp_path: Path
) -> None:
    done = run_birnn("train", f"--{name.replace('_', '-')}={value}", cwd=tmp_path)
    assert done.code == 2
    assert message.partition(", ")[2] in done.err and done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"samples": 128}, "--samples 128 at --batch-size 128 makes no step"),
        ({"dropout": 0.5}, "--layers 2"),
        ({"mix_strokes": 0.9, "mix_outliers": 0.1}, "leave no room"),
    ],
)
def test_values_that_cannot_work_together_are_refused(values: dict[str, Any], message: str) -> None:
    for road in (RECIPES["notebook"].override, lambda own: RunConfig.from_dict(described(**own))):
        with pytest.raises(ConfigError, match=message):
            road(values)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("seed", -1), ("seed", 2**31), ("seed", "0"), ("reader", "letters"), ("device", 0)],
        *[("deterministic", 1), ("classes", []), ("classes", ["a"] * 1001), ("recipe", [1])],
    ],
)
def test_a_description_of_a_wrong_value_is_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=name):
        RunConfig.from_dict({**CONFIG.to_dict(), name: value})


@pytest.mark.parametrize("name", [own.name for own in fields(RunConfig)][:7])
def test_a_description_without_a_value_is_refused(name: str) -> None:
    values = CONFIG.to_dict()
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


def test_a_name_that_is_unknown_is_refused_with_those_that_are_known() -> None:
    for road in (
        lambda: Recipe().override({"lerning_rate": 1.0}),
        lambda: TrainOptions.from_keywords({"lerning_rate": 1.0}),
        lambda: RunConfig.from_dict(described(lerning_rate=1.0)),
    ):
        with pytest.raises(ConfigError, match=r"'lerning_rate'.*learning_rate"):
            road()


@given(st.sampled_from(sorted(RECIPES)), st.integers(0, 2**31 - 1))
def test_what_is_written_is_what_is_read(name: str, seed: int) -> None:
    config = RunConfig(**{**vars(CONFIG), "recipe": RECIPES[name], "recipe_name": name, "seed": seed})  # type: ignore[index]
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_defaults_are_the_notebooks() -> None:
    assert RECIPES["notebook"] == Recipe()
