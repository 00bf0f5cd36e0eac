"""The batches of a training: which images step k sees, in which order, and how they are changed.

All of it is a function of (seed, purpose, number), never of a state: a training that goes on at step k
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
from birnn_cli.training.device import move

Labelled = tuple[NDArray[np.uint8], NDArray[np.int64]]


def random_generator(
    seed: int, purpose: str, number: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A generator that depends on nothing but its arguments, one for each use of randomness."""
    words = [seed, number, *purpose.encode()]
    state = np.random.SeedSequence(words).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0]))


class Batches:
    """Images in the device's memory, and the batch of every step.

    Args:
        recipe: Its batch size and augmentation.
        seed: Fixes order and changes.
        device: Where the images move, once.
        images: Images (n, 28, 28) uint8 and their labels (n,) int64.
        mixed: What else is in every batch: a name, its share of a batch, and images and labels of the
            same kinds.
        share: Which images of every batch are wanted, as `rank::size`.
    """

    def __init__(
        self,
        recipe: Recipe,
        seed: int,
        device: torch.device,
        images: Labelled,
        mixed: Sequence[tuple[str, float, Labelled]] = (),
        share: slice = slice(0, None, 1),
    ) -> None:
        self._seed, self._strength, self._total = seed, recipe.augment, recipe.batch_size
        self._device, self._share = device, share
        sizes = [round(share * recipe.batch_size) for _, share, _ in mixed]
        self._sources = [_Source("order", recipe.batch_size - sum(sizes), seed, device, images)]
        for (name, _, own), size in zip(mixed, sizes, strict=True):
            if size:
                self._sources.append(_Source(name, size, seed, device, own))

    def draw(self, step: int) -> list[Tensor]:
        """What sets the batch of a step apart from others: `make` makes it from that.

        Args:
            step: Steps done before it.

        Returns:
            On the device, of the same shapes for every step: which images of each source, int64, and
            their `Changes`, if they are to be changed.
        """
        drawn, place = [], 0
        for source in self._sources:
            # Where in this source the strided share of the whole batch begins.
            first = (self._share.start - place) % self._share.step
            drawn.append(source.choose(step, slice(first, None, self._share.step)))
            place += source.size
        if self._strength:
            generator = random_generator(self._seed, "augment", step)
            changes = augment.draw(self._total, self._strength, generator, self._share)
            drawn += (move(tensor, self._device) for tensor in changes)
        return drawn

    def make(self, drawn: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The batch that was drawn, computed on the device alone.

        Returns:
            Rows (share, 28, 28) float32 in [0, 1] and labels (share,) int64.
        """
        chosen = list(zip(self._sources, drawn, strict=False))
        rows = to_rows(torch.cat([source.images[which] for source, which in chosen]))
        if self._strength:
            rows = augment.augment(rows, augment.Changes(*drawn[len(chosen) :]))
        return rows, torch.cat([source.labels[which] for source, which in chosen])


class _Source:
    """An endless sequence of shuffles of some images, so many of it each step."""

    def __init__(
        self, purpose: str, size: int, seed: int, device: torch.device, images: Labelled
    ) -> None:
        self._purpose, self.size, self._seed, self._device = purpose, size, seed, device
        self.images, self.labels = (torch.from_numpy(array).to(device) for array in images)
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def choose(self, step: int, share: slice) -> Tensor:
        """Numbers (share,) of the images that a step sees, int64, of the `size` that it has.

        A batch across the end of a shuffle takes the rest of it and then the start of the next, so
        that no batch is short.
        """
        start, end, total, parts = step * self.size, (step + 1) * self.size, len(self.images), []
        while start < end:
            number, place = divmod(start, total)
            parts.append(self._shuffle(number)[place : place + end - start])
            start += len(parts[-1])
        return torch.cat(parts)[share]

    def _shuffle(self, number: int) -> Tensor:
        """Order of the images in their pass of this number: shape (n,), int64, on the device."""
        if self._order[0] != number:
            generator = random_generator(self._seed, self._purpose, number)
            order = torch.randperm(len(self.images), generator=generator)
            self._order = (number, move(order, self._device))
        return self._order[1]
