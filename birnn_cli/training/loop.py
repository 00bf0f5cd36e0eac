"""Learning: a generator of typed step results. No files, no printing.

What a step computes depends on the weights, the optimiser's averages and (seed, step), on nothing else:
so a run that goes on is the same run, and a validation in the middle changes nothing.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from birnn_cli.data.outliers import NO_CLASS
from birnn_cli.errors import DivergedError
from birnn_cli.network.rows import to_rows
from birnn_cli.network.torch_engine import BiRNN
from birnn_cli.runs.recipes import Recipe
from birnn_cli.training.batches import Batches, Labelled, random_generator
from birnn_cli.training.device import Recorded, set_up
from birnn_cli.training.distributed import ALONE, Group
from birnn_cli.training.optimizers import Optimizer

# Images a pass of validation: large enough to be efficient, small enough for any device's memory.
VALIDATION_BATCH_SIZE = 1000


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


def dropout_masks(
    recipe: Recipe, seed: int, step: int, share: slice, device: torch.device
) -> list[Tensor]:
    """What the units between layers are multiplied by: none without dropout.

    The same units are dropped at every row (Gal and Ghahramani 2016). Drawn for the whole batch, so that
    a share of it is the same whoever computes it.

    Args:
        recipe: Its dropout, and sizes.
        seed: The run's.
        step: Steps done before.
        share: Which images of the batch.
        device: Where the masks are drawn.

    Returns:
        For each pair of layers, shape (share, 2 hidden), float32: 0, or 1 / (1 - dropout).
    """
    if not recipe.dropout:
        return []
    generator, kept = random_generator(seed, "dropout", step + 1, device), 1 - recipe.dropout
    drawn = torch.empty(recipe.batch_size, 2 * recipe.hidden_size, device=device)
    return [drawn.bernoulli(kept, generator=generator)[share] / kept for _ in range(recipe.layers - 1)]


class Training:
    """A network that learns, with all that it takes to go on later.

    Args:
        recipe: How it learns, in a precision that the device has (see `device.resolve_precision`).
        num_classes: Width of the logits.
        seed: Fixes the first weights, the order, the changes of the images, the dropout.
        device: Where it learns; the images move there once.
        images: Images (n, 28, 28) uint8 and labels (n,) int64 in [0, num_classes).
        held_out: Those to validate on, of the same kinds.
        mixed: What else is in every batch (see `Batches`); a label of NO_CLASS asks for even
            probabilities.
        group: The processes that share every batch, and compute as one would.
        deterministic: Whether to take slower operations where only those give the same bits twice.
    """

    def __init__(
        self,
        recipe: Recipe,
        num_classes: int,
        seed: int,
        device: torch.device,
        images: Labelled,
        held_out: Labelled,
        mixed: Sequence[tuple[str, float, Labelled]] = (),
        group: Group = ALONE,
        deterministic: bool = False,
    ) -> None:
        set_up(device, tf32=recipe.precision == "tf32", deterministic=deterministic)
        self.recipe, self.seed, self.device, self.step = recipe, seed, device, 0
        self.warm_up_seconds = 0.0
        self._is_recorded = device.type == "cuda" and group.size == 1
        self._group, self._share = group, slice(group.rank, None, group.size)
        self.batches = Batches(recipe, seed, device, images, mixed, self._share)
        self._held_out = tuple(torch.from_numpy(array[self._share]).to(device) for array in held_out)
        self.network = BiRNN(recipe.architecture(num_classes))
        self.network.initialise(random_generator(seed, "weights", 0), recipe.head_std)
        self.network.to(device)
        self._learner = group.wrap(self.network)
        weights = self.network.named_weights().items()
        trained = {name: weight for name, weight in weights if weight.requires_grad}
        self._optimizer = Optimizer(recipe, trained)

    def steps(self) -> Iterator[StepResult]:
        """Learn, step by step, from where the training stands to the recipe's end.

        Between two results the training stands still: its weights may be taken. On a GPU, what comes
        before the first of them is in `warm_up_seconds`.

        Raises:
            DivergedError: On a display step, when the loss is no longer finite.
        """
        recipe = self.recipe
        learn = self._recorded() if self._is_recorded else self._learn
        while self.step < recipe.steps:
            self._optimizer.prepare(self.step)
            rows, labels = learn(*self._draw())
            self.step += 1
            batch = None
            if self.step % recipe.display_step == 0:
                batch = self._pooled([self._scores(rows, labels)])
                if not np.isfinite(batch.loss):
                    raise DivergedError(
                        f"the loss is {batch.loss} after step {self.step}, expected a finite number: "
                        f"try a --learning-rate below {recipe.learning_rate:g}"
                    )
            yield StepResult(self.step, self.step * recipe.batch_size, batch)

    def _draw(self) -> tuple[list[Tensor], list[Tensor]]:
        """What sets the next step apart from others: its batch, as drawn, and its dropout masks."""
        masks = dropout_masks(self.recipe, self.seed, self.step, self._share, self.device)
        return self.batches.draw(self.step), masks

    def _learn(self, drawn: Sequence[Tensor], masks: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """One step, on a batch that it returns; asks the device for no value."""
        rows, labels = self.batches.make(drawn)
        self._descend(rows, labels, masks)
        return rows, labels

    def _recorded(self) -> Recorded[tuple[Tensor, Tensor]]:
        """`_learn`, recorded on the GPU."""
        started = time.perf_counter()
        self._optimizer.prepare(self.step)
        state = [*self.network.parameters(), *self._optimizer.averages().values()]
        recorded = Recorded(self._learn, self._draw(), state)
        self.warm_up_seconds = time.perf_counter() - started
        return recorded

    def _descend(self, rows: Tensor, labels: Tensor, masks: Sequence[Tensor]) -> None:
        """One step of the optimiser on the mean cross-entropy of a batch."""
        recipe = self.recipe
        half = recipe.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            logits = self._learner(rows, masks)
            cross_entropy = _cross_entropy if recipe.mix_outliers else nn.functional.cross_entropy
            loss = cross_entropy(logits, labels)
        if self._group.size > 1:  # the processes' gradients are averaged, whatever their shares
            loss = loss * (len(labels) * self._group.size / recipe.batch_size)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()

    def _pooled(self, parts: Sequence[Scores]) -> Scores:
        """The scores on all the images that parts, here and in the group's other processes, are of."""
        n, loss, accuracy = self._group.all_reduce_sum(
            sum(part.n for part in parts),
            sum(part.n * part.loss for part in parts),
            sum(part.n * part.accuracy for part in parts),
        )
        return Scores(int(n), loss / n, accuracy / n)

    @torch.no_grad()
    def _scores(self, rows: Tensor, labels: Tensor) -> Scores:
        """Scores on the images of a batch that have a class."""
        if self.recipe.mix_outliers:
            known = labels != NO_CLASS
            rows, labels = rows[known], labels[known]
        if not len(labels):
            return Scores(0, 0.0, 0.0)
        logits = self.network(rows)
        loss = nn.functional.cross_entropy(logits, labels)
        correct = (logits.argmax(dim=1) == labels).sum()
        return Scores(len(labels), loss.item(), correct.item() / len(labels))

    def validate(self) -> Scores:
        """Scores on the images held out."""
        images, labels = self._held_out
        parts = []
        for start in range(0, len(images), VALIDATION_BATCH_SIZE):
            some = slice(start, start + VALIDATION_BATCH_SIZE)
            parts.append(self._scores(to_rows(images[some]), labels[some]))
        return self._pooled(parts)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The network's arrays, by the names of `Architecture.parameter_shapes`.

        Raises:
            DivergedError: One of them holds a number that is not finite.
        """
        arrays = {name: to_numpy(value) for name, value in self.network.named_weights().items()}
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise DivergedError(
                    f"weights {name} are no longer finite after step {self.step}: "
                    f"try a --learning-rate below {self.recipe.learning_rate:g}"
                )
        return arrays

    def optimizer_state(self) -> dict[str, NDArray[np.float32]]:
        """The optimiser's averages, by the names of their weights."""
        return {name: to_numpy(average) for name, average in self._optimizer.averages().items()}

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
        if step:
            self._optimizer.restore(optimizer_state)


def to_numpy(value: Tensor) -> NDArray[np.float32]:
    """A copy that later steps leave alone."""
    return value.detach().cpu().numpy().copy()


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of logits (batch, classes) and labels (batch,), nats an image.

    The truth about an image of NO_CLASS is that each class is as likely as another.
    """
    classes = torch.arange(logits.shape[1], device=labels.device)
    truth = (labels[:, None] == classes).to(logits.dtype)
    truth = torch.where((labels == NO_CLASS)[:, None], 1 / len(classes), truth)
    return nn.functional.cross_entropy(logits, truth)
