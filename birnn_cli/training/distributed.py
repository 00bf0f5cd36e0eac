"""Several processes that train as one, started by `torchrun`; without it a process is a group of one."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import distributed, nn
from torch.distributed.rendezvous import rendezvous

from birnn_cli.errors import BirnnError, DivergedError, InterruptedRunError, OtherProcessError

# The key under which the group's store keeps the folder of its run.
RUN_FOLDER_KEY = "birnn-run"

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessGroup:
    """Processes that do the same work, each on its part of every batch.

    `rank` is the number of this process, from 0 to `size` - 1; number 0 is the leader, which alone
    prints and writes. `store` is that of `torchrun`, which survives a restart of the processes; None
    without it.
    """

    rank: int = 0
    size: int = 1
    store: distributed.Store | None = None  # type: ignore[name-defined]

    @property
    def is_leader(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0

    def store_run_folder(self, folder: str) -> None:
        """Keep the folder of the run that these processes have begun or resumed."""
        if self.store is not None:
            self.store.set(RUN_FOLDER_KEY, folder)

    def stored_run_folder(self) -> str | None:
        """The folder of the run that they had begun before `torchrun` started them again."""
        if self.store is None or not self.store.check([RUN_FOLDER_KEY]):
            return None
        return str(self.store.get(RUN_FOLDER_KEY).decode())

    def run_on_leader(self, work: Callable[[], T]) -> T:
        """Do some work in the leader alone, and give its result to every process.

        Raises:
            OtherProcessError: It failed in the leader, which reports the error.
        """
        if self.size == 1:
            return work()
        result: list[Any] = [None]
        try:
            if self.is_leader:
                result[0] = (work(),)  # in a tuple, so that None means that it failed
        finally:
            distributed.broadcast_object_list(result)
        if result[0] is None:
            raise OtherProcessError
        return result[0][0]  # type: ignore[no-any-return]

    def run_on_all(self, work: Callable[[], T]) -> T:
        """Do some work in every process; where it fails, the first process that failed reports it.

        Raises:
            OtherProcessError: It failed in another process, which reports the error.
        """
        if self.size == 1:
            return work()
        result, error = None, None
        try:
            result = work()
        except (BirnnError, OSError) as raised:
            error = raised
        failed: list[Any] = [None] * self.size
        distributed.all_gather_object(failed, error is not None)
        if error is not None and self.rank == failed.index(True):
            raise error
        if any(failed):
            raise OtherProcessError
        return result  # type: ignore[return-value]

    def all_reduce_max(self, value: int) -> int:
        """The largest of the numbers that the processes have."""
        if self.size == 1:
            return value
        largest = torch.tensor(value, device=_exchange_device())
        distributed.all_reduce(largest, distributed.ReduceOp.MAX)
        return int(largest)

    def all_reduce_sum(self, *values: float) -> list[float]:
        """The sum over all processes of each value."""
        if self.size == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64, device=_exchange_device())
        distributed.all_reduce(sums)
        return sums.tolist()

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network, with gradients averaged over the processes."""
        return network if self.size == 1 else nn.parallel.DistributedDataParallel(network)


ALONE = ProcessGroup()


def _exchange_device() -> str:
    """The device on which tensors must be to be exchanged between processes."""
    return "cuda" if distributed.get_backend() == "nccl" else "cpu"


def local_device(device: torch.device) -> torch.device:
    """The GPU that `torchrun` gives this process, if training is on GPUs; else the device as it is."""
    if device.type == "cuda" and distributed.is_torchelastic_launched():
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device


@contextmanager
def joined_group(device: str | None) -> Iterator[ProcessGroup]:
    """The group that `torchrun` started this process in, until the end; `device` is that of --device.

    Raises:
        OtherProcessError: Another process of the group ended.
    """
    if not distributed.is_torchelastic_launched():
        yield ALONE
        return
    on_cpu = device == "cpu" or not torch.cuda.is_available()
    if not on_cpu:  # NCCL exchanges Python objects by way of the current GPU
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    store, rank, size = next(rendezvous("env://"))
    # Processes that are started again have the same store: they must not read the old addresses in it.
    start = f"start-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    restart_store = distributed.PrefixStore(start, store)  # type: ignore[attr-defined]
    backend = "gloo" if on_cpu else "nccl"
    distributed.init_process_group(backend, store=restart_store, rank=rank, world_size=size)
    group = ProcessGroup(rank, size, store)
    try:
        yield group
    except (DivergedError, InterruptedRunError):  # raised in all processes at the same step
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
