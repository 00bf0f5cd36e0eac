"""Learning: the notebook's batches, randomness as a function, resuming, what stops a run."""

import itertools
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from birnn_cli.data import strokes
from birnn_cli.errors import DivergedError
from birnn_cli.runs.recipes import RECIPES, Recipe, RecipeName
from birnn_cli.training.device import resolve_precision
from birnn_cli.training.loop import TrainingLoop, dropout_masks

IMAGES, LABELS = strokes.sample("train", 500)
VALIDATION = strokes.sample("validation", 100)
CPU = torch.device("cpu")
SMALL = replace(RECIPES["notebook"], hidden_size=8, batch_size=20, samples=801, display_step=5)


def training(recipe: Recipe = SMALL, seed: int = 0, images: np.ndarray = IMAGES) -> TrainingLoop:
    return TrainingLoop(recipe, 10, seed, CPU, (images, LABELS[: len(images)]), VALIDATION)


def batch(learner: TrainingLoop, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    return learner.batches.batch(step)


def same(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> bool:
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


@given(st.integers(1, 10**6), st.integers(1, 10**4))
def test_steps_are_those_of_the_notebooks_loop(samples: int, batch_size: int) -> None:
    step = 1
    bound = max(samples, batch_size + 1)
    steps = replace(SMALL, samples=bound, batch_size=batch_size).steps
    assert steps * batch_size < bound <= (steps + 1) * batch_size
    if bound < 5000:
        while step * batch_size < bound:
            step += 1
        assert steps == step - 1
    assert RECIPES["notebook"].steps == 781


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 90), total=st.integers(1, 60), seed=st.integers(0, 5))
def test_each_pass_shows_every_image_once_and_no_batch_is_short(
    size: int, total: int, seed: int
) -> None:
    recipe = replace(SMALL, batch_size=size, samples=20 * size)
    numbered = np.zeros((total, 28, 28), np.uint8)
    numbered[:, 0, 0] = np.arange(total)
    learner = training(recipe, seed, numbered)
    batches = [batch(learner, step)[0][:, 0, 0] for step in range(recipe.steps)]
    assert all(len(batch) == size for batch in batches)
    shown = (torch.cat(batches) * 255).round().int().tolist()
    for start in range(0, len(shown) - total + 1, total):
        assert sorted(shown[start : start + total]) == list(range(total))


def test_the_order_is_a_function_of_the_seed_and_the_step() -> None:
    one, two = training(), training()
    for step in (30, 3, 24):
        assert torch.equal(batch(one, step)[0], batch(two, step)[0])
    assert not torch.equal(batch(one, 3)[0], batch(training(seed=1), 3)[0])
    first, second = (batch(one, step)[0] for step in (0, len(IMAGES) // SMALL.batch_size))
    assert not torch.equal(first, second)  # another pass, another order


def test_a_network_learns_a_few_images_by_heart() -> None:
    recipe = replace(SMALL, hidden_size=32, samples=32 * 150, batch_size=32, learning_rate=0.01)
    learner = training(recipe, images=IMAGES[:32])
    scores = [result.batch for result in learner.steps() if result.batch]
    assert scores[-1].accuracy == 1.0
    assert scores[-1].loss < 0.1 < scores[0].loss


def test_rows_of_metrics_come_every_display_step_after_the_step_on_its_batch() -> None:
    learner, other = training(), training()
    for result in learner.steps():
        assert result.samples == 20 * result.step
        assert (result.batch is not None) == (result.step % 5 == 0)
        if result.step == 5:
            rows, labels = batch(other, 4)
            loss = torch.nn.functional.cross_entropy(learner.network(rows), labels).item()
            assert result.batch is not None
            assert result.batch.loss == pytest.approx(loss)
    assert learner.step == 40


def test_validating_in_the_middle_changes_nothing() -> None:
    recipe = replace(SMALL, layers=2, dropout=0.5)
    plain, validated = training(recipe), training(recipe)
    for _ in plain.steps():
        pass
    for _ in validated.steps():
        validated.validate()
        torch.rand(3)
    assert same(plain.weights(), validated.weights())


def test_scores_do_not_depend_on_the_size_of_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = training()
    whole = learner.validate()
    monkeypatch.setattr("birnn_cli.training.loop.VALIDATION_BATCH_SIZE", 7)
    parts = learner.validate()
    assert whole.accuracy == pytest.approx(parts.accuracy)
    assert whole.loss == pytest.approx(parts.loss, rel=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"layers": 2, "dropout": 0.3, "readout": "pool"},
        {"optimizer": "muon", "schedule": "one-cycle", "augment": 1.0, "precision": "bfloat16"},
    ],
)
def test_going_on_twice_gives_the_same_bits(changes: dict[str, Any]) -> None:
    recipe = replace(SMALL, **changes)
    whole = training(recipe)
    rows = list(whole.steps())
    leg, seen = training(recipe), []
    for stop in (7, 26, 40):
        for result in leg.steps():
            seen.append(result)
            if result.step == stop:
                break
        weights, state, step = leg.weights(), leg.optimizer_state(), leg.step
        leg = training(recipe)
        leg.restore(step, weights, state)
    assert same(whole.weights(), leg.weights())
    assert same(whole.optimizer_state(), leg.optimizer_state())
    assert rows == seen


@pytest.mark.parametrize("name", RECIPES)
def test_threads_that_share_a_batch_learn_as_one_does(name: RecipeName) -> None:
    """And twice the same bits, whichever of them computed what."""
    recipe = RECIPES[name].override(
        {"hidden_size": 16, "batch_size": 128, "samples": 1_000, "precision": "float32"}
    )
    learners = [
        TrainingLoop(recipe, 10, 0, CPU, (IMAGES, LABELS), VALIDATION, threads=threads)
        for threads in (1, 3, 3)
    ]
    one, three, again = ([*learner.steps(), learner.validate()] for learner in learners)
    assert three == again and same(learners[1].weights(), learners[2].weights())
    assert one[-1].loss == pytest.approx(three[-1].loss, rel=1e-4)  # type: ignore[union-attr]
    for name, weight in learners[0].weights().items():
        np.testing.assert_allclose(learners[1].weights()[name], weight, atol=1e-4)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_learns_and_goes_on_to_the_same_bits(name: RecipeName) -> None:
    recipe = RECIPES[name].override({"hidden_size": 16, "batch_size": 20, "samples": 1201})
    whole, leg = training(recipe), training(recipe)
    for _ in whole.steps():
        pass
    next(itertools.islice(leg.steps(), 6, None))
    rest = training(recipe)
    rest.restore(leg.step, leg.weights(), leg.optimizer_state())
    for _ in rest.steps():
        pass
    assert rest.step == 60 and same(whole.weights(), rest.weights())
    assert same(whole.optimizer_state(), rest.optimizer_state())
    assert whole.validate().loss < training(recipe).validate().loss


def test_another_seed_is_another_run_and_the_same_seed_the_same() -> None:
    runs = [training(seed=seed) for seed in (1, 1, 2)]
    for run in runs:
        for _ in run.steps():
            pass
    assert same(runs[0].weights(), runs[1].weights())
    assert not same(runs[0].weights(), runs[2].weights())


def test_bfloat16_changes_the_products_and_no_weights_type() -> None:
    plain, half = training(), training(replace(SMALL, precision="bfloat16"))
    for _ in zip(plain.steps(), half.steps(), strict=True):
        pass
    for name, value in half.weights().items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, plain.weights()[name], atol=0.1)
    assert not same(plain.weights(), half.weights())


def test_dropout_is_a_function_of_the_seed_and_the_step_and_keeps_the_mean() -> None:
    recipe = replace(SMALL, layers=3, hidden_size=100, dropout=0.25, batch_size=200)
    whole, cpu = slice(0, None, 1), torch.device("cpu")
    masks = dropout_masks(recipe, 1, 7, whole, cpu)
    assert [tuple(mask.shape) for mask in masks] == [(200, 200)] * 2
    for mask, same, later, other in zip(
        masks,
        *(dropout_masks(recipe, seed, step, whole, cpu) for seed, step in ((1, 7), (1, 8), (2, 7))),
        strict=True,
    ):
        assert mask.unique().tolist() == pytest.approx([0, 4 / 3])
        assert float(mask.mean()) == pytest.approx(1, abs=0.02)
        assert torch.equal(mask, same)
        assert not torch.equal(mask, later) and not torch.equal(mask, other)
    assert not torch.equal(*masks)
    assert dropout_masks(replace(recipe, dropout=0.0), 1, 7, whole, cpu) == []
    third = dropout_masks(recipe, 1, 7, slice(2, None, 3), cpu)
    assert all(torch.equal(mask[2::3], part) for mask, part in zip(masks, third, strict=True))


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    with pytest.raises(DivergedError, match="learning-rate"):
        for _ in training(replace(SMALL, learning_rate=1e38)).steps():
            pass


def test_weights_that_are_not_finite_are_not_given_out() -> None:
    learner = training()
    with torch.no_grad():
        learner.network.head.bias[0] = float("inf")
    with pytest.raises(DivergedError, match=r"head\.bias"):
        learner.weights()


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="NO CUDA DEVICE: not tested there")


def on_cuda(recipe: Recipe, *, deterministic: bool = False) -> TrainingLoop:
    """A training on the GPU, done."""
    device = torch.device("cuda", torch.cuda.device_count() - 1)
    recipe = replace(recipe, precision=resolve_precision(recipe.precision, device))
    learner = TrainingLoop(
        recipe, 10, 0, device, (IMAGES, LABELS), VALIDATION, deterministic=deterministic
    )
    for _ in learner.steps():
        pass
    return learner


@needs_cuda
def test_cuda_learns_as_the_cpu_does() -> None:
    one, other = training(), on_cuda(SMALL)
    for _ in one.steps():
        pass
    for name, value in one.weights().items():
        np.testing.assert_allclose(other.weights()[name], value, atol=2e-3)


@needs_cuda
@pytest.mark.parametrize("name", RECIPES)
def test_cuda_gives_the_same_bits_twice_when_asked_to(name: RecipeName) -> None:
    program = (
        "import sys; from tests.training.test_loop import RECIPES, on_cuda\n"
        "recipe = RECIPES[sys.argv[1]].override({'batch_size': 64, 'samples': 3201})\n"
        "one, two = (on_cuda(recipe, deterministic=True).weights() for _ in range(2))\n"
        "assert all((one[name] == two[name]).all() for name in one)"
    )
    # A process of its own: cuBLAS reads what it is asked for once.
    subprocess.run([sys.executable, "-c", program, name], check=True)
