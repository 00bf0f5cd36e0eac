"""How weights move: Adam as TensorFlow computes it, with or without Muon for the matrices.

What changes from step to step is in tensors: a step that a GPU has recorded finds it there.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from birnn_cli.errors import CheckpointError
from birnn_cli.runs.recipes import Recipe

State = Mapping[str, NDArray[np.float32]]
# Muon's, as its authors chose them: the polynomial's coefficients, its rounds, the momentum.
NEWTON_SCHULZ, ROUNDS, MOMENTUM = (3.4445, -4.775, 2.0315), 5, 0.95


class Optimizer:
    """The optimisers of a recipe over a network's weights.

    Args:
        recipe: Learning rate, decays, schedule.
        weights: The trained parameters by name, on their device.
    """

    def __init__(self, recipe: Recipe, weights: Mapping[str, nn.Parameter]) -> None:
        self._recipe, self._weights = recipe, list[Tensor](weights.values())
        self._matrices = {
            name: weight
            for name, weight in weights.items()
            if recipe.optimizer == "muon" and weight.ndim == 2 and not name.startswith("head.")
        }
        others = {name: weight for name, weight in weights.items() if name not in self._matrices}
        device = self._weights[0].device
        self._rate, self._adam_rate = torch.zeros((), device=device), torch.zeros((), device=device)
        self._adam = torch.optim.Adam(
            others.values(),
            lr=self._adam_rate,
            betas=(recipe.beta1, recipe.beta2),
            eps=recipe.epsilon,
            fused=device.type in ("cpu", "cuda"),
            capturable=device.type == "cuda",
        )
        self._averages: dict[str, Tensor] = {}
        for name, weight in others.items():
            # TensorFlow corrects the averages' bias within the learning rate, so that its epsilon is
            # that of Kingma and Ba 2015, section 2; torch, as after infinitely many steps, nowhere.
            state = {"step": torch.tensor(float("inf"), device=device)}
            for key in ("exp_avg", "exp_avg_sq"):
                state[key] = self._averages[f"{name}.{key}"] = torch.zeros_like(weight)
            self._adam.state[weight] = state
        for name, weight in self._matrices.items():
            self._averages[f"{name}.momentum_buffer"] = torch.zeros_like(weight)

    def prepare(self, step: int) -> None:
        """Set the learning rates for a step, counted from 0."""
        rate, recipe = self._recipe.learning_rate_at(step), self._recipe
        unbiased = (1 - recipe.beta2 ** (step + 1)) ** 0.5 / (1 - recipe.beta1 ** (step + 1))
        self._rate.fill_(rate)
        self._adam_rate.fill_(rate * unbiased)

    @torch.no_grad()
    def step(self) -> None:
        """Move the weights by their gradients."""
        if self._recipe.weight_decay:
            torch._foreach_mul_(self._weights, 1 - self._rate * self._recipe.weight_decay)
        self._adam.step()
        by_shape: dict[torch.Size, list[str]] = {}
        for name, weight in self._matrices.items():
            by_shape.setdefault(weight.shape, []).append(name)
        for names in by_shape.values():
            self._muon(names)

    def _muon(self, names: list[str]) -> None:
        """Move matrices of one shape by Muon (Jordan and others 2024): each step is orthogonal.

        It is scaled to the size of Adam's steps, so that both share a learning rate (Liu and others,
        "Muon is Scalable for LLM Training", 2025).
        """
        updates = []
        for name in names:
            gradient, average = self._matrices[name].grad, self._averages[f"{name}.momentum_buffer"]
            assert gradient is not None
            average.lerp_(gradient, 1 - MOMENTUM)
            updates.append(gradient.lerp(average, MOMENTUM))
        kind = torch.float32 if self._recipe.precision == "float32" else torch.bfloat16
        orthogonal = orthogonalised(torch.stack(updates).to(kind)).float()
        size = 0.2 * max(orthogonal.shape[1:]) ** 0.5
        for name, update in zip(names, orthogonal, strict=True):
            self._matrices[name].addcmul_(update, self._rate, value=-size)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weight in self._weights:
            weight.grad = None

    def averages(self) -> Mapping[str, Tensor]:
        """What is kept of the gradients, in place, such as `head.bias.exp_avg`."""
        return self._averages

    def restore(self, state: State) -> None:
        """Go back to averages that were.

        Raises:
            CheckpointError: They are not those of these weights.
        """
        for name, average in self._averages.items():
            kept = state.get(name)
            if kept is None or kept.shape != tuple(average.shape):
                raise CheckpointError(f"the optimizer's state has no {name} of its shape")
            average.copy_(torch.from_numpy(kept))


def orthogonalised(matrices: Tensor) -> Tensor:
    """Matrices (n, rows, columns) with singular values near 1, by Newton and Schulz's iteration."""
    is_tall = matrices.shape[1] > matrices.shape[2]
    found = matrices.mT if is_tall else matrices
    found = found / found.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    a, b, c = NEWTON_SCHULZ
    for _ in range(ROUNDS):
        gram = found @ found.mT
        found = torch.baddbmm(found, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.mT if is_tall else found
