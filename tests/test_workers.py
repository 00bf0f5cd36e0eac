"""Processes that share work: answers in order, in bounded memory, ended at once, faults named."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import pytest

from birnn_cli.workers import in_order

# What the processes do; they import it from its file.
WORK = """
import os
import signal
import time


def wait(seconds):
    time.sleep(sum(seconds))
    return seconds


def square(numbers):
    for number in numbers:
        if number == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == -1:
            raise ValueError("minus one")
    return [number**2 for number in numbers]


def threads(numbers):
    return [os.environ["OMP_NUM_THREADS"] for _ in numbers]


def process(numbers):
    return [os.getpid() for _ in numbers]


class Unloadable:
    def __call__(self, numbers):
        return numbers

    def __setstate__(self, state):
        raise MemoryError("no memory for the work")

    def __getstate__(self):
        return {"any": 1}


def lost(number):
    return f"{number} was lost"
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "work_of_processes.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "work_of_processes", raising=False)
    import work_of_processes  # type: ignore[import-not-found]

    return work_of_processes  # type: ignore[no-any-return]


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # One that has ended and has not been asked after is still there, as a zombie.
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_answers_come_in_the_order_of_their_chunks_whoever_is_done_first(work: ModuleType) -> None:
    waits = [[0.3], [0.01], [0.2], [], [0.1], [0.02]]
    assert list(in_order(work.wait, waits, 3, work.lost)) == waits


def test_chunks_are_taken_only_as_answers_are(work: ModuleType) -> None:
    taken: list[int] = []

    def chunks() -> object:
        for number in range(10_000):
            taken.append(number)
            yield [number]

    answers = in_order(work.square, chunks(), 2, work.lost)  # type: ignore[arg-type]
    assert next(answers) == [0]
    answers.close()
    assert len(taken) <= 4


def test_a_process_that_dies_loses_the_item_at_fault_alone(work: ModuleType) -> None:
    chunks = [[number, number + 1] for number in range(0, 40, 2)]
    answers = [answer for chunk in in_order(work.square, chunks, 2, work.lost) for answer in chunk]
    assert answers == [f"{n} was lost" if n == 13 else n**2 for n in range(40)]


def test_an_exception_of_the_work_is_raised_as_it_is(work: ModuleType) -> None:
    answers = in_order(work.square, [[1], [2, -1], [3]], 2, work.lost)
    assert next(answers) == [1]
    with pytest.raises(ValueError, match="minus one"):
        next(answers)


def test_an_exception_as_the_work_is_loaded_is_raised_as_it_is(work: ModuleType) -> None:
    with pytest.raises(MemoryError, match="no memory for the work"):
        list(in_order(work.Unloadable(), [[1], [2]], 2, work.lost))


def test_processes_that_cannot_begin_are_an_error_and_no_hang(tmp_path: Path) -> None:
    """Without `if __name__ == "__main__"`, each process would start processes itself: Python refuses."""
    script = tmp_path / "script.py"
    script.write_text(
        "from birnn_cli.workers import in_order\nlist(in_order(list, [[1], [2]], 2, str))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, check=False, timeout=60)
    assert done.returncode == 1
    assert b"OSError: processes that share the work die as they start" in done.stderr


def test_any_thread_may_share_work_and_nothing_of_the_caller_is_changed(work: ModuleType) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    environment = dict(os.environ)
    answers: list[object] = []
    thread = threading.Thread(
        target=lambda: answers.extend(in_order(work.threads, [[1], [2]], 2, work.lost))
    )
    thread.start()
    thread.join(60)
    assert answers == [["1"], ["1"]]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert dict(os.environ) == environment
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_closing_ends_the_processes_at_once_even_amid_their_work(work: ModuleType) -> None:
    processes = in_order(work.process, ([k] for k in range(99)), 2, work.lost)
    used = {next(processes)[0] for _ in range(20)}
    processes.close()
    assert not any(map(alive, used))
    busy = in_order(work.wait, [[0.0], [60.0]], 2, work.lost)
    next(busy)
    started = time.monotonic()
    busy.close()
    assert time.monotonic() - started < 5


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_processes_end_when_their_parent_is_killed(work: ModuleType, tmp_path: Path) -> None:
    program = (
        "import work_of_processes as work\nfrom birnn_cli.workers import in_order\n"
        "if __name__ == '__main__':\n"
        "    answers = in_order(work.process, ([k] for k in range(9999)), 2, work.lost)\n"
        "    print(*{next(answers)[0] for _ in range(500)}, flush=True)\n"
        "    import time; time.sleep(60)\n"
    )
    (tmp_path / "program.py").write_text(program)
    with subprocess.Popen([sys.executable, tmp_path / "program.py"], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        processes = [int(number) for number in parent.stdout.readline().split()]
        assert processes and all(map(alive, processes))
        parent.kill()
    for _ in range(100):
        if not any(map(alive, processes)):
            return
        time.sleep(0.05)
    raise AssertionError("processes are left")
