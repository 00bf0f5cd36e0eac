"""Chunks of work shared among processes: answers in the order of the chunks, in bounded memory."""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from itertools import islice
from multiprocessing.connection import wait
from typing import Any, TypeVar

from birnn_cli.cores import limit_reading_threads

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def in_order(
    work: Callable[[list[Item]], list[Answer]],
    chunks: Iterable[list[Item]],
    processes: int,
    lost: Callable[[Item], Answer],
) -> Generator[list[Answer]]:
    """Have processes work on chunks, and yield their answers in the order of the chunks.

    `work` gives an answer for each item of a chunk; it, items and answers are pickled. Chunks are taken
    as answers are: two per process are under way. The processes, 1 or more, are new ones ("spawn"),
    which import the caller's main module; they end when the iterator is closed or the caller's process
    ends, however it does. No signal handler is installed, and any thread may call this. When a process
    dies, the pool is made anew and the next chunk is worked on item by item, to find the item that
    kills: `lost` gives the answer for it.

    Raises:
        OSError: Processes die before they do any work.
        Exception: What `work`, or loading it, raised.
    """
    chunks, pickled = iter(chunks), pickle.dumps(work)
    pool = _Pool(pickled, processes)
    pending: deque[tuple[list[Item], Future[list[Answer]]]] = deque()
    try:
        while True:
            for chunk in islice(chunks, 2 * processes - len(pending)):
                pending.append((chunk, pool.send(chunk)))
            if not pending:
                return
            chunk, future = pending.popleft()
            try:
                answers = future.result()
            except BrokenProcessPool:
                answers = _one_by_one(pickled, chunk, lost)
                pool.close()
                pool = _Pool(pickled, processes)
                pending = deque((each, pool.send(each)) for each, _ in pending)
            yield answers
    finally:
        pool.close()


def _one_by_one(pickled: bytes, items: list[Item], lost: Callable[[Item], Answer]) -> list[Answer]:
    """The answer for each item; `lost` gives it where a process dies on it."""
    answers: list[Answer] = []
    while len(answers) < len(items):
        with closing(_Pool(pickled, 1)) as pool:
            try:
                pool.send([]).result()
            except BrokenProcessPool:
                raise OSError("processes that share the work die as they start: take 1 job") from None
            try:
                for item in items[len(answers) :]:
                    answers += pool.send([item]).result()
            except BrokenProcessPool:
                answers.append(lost(items[len(answers)]))
    return answers


class _Pool(ProcessPoolExecutor):
    """An executor whose processes end at once when it is closed, or when its own process ends."""

    def __init__(self, pickled: bytes, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        # Nothing is ever sent: the processes wait for the sender to be closed.
        receiver, self._sender = context.Pipe(duplex=False)
        super().__init__(processes, context, _begin, (pickled, receiver))

    def send(self, chunk: list[Any]) -> "Future[list[Any]]":
        """The answers to a chunk, later; this starts a process where there is work for one more."""
        if sys.platform != "win32":  # a process inherits that Ctrl-C is blocked: the caller ends it
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self.submit(_work, chunk)
        except BrokenProcessPool as error:
            future: Future[list[Any]] = Future()
            future.set_exception(error)
            return future
        finally:
            if sys.platform != "win32":  # one that came in the meantime comes through now
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def close(self) -> None:
        """End the processes, whatever they are at."""
        self._sender.close()
        self.shutdown(cancel_futures=True)


_state: dict[str, Any] = {}  # in a process of a pool: its work, pickled and loaded


def _begin(pickled: bytes, receiver: Any) -> None:
    """Get a new process ready: one thread, no Ctrl-C, an end when the pool is closed."""
    limit_reading_threads(1)  # NumPy and OpenCV load with the work
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def end_with_the_pool() -> None:
        wait([receiver])
        os._exit(1)

    threading.Thread(target=end_with_the_pool, daemon=True).start()
    _state["pickled"] = pickled


def _work(chunk: list[Any]) -> list[Any]:
    if "work" not in _state:  # not in `_begin`, where an exception would only be seen as a dead process
        _state["work"] = pickle.loads(_state["pickled"])
    answers: list[Any] = _state["work"](chunk) if chunk else []
    return answers
