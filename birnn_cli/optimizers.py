"""How weights move: Adam as TensorFlow computes it, with or without Muon for the matrices."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from birnn_cli.errors import CheckpointError
from birnn_cli.recipes import Recipe

State = Mapping[str, NDArray[np.float32]]


class Optimizer:
    """The optimisers of a recipe over a network's weights.

    Muon (Jordan and others 2024) makes each matrix's step orthogonal. It is scaled to the size of Adam's
    steps, so that both share a learning rate (Liu and others, "Muon is Scalable for LLM Training",
    2025).

    Args:
        recipe: Learning rate, decays, schedule.
        weights: The trained parameters by name, on their device.
    """

    def __init__(self, recipe: Recipe, weights: Mapping[str, nn.Parameter]) -> None:
        self._recipe, self._weights = recipe, weights
        muons = {
            name
            for name, weight in weights.items()
            if recipe.optimizer == "muon" and weight.ndim == 2 and not name.startswith("head.")
        }
        others = [weight for name, weight in weights.items() if name not in muons]
        self._adam = torch.optim.AdamW(
            others,
            lr=recipe.learning_rate,
            betas=(recipe.beta1, recipe.beta2),
            weight_decay=recipe.weight_decay,
            fused=others[0].device.type in ("cpu", "cuda"),
        )
        self._owners: dict[str, torch.optim.Optimizer] = dict.fromkeys(weights, self._adam)
        if muons:
            muon = torch.optim.Muon(
                [weights[name] for name in weights if name in muons],
                lr=recipe.learning_rate,
                weight_decay=recipe.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
            self._owners |= dict.fromkeys(muons, muon)
        self._all = tuple(dict.fromkeys(self._owners.values()))

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for optimizer in self._all:
            optimizer.zero_grad()

    def step(self, number: int) -> None:
        """Move the weights by their gradients, for the step of this number, counted from 0."""
        for optimizer in self._all:
            optimizer.param_groups[0]["lr"] = self._recipe.learning_rate_at(number)
        # TensorFlow adds epsilon to sqrt(v), torch to sqrt(v) / sqrt(1 - beta2^t): so torch's own
        # epsilon has to be larger by the same factor to be the same number (Kingma and Ba 2015, s. 2).
        unbiased = 1 - self._recipe.beta2 ** (number + 1)
        self._adam.param_groups[0]["eps"] = self._recipe.epsilon / unbiased**0.5
        for optimizer in self._all:
            optimizer.step()

    def state(self) -> dict[str, NDArray[np.float32]]:
        """The averages kept of the gradients: `<weight>.exp_avg`, …; none for weights without any."""
        return {
            f"{name}.{key}": to_numpy(value)
            for name, owner in self._owners.items()
            for key, value in owner.state.get(self._weights[name], {}).items()
            if key != "step"
        }

    def restore(self, step: int, state: State) -> None:
        """Go back to what `state` was after so many steps.

        Raises:
            CheckpointError: The state is not that of these weights.
        """
        for name, owner in self._owners.items():
            weight = self._weights[name]
            keys = ("exp_avg", "exp_avg_sq") if owner is self._adam else ("momentum_buffer",)
            kept = {key: state[f"{name}.{key}"] for key in keys if f"{name}.{key}" in state}
            if kept and (
                len(kept) < len(keys)
                or any(array.shape != tuple(weight.shape) for array in kept.values())
            ):
                raise CheckpointError(f"the optimizer's state of {name} is not of its shape")
            if kept:
                owner.state[weight] = {
                    key: torch.from_numpy(array.copy()).to(weight.device) for key, array in kept.items()
                }
                if owner is self._adam:
                    owner.state[weight]["step"] = torch.tensor(float(step), device=weight.device)


def to_numpy(value: torch.Tensor) -> NDArray[np.float32]:
    """A copy that later steps leave alone."""
    return value.detach().cpu().numpy().copy()
