"""The optimisers: Muon's step, which weights it moves, and the schedule of the learning rate."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from birnn_cli.errors import CheckpointError
from birnn_cli.network.torch_engine import BiRNN
from birnn_cli.runs.recipes import RECIPES, WARM_UP
from birnn_cli.training.optimizers import Optimizer

MUON = replace(RECIPES["notebook"], optimizer="muon", learning_rate=0.01, hidden_size=12)


def stepped(decay: float = 0.0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Optimizer]:
    """Weights before and after one step on random gradients."""
    torch.manual_seed(0)
    weights = BiRNN(MUON.architecture(10)).named_weights()
    optimizer = Optimizer(replace(MUON, weight_decay=decay), weights)
    before = {name: weight.detach().numpy().copy() for name, weight in weights.items()}
    for weight in weights.values():
        weight.grad = torch.randn_like(weight)
    optimizer.step(0)
    return before, {name: weight.detach().numpy() for name, weight in weights.items()}, optimizer


def test_muon_moves_matrices_in_all_directions_alike_and_adam_the_rest() -> None:
    before, after, _ = stepped()
    for name, value in after.items():
        step = before[name] - value
        if value.ndim == 2 and not name.startswith("head."):
            # Orthogonal up to Newton and Schulz's five rounds; scaled by 0.2 sqrt of the longer side.
            size = np.linalg.svd(step, compute_uv=False) / (0.01 * 0.2 * max(step.shape) ** 0.5)
            assert 0.5 < size.min() <= size.max() < 1.3, name
        else:
            # Adam's first step is the learning rate, in every number (but TensorFlow's epsilon).
            np.testing.assert_allclose(np.abs(step), 0.01, rtol=1e-3)


def test_weight_decay_takes_its_share_of_every_weight() -> None:
    (before, plain, _), (_, decayed, _) = stepped(), stepped(0.1)
    for name, value in before.items():
        np.testing.assert_allclose(plain[name] - decayed[name], 0.01 * 0.1 * value, atol=1e-6)


def test_a_state_of_another_network_is_refused() -> None:
    _, _, optimizer = stepped()
    state = {name: average.numpy().copy() for name, average in optimizer.averages.items()}
    assert "layers.0.fw.weight_hh.momentum_buffer" in state
    assert {"head.bias.exp_avg", "head.bias.exp_avg_sq"} < state.keys()
    wider = Optimizer(MUON, BiRNN(replace(MUON, hidden_size=13).architecture(10)).named_weights())
    with pytest.raises(CheckpointError, match="of its shape"):
        wider.restore(state)
    del state["head.bias.exp_avg_sq"]
    with pytest.raises(CheckpointError, match=r"head\.bias"):
        optimizer.restore(state)


def test_one_cycle_rises_to_its_peak_and_falls_to_nothing_in_straight_lines() -> None:
    recipe = replace(MUON, schedule="one-cycle", samples=128 * 1000, learning_rate=0.5)
    assert recipe.steps == 999
    rates = np.array([recipe.learning_rate_at(step) for step in range(recipe.steps)])
    peak = round(WARM_UP * 1000) - 1
    assert rates.argmax() == peak and rates[peak] == pytest.approx(0.5)
    assert rates[0] == pytest.approx(0.5 / 150) and rates[-1] == pytest.approx(0.5 / 850)
    np.testing.assert_allclose(np.diff(rates[: peak + 1]), 0.5 / 150, rtol=1e-6)
    np.testing.assert_allclose(np.diff(rates[peak:]), -0.5 / 850, rtol=1e-6)


def test_the_notebooks_learning_rate_is_constant() -> None:
    recipe = RECIPES["notebook"]
    assert {recipe.learning_rate_at(step) for step in range(recipe.steps)} == {0.001}


def test_the_schedule_is_what_the_weights_move_by() -> None:
    weight = nn.Parameter(torch.zeros(3))
    recipe = replace(RECIPES["notebook"], schedule="one-cycle", samples=128 * 10, learning_rate=0.5)
    optimizer = Optimizer(recipe, {"head.bias": weight})
    for step in range(recipe.steps):
        before = weight.detach().clone()
        weight.grad = torch.ones(3)
        optimizer.step(step)
        moved = (before - weight.detach()).numpy()
        np.testing.assert_allclose(moved, recipe.learning_rate_at(step), rtol=1e-3)
