"""The values of a training: checked the same way, in the same words, whichever road they come in by."""

import json
from pathlib import Path
from typing import Any

import pytest

from birnn_cli.errors import ConfigError, RunError
from birnn_cli.runs import folders
from birnn_cli.runs.config import RunConfig
from birnn_cli.runs.recipes import RECIPES, Recipe
from birnn_cli.training.options import TrainOptions
from tests.conftest import run_birnn
from tests.runs.test_config import described

# A value that each option's parser lets through, and what is said of it.
REFUSED = [
    ("batch_size", 0, "batch_size is 0, expected a whole number of images from 1 to 1,000,000"),
    ("batch_size", -3, "batch_size is -3, expected a whole number of images from 1 to 1,000,000"),
    ("hidden_size", 2049, "hidden_size is 2049, expected a whole number of units from 1 to 2,048"),
    ("layers", 17, "layers is 17, expected a whole number of layers from 1 to 16"),
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


def test_a_name_that_is_unknown_is_refused_with_those_that_are_known() -> None:
    for road in (
        lambda: Recipe().override({"lerning_rate": 1.0}),
        lambda: TrainOptions.from_keywords({"lerning_rate": 1.0}),
        lambda: RunConfig.from_dict(described(lerning_rate=1.0)),
    ):
        with pytest.raises(ConfigError, match=r"'lerning_rate'.*learning_rate"):
            road()


def test_the_defaults_are_the_notebooks() -> None:
    assert RECIPES["notebook"] == Recipe()
