"""Learning: a generator of typed step results. No files, no printing.

All that is random is a function of (seed, purpose, number), never of a state: a run that goes on at
step k draws what it would have drawn, and a validation in the middle changes nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from birnn_cli.data.rows import to_rows
from birnn_cli.errors import CheckpointError, ConfigError, DivergedError
from birnn_cli.network.birnn import BiRNN
from birnn_cli.recipes import Recipe

# Images a pass of validation: large enough to be efficient, small enough for any device's memory.
VALIDATION_BATCH_SIZE = 1000

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """How a network does on some images: `loss` in nats an image, `accuracy` in 0 to 1."""

    n: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class StepResult:
    """What is known after a step.

    Attributes:
        step: Steps done, from 1.
        samples: Images seen.
        batch: On display steps, the scores of the network after the step on the step's own batch.
        validation: When measured, the scores on the images held out.
    """

    step: int
    samples: int
    batch: Scores | None
    validation: Scores | None = None


def resolve_device(wanted: str) -> torch.device:
    """The device that `auto`, `cpu`, `cuda`, `cuda:N` or `mps` means here.

    Raises:
        ConfigError: No such device, or none that works here.
    """
    if wanted == "auto":
        wanted = "cpu"
        if torch.cuda.is_available():
            wanted = "cuda"
        elif torch.backends.mps.is_available():
            wanted = "mps"
    try:
        device = torch.device(wanted)
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", 0)
        torch.zeros(1, device=device)
    # torch raises a RuntimeError, or an AssertionError where it was built without CUDA.
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise ConfigError(
            f"device {wanted!r} cannot be used here ({reason}): expected auto, cpu, cuda, cuda:N or mps"
        ) from None
    return device


def random_generator(
    seed: int, purpose: str, number: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A generator that depends on nothing but its arguments, one for each use of randomness."""
    words = [seed, number, *purpose.encode()]
    state = np.random.SeedSequence(words).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0]))


class Training:
    """A network that learns, with all that it takes to go on later.

    Args:
        recipe: How it learns.
        num_classes: Width of the logits.
        seed: Fixes the first weights, the order and the dropout.
        device: Where it learns; the images move there once.
        images: Shape (n, 28, 28), uint8.
        labels: Shape (n,), int64 in [0, num_classes).
        held_out: Images and labels to validate on, of the same kinds.
    """

    def __init__(
        self,
        recipe: Recipe,
        num_classes: int,
        seed: int,
        device: torch.device,
        images: Images,
        labels: Labels,
        held_out: tuple[Images, Labels],
    ) -> None:
        self.recipe, self.seed, self.device, self.step = recipe, seed, device, 0
        self._images, self._labels = _to_device(images, labels, device)
        self._held_out = _to_device(*held_out, device)
        self.network = BiRNN(recipe.architecture(num_classes))
        self.network.initialise(random_generator(seed, "weights", 0), recipe.head_std)
        self.network.to(device)
        self._optimizer = torch.optim.Adam(
            self.network.named_weights().values(),
            lr=recipe.learning_rate,
            betas=(recipe.beta1, recipe.beta2),
            fused=device.type in ("cpu", "cuda"),
        )
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def steps(self) -> Iterator[StepResult]:
        """Learn, step by step, from where the training stands to the recipe's end.

        Between two results the training stands still, so its `state` may be taken.

        Raises:
            DivergedError: On a display step, when the loss is no longer finite.
        """
        recipe = self.recipe
        while self.step < recipe.steps:
            rows, labels = self._batch(self.step)
            self._learn(rows, labels)
            self.step += 1
            batch = None
            if self.step % recipe.display_step == 0:
                batch = self._scores(rows, labels)
                if not np.isfinite(batch.loss):
                    raise DivergedError(
                        f"the loss is {batch.loss} after step {self.step}, expected a finite number: "
                        f"try a --learning-rate below {recipe.learning_rate:g}"
                    )
            yield StepResult(self.step, self.step * recipe.batch_size, batch)

    def _learn(self, rows: Tensor, labels: Tensor) -> None:
        """One step of Adam on the mean cross-entropy of a batch."""
        recipe, number = self.recipe, self.step + 1
        generator = None
        if recipe.dropout:
            generator = random_generator(self.seed, "dropout", number, self.device)
        logits = self.network(rows, recipe.dropout, generator)
        self._optimizer.zero_grad()
        nn.functional.cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
        # TensorFlow adds epsilon to sqrt(v), torch to sqrt(v) / sqrt(1 - beta2^t): so torch's own
        # epsilon has to be larger by the same factor to be the same number (Kingma and Ba 2015, s. 2).
        self._optimizer.param_groups[0]["eps"] = recipe.epsilon / (1 - recipe.beta2**number) ** 0.5
        self._optimizer.step()

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Rows and labels of a step, from an endless sequence of shuffles of the images.

        A batch across the end of a shuffle takes the rest of it and then the start of the next, so
        that no batch is short.
        """
        size, total = self.recipe.batch_size, len(self._images)
        start, indices = step * size, []
        while start < (step + 1) * size:
            number, place = divmod(start, total)
            taken = self._shuffle(number)[place : place + (step + 1) * size - start]
            indices.append(taken)
            start += len(taken)
        chosen = torch.cat(indices)
        return to_rows(self._images[chosen]), self._labels[chosen]

    def _shuffle(self, number: int) -> Tensor:
        """Order of the images in their pass of this number: shape (n,), int64, on the device."""
        if self._order[0] != number:
            generator = random_generator(self.seed, "order", number)
            order = torch.randperm(len(self._images), generator=generator)
            self._order = (number, order.to(self.device))
        return self._order[1]

    @torch.no_grad()
    def _scores(self, rows: Tensor, labels: Tensor) -> Scores:
        logits = self.network(rows)
        loss = nn.functional.cross_entropy(logits, labels).item()
        accuracy = (logits.argmax(dim=1) == labels).double().mean().item()
        return Scores(len(labels), loss, accuracy)

    def validate(self) -> Scores:
        """Scores on the images held out."""
        images, labels = self._held_out
        parts = []
        for start in range(0, len(images), VALIDATION_BATCH_SIZE):
            some = slice(start, start + VALIDATION_BATCH_SIZE)
            parts.append(self._scores(to_rows(images[some]), labels[some]))
        return Scores(
            len(images),
            sum(part.n * part.loss for part in parts) / len(images),
            sum(part.n * part.accuracy for part in parts) / len(images),
        )

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The network's arrays, by the names of `Architecture.parameter_shapes`.

        Raises:
            DivergedError: One of them holds a number that is not finite.
        """
        arrays = {name: _to_numpy(value) for name, value in self.network.named_weights().items()}
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise DivergedError(
                    f"weights {name} are no longer finite after step {self.step}: "
                    f"try a --learning-rate below {self.recipe.learning_rate:g}"
                )
        return arrays

    def optimizer_state(self) -> dict[str, NDArray[np.float32]]:
        """Adam's two averages, by the names of their weights; none for weights without a gradient."""
        state = {}
        for name, parameter in self.network.named_weights().items():
            if parameter in self._optimizer.state:
                kept = self._optimizer.state[parameter]
                state[f"{name}.exp_avg"] = _to_numpy(kept["exp_avg"])
                state[f"{name}.exp_avg_sq"] = _to_numpy(kept["exp_avg_sq"])
        return state

    def restore(
        self,
        step: int,
        weights: Mapping[str, NDArray[np.float32]],
        optimizer_state: Mapping[str, NDArray[np.float32]],
    ) -> None:
        """Go back to what `step`, `weights` and `optimizer_state` were.

        Raises:
            CheckpointError: The optimizer's state is not that of this network.
        """
        self.step = step
        self.network.load_weights(weights)
        for name, parameter in self.network.named_weights().items():
            averages = {
                key: optimizer_state[f"{name}.{key}"]
                for key in ("exp_avg", "exp_avg_sq")
                if f"{name}.{key}" in optimizer_state
            }
            if any(array.shape != tuple(parameter.shape) for array in averages.values()):
                raise CheckpointError(f"the optimizer's state of {name} is not of its shape")
            if len(averages) == 2:
                self._optimizer.state[parameter] = {
                    "step": torch.tensor(float(step), device=self.device),
                    **{
                        key: torch.from_numpy(array.copy()).to(self.device)
                        for key, array in averages.items()
                    },
                }


def _to_device(images: Images, labels: Labels, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device)


def _to_numpy(value: Tensor) -> NDArray[np.float32]:
    """A copy that later steps leave alone."""
    return value.detach().cpu().numpy().copy()
