"""How weights move: Adam as TensorFlow computes it, alone or with Muon for the layers' matrices."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from birnn_cli.errors import CheckpointError
from birnn_cli.runs.checkpoint import Arrays
from birnn_cli.runs.recipes import MAX_FLOAT, Recipe
from birnn_cli.training.threads import Threads

# So many steps switch off torch's bias correction, a division by 1 - beta**steps; the learning rate has
# the factor `tensorflow_epsilon_factor` instead.
NO_BIAS_CORRECTION = float("inf")
# Of Muon, as its authors chose them: the coefficients of Newton and Schulz's polynomial, how often it is
# applied, and the momentum of the gradients' mean.
NEWTON_SCHULZ_COEFFICIENTS = (3.4445, -4.775, 2.0315)
NEWTON_SCHULZ_STEPS = 5
MUON_MOMENTUM = 0.95
# About the size of Adam's steps: Muon's are scaled to it, so that both use the same learning rate.
# Source: Liu and others, "Muon is Scalable for LLM Training", 2025.
ADAM_STEP_SIZE = 0.2


class Optimizer:
    """The optimizers of a recipe over a network's trained parameters, given by name.

    `averages` are the gradients' averages by name, such as `head.bias.exp_avg`; steps change them.
    `threads` share Muon's matrices.
    """

    def __init__(
        self, recipe: Recipe, weights: Mapping[str, nn.Parameter], threads: Threads | None = None
    ) -> None:
        self._recipe, self._weights = recipe, list[Tensor](weights.values())
        self._threads = threads or Threads(1)
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
            eps=recipe.epsilon,  # as in TensorFlow: see tensorflow_epsilon_factor
            fused=device.type in ("cpu", "cuda"),
        )
        self.averages: dict[str, Tensor] = {}
        for name, weight in others.items():
            state = {"step": torch.tensor(NO_BIAS_CORRECTION, device=device)}
            for key in ("exp_avg", "exp_avg_sq"):
                state[key] = self.averages[f"{name}.{key}"] = torch.zeros_like(weight)
            self._adam.state[weight] = state
        for name, weight in self._matrices.items():
            self.averages[f"{name}.momentum_buffer"] = torch.zeros_like(weight)

    @torch.no_grad()
    def step(self, steps_done: int) -> None:
        """Move the weights by their gradients, at the learning rate after so many steps."""
        rate = self._recipe.learning_rate_at(steps_done)
        self._rate.fill_(rate)
        adam_rate = rate * tensorflow_epsilon_factor(self._recipe, steps_done)
        self._adam_rate.fill_(min(adam_rate, MAX_FLOAT))
        if self._recipe.weight_decay:
            torch._foreach_mul_(self._weights, 1 - self._rate * self._recipe.weight_decay)
        self._adam.step()
        if self._matrices:
            self._threads.map(self._muon, self._matrices.items())

    @torch.no_grad()
    def _muon(self, name: str, matrix: nn.Parameter) -> None:
        """Move a matrix by Muon (Jordan and others 2024): each step is orthogonal."""
        gradient, average = matrix.grad, self.averages[f"{name}.momentum_buffer"]
        assert gradient is not None
        average.lerp_(gradient, 1 - MUON_MOMENTUM)
        dtype = torch.float32 if self._recipe.precision == "float32" else torch.bfloat16
        update = orthogonalise(gradient.lerp(average, MUON_MOMENTUM).to(dtype)).float()
        matrix.addcmul_(update, self._rate, value=-ADAM_STEP_SIZE * max(matrix.shape) ** 0.5)

    def restore(self, state: Arrays) -> None:
        """Set the averages to those of a checkpoint.

        Raises:
            CheckpointError: One is missing, or of another shape.
        """
        for name, average in self.averages.items():
            kept = state.get(name)
            if kept is None or kept.shape != tuple(average.shape):
                raise CheckpointError(f"the optimizer's state has no {name} of its shape")
            average.copy_(torch.from_numpy(kept))


def tensorflow_epsilon_factor(recipe: Recipe, steps_done: int) -> float:
    """The factor on Adam's learning rate with which epsilon acts as in TensorFlow, not as in torch.

    Adam's averages start at zero, and both libraries correct that bias. torch corrects the averages and
    adds epsilon to the root of the corrected mean square. TensorFlow corrects the learning rate instead,
    and adds epsilon to the root of the mean square as it is ("epsilon hat" in Kingma and Ba 2015,
    section 2). The notebook used TensorFlow.
    """
    step = steps_done + 1
    factor: float = (1 - recipe.beta2**step) ** 0.5 / (1 - recipe.beta1**step)
    return factor


def orthogonalise(matrix: Tensor) -> Tensor:
    """A matrix (rows, columns) with singular values near 1, by Newton and Schulz's iteration."""
    is_tall = matrix.shape[0] > matrix.shape[1]
    found = matrix.mT if is_tall else matrix
    found = found / found.norm().clamp(min=1e-7)
    a, b, c = NEWTON_SCHULZ_COEFFICIENTS
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = found @ found.mT
        found = torch.addmm(found, torch.addmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.mT if is_tall else found
