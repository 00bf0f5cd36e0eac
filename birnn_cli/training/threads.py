"""Threads that share a step: each computes its own part of the batch, on its own core.

torch's own threads wait for each other within every operation, hundreds of times in a step: beside other
programs they then mostly wait. These meet once in a step, and what no other thread has begun by the time
that the calling one is done, it computes itself: so they are never much slower than one thread.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from birnn_cli.cores import SET_BY_USER, usable_cores

Result = TypeVar("Result")

# Images of a batch that are worth a thread: fewer are computed less efficiently than they are shared.
MIN_IMAGES = 32


def default_threads() -> int:
    """How many threads a training computes on unless it is told: torch's number, within the quota.

    What the environment sets for torch, or `torch.set_num_threads`, stands.
    """
    own = torch.get_num_threads()
    return own if any(name in os.environ for name in SET_BY_USER) else min(own, usable_cores())


class Threads:
    """So many threads, the calling one among them."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._others = ThreadPoolExecutor(number - 1) if number > 1 else None

    def part_size(self, images: int) -> int:
        """How many of a batch's images are one thread's part."""
        return -(-images // max(1, min(self.number, images // MIN_IMAGES)))

    def map(self, work: Callable[..., Result], calls: Iterable[tuple[Any, ...]]) -> list[Result]:
        """What `work` gives for each call's arguments, in order; any thread may make any of the calls.

        torch's modes, such as `no_grad`, are each thread's own: `work` has to set them.
        """
        first, *rest = calls
        if self._others is None:
            return [work(*call) for call in (first, *rest)]
        futures = [self._others.submit(work, *call) for call in rest]
        results = [work(*first)]
        own = {k: work(*rest[k]) for k in reversed(range(len(rest))) if futures[k].cancel()}
        return results + [own[k] if k in own else future.result() for k, future in enumerate(futures)]


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Have torch compute each operation on so many threads of its own, as long as this lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
