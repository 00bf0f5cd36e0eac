"""The batches of a training: which images step k sees, in which order, and how they are augmented.

All of it is a function of (seed, purpose, number), never of a state: a training that resumes at step k
sees what it would have seen.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from birnn_cli.network.rows import to_rows
from birnn_cli.runs.recipes import Recipe
from birnn_cli.training import augment
from birnn_cli.training.device import copy_to_device

LabelledImages = tuple[NDArray[np.uint8], NDArray[np.int64]]


def random_generator(
    seed: int, purpose: str, number: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A generator that depends on its arguments alone; each use of randomness has its own purpose."""
    words = [seed, number, *purpose.encode()]
    state = np.random.SeedSequence(words).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0]))


class Batches:
    """Images in the device's memory, and the batch of every step.

    The batch size and the augmentation are the recipe's; `seed` fixes order and augmentation. Images are
    (n, 28, 28) uint8 with labels (n,) int64, and move to the device once. `mixed` is what else is in
    every batch: a name, its fraction of the batch, images and labels of the same kinds. `process_slice`,
    as `rank::size`, says which images of every batch this process computes.
    """

    def __init__(
        self,
        recipe: Recipe,
        seed: int,
        device: torch.device,
        images: LabelledImages,
        mixed: Sequence[tuple[str, float, LabelledImages]] = (),
        process_slice: slice = slice(0, None, 1),
    ) -> None:
        self._seed, self._strength, self._batch_size = seed, recipe.augment, recipe.batch_size
        self._device, self._slice = device, process_slice
        sizes = [round(fraction * recipe.batch_size) for _, fraction, _ in mixed]
        self._sources = [_Source("order", recipe.batch_size - sum(sizes), seed, device, images)]
        for (name, _, own), size in zip(mixed, sizes, strict=True):
            if size:
                self._sources.append(_Source(name, size, seed, device, own))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """This process's part of a batch: rows (n, 28, 28) float32 in [0, 1] and labels (n,) int64.

        `step` counts the steps done before; rows and labels are on the device.
        """
        parts = [source.part(step) for source in self._sources]
        images, labels = (torch.cat(each)[self._slice] for each in zip(*parts, strict=True))
        rows = to_rows(images)
        if self._strength:
            generator = random_generator(self._seed, "augment", step)
            changes = augment.draw(self._batch_size, self._strength, generator, self._slice)
            moved = (copy_to_device(tensor, self._device) for tensor in changes)
            rows = augment.augment(rows, augment.Changes(*moved))
        return rows, labels


class _Source:
    """An endless sequence of shuffles of some images, of which each step takes the next `size`."""

    def __init__(
        self, purpose: str, size: int, seed: int, device: torch.device, images: LabelledImages
    ) -> None:
        self._purpose, self._size, self._seed, self._device = purpose, size, seed, device
        self._images, self._labels = (torch.from_numpy(array).to(device) for array in images)
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def part(self, step: int) -> tuple[Tensor, Tensor]:
        """The images (size, 28, 28) uint8 of a step, and their labels (size,) int64.

        A batch across the end of a shuffle takes the rest of it and then the start of the next, so
        that no batch is short.
        """
        start, end, chosen = step * self._size, (step + 1) * self._size, []
        while start < end:
            epoch, place = divmod(start, len(self._images))
            chosen.append(self._shuffle(epoch)[place : place + end - start])
            start += len(chosen[-1])
        indices = torch.cat(chosen)
        return self._images[indices], self._labels[indices]

    def _shuffle(self, epoch: int) -> Tensor:
        """The order of the images in an epoch: shape (n,), int64, on the device."""
        if self._order[0] != epoch:
            generator = random_generator(self._seed, self._purpose, epoch)
            order = torch.randperm(len(self._images), generator=generator)
            self._order = (epoch, copy_to_device(order, self._device))
        return self._order[1]
