"""Chunks of work sent to processes and their answers back, in order, in bounded memory."""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from itertools import islice
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Work = Callable[[list[Item]], list[Answer]]

# Each process computes on one core: more threads of these libraries would only wait for each other.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"
)
# The environment is changed while processes start: by one thread at a time.
_environment = threading.Lock()


def usable_cores() -> int:
    """CPU cores that this process may use: a scheduler gives it some of the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(
    work: Work[Item, Answer],
    chunks: Iterable[list[Item]],
    processes: int,
    lost: Callable[[Item], Answer],
) -> Generator[list[Answer]]:
    """Have processes work on chunks, and yield their answers in the order of the chunks.

    A chunk is taken when an answer is: at most two a process are under way. The processes are new ones
    ("spawn"), so they import the caller's main module; they end when the iterator is closed or the
    caller's process ends, whatever ends it. No signal handler is installed: any thread may call this.

    A process that dies takes all chunks under way with it. Their items are worked on again, one at a
    time in a process of their own, so that the item at fault is found and all others are answered.

    Args:
        work: Gives an answer for each item; called in the processes, with an empty list to begin with.
        chunks: Lists of items. Work, items and answers are pickled.
        processes: How many, 1 or more.
        lost: Gives the answer for an item on which a process died.

    Raises:
        OSError: Processes die before they do any work.
        Exception: What `work` raised, as it was raised.
    """
    chunks, pool = iter(chunks), _Pool(work, processes)
    pending: deque[tuple[_Pool[Item, Answer], list[Item], Future[list[Answer]]]] = deque()
    try:
        while True:
            for chunk in islice(chunks, 2 * processes - len(pending)):
                pending.append((pool, chunk, pool.submit(chunk)))
            if not pending:
                return
            asked, chunk, future = pending.popleft()
            try:
                answers = future.result()
            except BrokenProcessPool:
                answers = _one_by_one(work, chunk, lost)
                if asked is pool:
                    pool.close()
                    pool = _Pool(work, processes)
            yield answers
    finally:
        pool.close()


def _one_by_one(
    work: Work[Item, Answer], items: list[Item], lost: Callable[[Item], Answer]
) -> list[Answer]:
    """The answer for each item; `lost` gives it where the process dies once more."""
    answers: list[Answer] = []
    waiting = deque(items)
    while waiting:
        with closing(_Pool(work, 1)) as pool:
            try:
                pool.submit([]).result()
            except BrokenProcessPool:
                raise OSError(
                    "the processes that should share the work end as soon as they start: take one job"
                ) from None
            try:
                while waiting:
                    answers += pool.submit([waiting[0]]).result()
                    waiting.popleft()
            except BrokenProcessPool:
                answers.append(lost(waiting.popleft()))
    return answers


class _Pool(Generic[Item, Answer]):
    """An executor whose processes start at once, and end at once when it is closed."""

    def __init__(self, work: Work[Item, Answer], processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        # Nothing is ever sent: the processes wait for the sender to be closed.
        self._alive, self._sender = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(processes, context, _begin, (work, self._alive))
        with _inherited():
            for _ in range(processes):  # the executor starts a process when it has work for one
                self.submit([])

    def submit(self, chunk: list[Item]) -> "Future[list[Answer]]":
        """The answers to a chunk, later; BrokenProcessPool where a process died."""
        try:
            return self._executor.submit(_work, chunk)
        except BrokenProcessPool as error:
            future: Future[list[Answer]] = Future()
            future.set_exception(error)
            return future

    def close(self) -> None:
        self._sender.close()
        self._executor.shutdown(cancel_futures=True)
        self._alive.close()


@contextmanager
def _inherited() -> Iterator[None]:
    """Let processes that start within inherit one thread for each library, and no Ctrl-C.

    A terminal sends Ctrl-C to all of them; it is the caller who ends the others. Blocked in this thread
    only and for some milliseconds, a Ctrl-C that comes meanwhile is not lost.
    """
    with _environment:
        before = {name: os.environ.get(name) for name in ONE_THREAD}
        if sys.platform != "win32":
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        os.environ.update(ONE_THREAD)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
            if sys.platform != "win32":
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)


_state: dict[str, Any] = {}  # in a process of the pool: what it does for every chunk


def _begin(work: Work[Any, Any], alive: Any) -> None:
    """Get a new process ready, and have it end when the caller closes the pool, or ends itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def end_with_the_caller() -> None:
        wait([alive])
        os._exit(1)

    threading.Thread(target=end_with_the_caller, daemon=True).start()
    _state["work"] = work


def _work(chunk: list[Any]) -> list[Any]:
    answers: list[Any] = _state["work"](chunk)
    return answers
