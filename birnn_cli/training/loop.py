"""Learning: a generator of typed step results. No files, no printing.

What a step computes depends on the weights, the optimizer's averages and (seed, step), on nothing else:
so a run that is resumed is the same run, and a validation in the middle changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from birnn_cli.data.outliers import NO_CLASS
from birnn_cli.errors import DivergedError
from birnn_cli.network.rows import to_rows
from birnn_cli.network.torch_engine import BiRNN
from birnn_cli.runs.checkpoint import Arrays
from birnn_cli.runs.recipes import Recipe
from birnn_cli.training.batches import Batches, LabelledImages, random_generator
from birnn_cli.training.device import configure_torch
from birnn_cli.training.distributed import ALONE, ProcessGroup
from birnn_cli.training.optimizers import Optimizer
from birnn_cli.training.threads import Threads, default_threads, torch_threads

# Images in one pass of validation: enough to be efficient, few enough for any device's memory.
VALIDATION_BATCH_SIZE = 1000


@dataclass(frozen=True)
class Scores:
    """How a network does on some images: `loss` in nats per image, `accuracy` in 0 to 1."""

    n: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class StepResult:
    """What is known after a step: its number, from 1, and the images seen, `samples`.

    On display steps `batch` has the scores of the network after the step on the step's own batch;
    `validation`, when measured, has those on the validation images.
    """

    step: int
    samples: int
    batch: Scores | None
    validation: Scores | None = None


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """A finished run, as `birnn train --json` prints it (units: seconds, nats per image, 0 to 1)."""

    recipe: str
    dataset: str
    seed: int
    device: str
    steps: int
    samples: int
    first_step: int
    train_seconds: float
    samples_per_second: float
    parameters: int
    run: str
    checkpoint: str
    final: Mapping[str, float] | None
    validation: Mapping[str, float] | None


def dropout_masks(
    recipe: Recipe, seed: int, step: int, process_slice: slice, device: torch.device
) -> list[Tensor]:
    """The masks that layers' outputs are multiplied by for dropout; an empty list without dropout.

    Each mask is (n, 2 hidden) float32, 0 or 1 / (1 - dropout). The same units are dropped at every row
    (Gal and Ghahramani 2016). Masks are drawn for the whole batch, so that a process's part of it is the
    same however many processes there are.
    """
    if not recipe.dropout:
        return []
    generator, kept = random_generator(seed, "dropout", step + 1, device), 1 - recipe.dropout
    masks = torch.empty(recipe.batch_size, 2 * recipe.hidden_size, device=device)
    return [
        masks.bernoulli(kept, generator=generator)[process_slice] / kept
        for _ in range(recipe.layers - 1)
    ]


class TrainingLoop:
    """A network that learns, with all that it takes to resume later.

    The recipe's precision must be one that the device has (see `device.resolve_precision`). Images, also
    those to validate on, are (n, 28, 28) uint8 with labels (n,) int64 in [0, num_classes), and move to
    the device once. `mixed` is what else is in every batch (see `Batches`); images of the label NO_CLASS
    are to get even probabilities. The processes of `group` share every batch, and compute as one would.
    `seed`, `deterministic` and `threads` are those of `RunConfig`.
    """

    def __init__(
        self,
        recipe: Recipe,
        num_classes: int,
        seed: int,
        device: torch.device,
        images: LabelledImages,
        validation_images: LabelledImages,
        mixed: Sequence[tuple[str, float, LabelledImages]] = (),
        group: ProcessGroup = ALONE,
        deterministic: bool = False,
        threads: int = 0,
    ) -> None:
        configure_torch(device, tf32=recipe.precision == "tf32", deterministic=deterministic)
        self.recipe, self.seed, self.device, self.step = recipe, seed, device, 0
        self.group = group
        self.threads = threads or default_threads()
        shared = device.type == "cpu" and group.size == 1  # others leave their threads to torch
        self._threads = Threads(self.threads if shared else 1)
        self._torch_threads = 1 if shared else self.threads
        self._slice = slice(group.rank, None, group.size)  # of every batch, and of the validation images
        self.batches = Batches(recipe, seed, device, images, mixed, self._slice)
        self._validation = [torch.from_numpy(each[self._slice]).to(device) for each in validation_images]
        self.network = BiRNN(recipe.architecture(num_classes))
        self.network.initialise(random_generator(seed, "weights", 0), recipe.head_std)
        self.network.to(device)
        self._parallel_network = group.parallel(self.network)
        weights = self.network.named_weights().items()
        trained = {name: weight for name, weight in weights if weight.requires_grad}
        self._trained = list(trained.values())
        self._optimizer = Optimizer(recipe, trained, self._threads)

    def steps(self) -> Iterator[StepResult]:
        """Learn, step by step, from where the training stands to the recipe's end.

        Between two results nothing changes: weights and averages may be read.

        Raises:
            DivergedError: On a display step, where the loss is no longer finite.
        """
        recipe = self.recipe
        while self.step < recipe.steps:
            with torch_threads(self._torch_threads):
                rows, labels = self.batches.batch(self.step)
                self._learn(rows, labels)
                self.step += 1
                batch = None
                if self.step % recipe.display_step == 0:
                    batch = self._scores(self._score, self._parts(rows, labels))
            yield StepResult(self.step, self.step * recipe.batch_size, batch)

    def _parts(self, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
        """Tensors of a batch, split into the threads' parts."""
        size = self._threads.part_size(len(tensors[0]))
        return list(zip(*(torch.split(tensor, size) for tensor in tensors), strict=True))

    def _learn(self, rows: Tensor, labels: Tensor) -> None:
        """One step of the optimizer on the mean cross-entropy of a batch."""
        masks = dropout_masks(self.recipe, self.seed, self.step, self._slice, self.device)
        self.network.zero_grad()
        parts = self._parts(rows, labels, *masks)
        if len(parts) == 1:
            self._loss(*parts[0]).backward()  # type: ignore[no-untyped-call]
        else:
            gradients = self._threads.map(self._gradients, parts)
            for weight, *each in zip(self._trained, *gradients, strict=True):
                weight.grad = sum(each[1:], start=each[0])  # in their order: the same bits every time
        self._optimizer.step(self.step)

    def _gradients(self, *part: Tensor) -> tuple[Tensor, ...]:
        """The gradients of a part of a batch."""
        return torch.autograd.grad(self._loss(*part), self._trained)

    def _loss(self, rows: Tensor, labels: Tensor, *masks: Tensor) -> Tensor:
        """What a part of a batch adds to the batch's mean cross-entropy, in nats per image.

        Over the processes of a group gradients are averaged, however many images each of them has.
        """
        recipe = self.recipe
        uses_bfloat16 = recipe.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=uses_bfloat16):
            logits = self._parallel_network(rows, masks)
            if recipe.mix_outliers:
                loss = cross_entropy_with_outliers(logits, labels)
            else:
                loss = nn.functional.cross_entropy(logits, labels)
        return loss * (len(labels) * self.group.size / recipe.batch_size)

    def _scores(
        self, work: Callable[..., tuple[int, float, float]], parts: Iterable[tuple[Any, ...]]
    ) -> Scores:
        """Scores on all parts together, those of the group's other processes included.

        `work` gives of a part what `_score` returns.

        Raises:
            DivergedError: The loss is no longer finite.
        """
        scores = self._threads.map(work, parts)
        total, loss, correct = self.group.all_reduce_sum(*map(sum, zip(*scores, strict=True)))
        if not np.isfinite(loss):
            raise DivergedError(
                f"the loss is {loss} after step {self.step}, expected a finite number: "
                f"try a --learning-rate below {self.recipe.learning_rate:g}"
            )
        return Scores(int(total), loss / total, correct / total)

    @torch.no_grad()
    def _score(self, rows: Tensor, labels: Tensor) -> tuple[int, float, float]:
        """How many images have a class, the sum of their losses in nats, and how many are right."""
        if self.recipe.mix_outliers:
            known = labels != NO_CLASS
            rows, labels = rows[known], labels[known]
        if not (n := len(labels)):
            return 0, 0.0, 0.0
        logits = self.network(rows)
        loss = nn.functional.cross_entropy(logits, labels).item()
        return n, n * loss, (logits.argmax(dim=1) == labels).sum().item()

    def validate(self) -> Scores:
        """Scores on the validation images; a DivergedError where the loss is no longer finite."""
        images, labels = self._validation
        # One part at least: a process of a group may have no image, and adds its sums all the same.
        starts = range(0, max(1, len(images)), VALIDATION_BATCH_SIZE)
        parts = ((slice(start, start + VALIDATION_BATCH_SIZE),) for start in starts)
        with torch_threads(self._torch_threads):
            return self._scores(lambda part: self._score(to_rows(images[part]), labels[part]), parts)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Copies of the network's arrays, by the names of `Architecture.parameter_shapes`.

        Raises:
            DivergedError: One of them holds a number that is not finite.
        """
        arrays = _copied(self.network.named_weights())
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise DivergedError(
                    f"weights {name} are no longer finite after step {self.step}: "
                    f"try a --learning-rate below {self.recipe.learning_rate:g}"
                )
        return arrays

    def optimizer_state(self) -> dict[str, NDArray[np.float32]]:
        """Copies of the optimizer's averages, by the names of their weights."""
        return _copied(self._optimizer.averages)

    def restore(self, step: int, weights: Arrays, optimizer_state: Arrays) -> None:
        """Continue from a step, with the weights and the optimizer's averages of then.

        Raises:
            CheckpointError: The optimizer's state is not that of this network.
        """
        self.step = step
        self.network.load_weights(weights)
        if step:
            self._optimizer.restore(optimizer_state)


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    """Copies of tensors as arrays, which later steps do not change."""
    return {name: value.detach().cpu().numpy().copy() for name, value in tensors.items()}


def cross_entropy_with_outliers(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy in nats per image; the target of a label NO_CLASS is every class alike."""
    classes = torch.arange(logits.shape[1], device=labels.device)
    targets = (labels[:, None] == classes).to(logits.dtype)
    targets = torch.where((labels == NO_CLASS)[:, None], 1 / len(classes), targets)
    return nn.functional.cross_entropy(logits, targets)
