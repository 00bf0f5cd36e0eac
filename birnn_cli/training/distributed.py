"""Several processes that work as one, under `torchrun`; alone, a process is a group of one.

Torch is imported where there is a group: reading alone needs none.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from birnn_cli.errors import BirnnError, DivergedError, InterruptedRunError, OtherProcessError

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.distributed import Store  # type: ignore[attr-defined]

RUN = "birnn-run"

T = TypeVar("T")
Lock = TypeVar("Lock")


@dataclass(frozen=True)
class Group:
    """Processes that do the same work on shares of every batch.

    Attributes:
        rank: Which of them this one is, from 0: the first leads, and alone prints and writes.
        size: How many there are.
        store: What outlives them, should `torchrun` start them again.
    """

    rank: int = 0
    size: int = 1
    store: "Store | None" = None

    @property
    def is_leader(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0

    def store_run_folder(self, run: str) -> None:
        """Note the run that these processes have taken up."""
        if self.store is not None:
            self.store.set(RUN, run)

    def stored_run_folder(self) -> str | None:
        """The run that they had taken up before they were started again."""
        if self.store is None or not self.store.check([RUN]):
            return None
        return self.store.get(RUN).decode()

    def run_on_leader(self, work: Callable[[], tuple[T, Lock]]) -> tuple[T, Lock | None]:
        """Have the leader alone do some work; its result goes to all, what it holds stays with it.

        Raises:
            OtherProcessError: The leader failed, and says why.
        """
        if self.size == 1:
            return work()
        from torch import distributed

        told: list[Any] = [None]
        held = None
        try:
            if self.is_leader:
                told[0], held = work()
        finally:
            distributed.broadcast_object_list(told)
        if told[0] is None:
            raise OtherProcessError
        return told[0], held

    def run_on_all(self, work: Callable[[], T]) -> T:
        """Do some work in every process; where it fails in some, the first of them says why.

        Raises:
            OtherProcessError: It failed in another process that says why.
        """
        if self.size == 1:
            return work()
        result, error = None, None
        try:
            result = work()
        except (BirnnError, OSError) as own:
            error = own
        failed = self.all_gather(error is not None)
        if error is not None and self.rank == failed.index(True):
            raise error
        if any(failed):
            raise OtherProcessError
        return result  # type: ignore[return-value]

    def all_reduce_max(self, *values: int) -> int:
        """The largest number that any process has, 0 where none has one."""
        own = max(values, default=0)
        if self.size == 1:
            return own
        import torch
        from torch import distributed

        largest = torch.tensor(own, device=_device())
        distributed.all_reduce(largest, distributed.ReduceOp.MAX)
        return int(largest)

    def all_reduce_sum(self, *values: float) -> list[float]:
        """The sum over all processes of each value."""
        if self.size == 1:
            return list(values)
        import torch
        from torch import distributed

        sums = torch.tensor(values, dtype=torch.float64, device=_device())
        distributed.all_reduce(sums)
        return sums.tolist()

    def all_gather(self, value: T) -> list[T]:
        """The value of every process, in the order of their ranks."""
        if self.size == 1:
            return [value]
        from torch import distributed

        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def wrap(self, network: "nn.Module") -> "nn.Module":
        """The network, its gradients averaged over the processes."""
        if self.size == 1:
            return network
        from torch import nn

        return nn.parallel.DistributedDataParallel(network)


ALONE = Group()


def _device() -> str:
    """Where what is exchanged has to be."""
    from torch import distributed

    return "cuda" if distributed.get_backend() == "nccl" else "cpu"


def is_launched() -> bool:
    """Whether `torchrun` started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def leave(code: int) -> NoReturn:
    """End a process of a group at once, its output written.

    Python's own way out would now and then end in an abort: Gloo's threads, which may still hold tensors
    of the last exchange, are stopped while they wait for the interpreter.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def local_device(device: "torch.device") -> "torch.device":
    """The GPU that belongs to this process of its machine, where the group computes on GPUs."""
    if device.type != "cuda" or not is_launched():
        return device
    import torch

    return torch.device("cuda", int(os.environ["LOCAL_RANK"]))


@contextmanager
def _stdout_kept_clean() -> Iterator[None]:
    """Gloo of torch 2.10 says on stdout that it is connected: stderr is for that."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)


@contextmanager
def joined(device: str | None) -> Iterator[Group]:
    """The group that `torchrun` started this process in.

    Args:
        device: As `birnn train --device` has it.

    Raises:
        OtherProcessError: Another process of the group ended.
    """
    if not is_launched():
        yield ALONE
        return
    import torch
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    on_cpu = device == "cpu" or not torch.cuda.is_available()
    if not on_cpu:  # where NCCL exchanges what is no tensor
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    store, rank, size = next(rendezvous("env://"))
    # Started again, the processes have the same store: they must not read each other's old addresses.
    start = f"start-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    own = distributed.PrefixStore(start, store)  # type: ignore[attr-defined]
    backend = "gloo" if on_cpu else "nccl"
    with _stdout_kept_clean():
        distributed.init_process_group(backend, store=own, rank=rank, world_size=size)
    group = Group(rank, size, store)
    try:
        yield group
    except (DivergedError, InterruptedRunError):  # in all of them at the same step
        if group.is_leader:
            raise
        raise OtherProcessError from None
    except RuntimeError as error:
        # Gloo raises a plain RuntimeError when a process it talks to is gone.
        if isinstance(error, distributed.DistError) or "gloo" in str(error):
            raise OtherProcessError from None
        raise
    finally:
        distributed.destroy_process_group()
