"""Threads that share a step: results in order, nothing waits for a thread that has not begun."""

import threading
import time

import pytest
import torch

from birnn_cli.training import threads
from birnn_cli.training.threads import Threads, default_threads, torch_threads


@pytest.mark.parametrize("number", [1, 2, 5])
def test_results_come_in_the_order_of_the_calls_whoever_makes_them(number: int) -> None:
    def work(first: int, second: int) -> int:
        time.sleep(0.001 * second)
        return first

    assert Threads(number).map(work, [(k, k % 3) for k in range(20)]) == list(range(20))


def test_the_calling_thread_does_what_no_other_has_begun() -> None:
    """As where other programs keep the cores: a step takes no longer than on one thread."""
    shared, released, by = Threads(2), threading.Event(), dict[int, str]()
    blocker = threading.Thread(target=shared.map, args=(lambda k: k and released.wait(60), [(0,), (1,)]))
    blocker.start()  # the only other thread is kept busy
    blocked = time.monotonic() + 60
    while shared._others._work_queue.qsize() and time.monotonic() < blocked:  # type: ignore[union-attr]
        time.sleep(0.001)

    def work(k: int) -> int:
        by[k] = threading.current_thread().name
        return k

    assert shared.map(work, [(k,) for k in range(4)]) == [0, 1, 2, 3]
    released.set()
    blocker.join()
    assert set(by.values()) == {threading.current_thread().name}


def test_an_exception_of_another_thread_is_raised() -> None:
    def work(k: int) -> float:
        time.sleep(0.05 * (k == 0))
        return 1 / (k - 1)

    with pytest.raises(ZeroDivisionError):
        Threads(2).map(work, [(0,), (1,)])


@pytest.mark.parametrize(
    ("number", "images", "size"),
    [(1, 128, 128), (2, 128, 64), (3, 128, 43), (16, 128, 32), (16, 20, 20), (2, 63, 63), (4, 1, 1)],
)
def test_a_part_of_a_batch_is_worth_a_thread(number: int, images: int, size: int) -> None:
    assert Threads(number).part_size(images) == size


def test_the_threads_are_those_of_torch_within_the_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "usable_cores", lambda: 3)
    with torch_threads(8):
        assert default_threads() == 3
        monkeypatch.setenv("OMP_NUM_THREADS", "8")  # the user's own number stands
        assert default_threads() == 8
    with torch_threads(2):
        assert default_threads() == 2


def test_torchs_own_number_of_threads_is_left_as_it_was() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before
