"""Chunks of work to processes and back, in order, in bounded memory."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import TypeVar

Chunk = TypeVar("Chunk")
Answer = TypeVar("Answer")

# Each process computes on one core: more threads of these libraries would only wait for each other.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"
)


def usable_cores() -> int:
    """CPU cores that this process may use: a scheduler gives it some of the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(
    work: Callable[[Chunk], Answer], chunks: Iterable[Chunk], processes: int
) -> Generator[Answer]:
    """What a function answers to each chunk, computed by so many processes, in the chunks' order.

    Chunks are taken as answers are: two a process are under way. The processes are new ones, which
    import the caller's main module, and end when the iterator is closed, or the caller dies. For the
    main thread alone: it is the one that may ignore signals.

    Args:
        work: Called in the processes; it, chunks and answers are pickled.
        chunks: What to call it with.
        processes: How many, 1 or more.

    Raises:
        OSError: A process died.
    """
    context = multiprocessing.get_context("spawn")
    idle: SimpleQueue[Connection] = SimpleQueue()
    started = []

    def ask(chunk: Chunk) -> Answer:
        connection = idle.get()
        try:
            connection.send(chunk)
            answer: Answer = connection.recv()
        finally:
            idle.put(connection)  # that of a process that died too, for the next to fail as well
        return answer

    try:
        with _undisturbed():
            for _ in range(processes):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs, work), daemon=True)
                process.start()
                theirs.close()
                started.append(process)
                idle.put(ours)
        with ThreadPoolExecutor(processes) as threads:  # each waits for the answer of a process
            try:
                pending: deque[Future[Answer]] = deque()
                for chunk in chunks:
                    pending.append(threads.submit(ask, chunk))
                    if len(pending) == 2 * processes:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            except (EOFError, ConnectionError):
                raise OSError(
                    "a reading process died, perhaps of too little memory: try fewer --jobs"
                ) from None
            finally:
                threads.shutdown(wait=False, cancel_futures=True)
                for process in started:
                    process.kill()
    finally:
        for process in started:
            process.kill()
            process.join()


def _serve(connection: Connection, work: Callable[[Chunk], Answer]) -> None:
    """Answer chunk after chunk until nobody asks any more."""
    while True:
        try:
            connection.send(work(connection.recv()))
        except (EOFError, ConnectionError):
            return


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Processes started within compute on one thread each, and leave Ctrl-C to this one.

    A signal that is ignored here is ignored there from the first moment on; one that comes meanwhile, in
    some hundredths of a second, is lost.
    """
    variables = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        for name, value in variables.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
