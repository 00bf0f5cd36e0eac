"""What a GPU will do, as far as a CPU can tell: a tape of operations stands in for a CUDA graph."""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from birnn_cli.data import outliers, strokes
from birnn_cli.runs.recipes import RECIPES, RecipeName
from birnn_cli.training.device import Recorded
from birnn_cli.training.loop import Training

IMAGES, LABELS = strokes.draw("train", 90)
NUM_VALIDATION = strokes.draw("validation", 40)
MIXED = [
    ("strokes", 0.1, strokes.draw("train", 30)),
    ("outliers", 0.1, (outliers.draw(20), np.full(20, outliers.NO_CLASS))),
]
aten = torch.ops.aten
# What needs a value from the device, or its number of ones, before the next operation can begin.
WAITS = {aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal}


class Watch(TorchDispatchMode):
    """Counts the operations that wait for the device."""

    waits = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.waits += func.overloadpacket in WAITS
        return func(*args, **kwargs or {})


class Tape(TorchDispatchMode):
    """As a CUDA graph: plays operations again on the same memory; Python's numbers are as they were."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Callable[[], Any], Any, bool]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.overloadpacket not in WAITS, f"{func} cannot be recorded"
        call = partial(func, *args, **kwargs or {})
        result = call()
        # Whether gradients are on: oneDNN's LSTM keeps what its backward pass needs only then.
        self.calls.append((call, result, torch.is_grad_enabled()))
        return result

    def replay(self) -> None:
        with torch._C._AutoDispatchBelowAutograd():
            for call, result, gradients in self.calls:
                with torch.set_grad_enabled(gradients):
                    again = call()
                for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                    if isinstance(old, Tensor):
                        old.copy_(new)


@pytest.fixture(autouse=True)
def tape(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def graph(tape: Tape, stream: object) -> Iterator[None]:
        with tape:
            yield

    stream = SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Tape)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)


def training(name: RecipeName, *, recorded: bool, deterministic: bool = False) -> Training:
    recipe = replace(RECIPES[name], hidden_size=8, batch_size=20, samples=601, display_step=4)
    mixed = [each for each in MIXED if getattr(recipe, f"mix_{each[0]}")]
    cpu = torch.device("cpu")
    data = (IMAGES, LABELS), NUM_VALIDATION, mixed
    learner = Training(recipe, 10, 0, cpu, *data, deterministic=deterministic)
    learner._is_recorded = recorded
    return learner


def assert_same(one: Training, two: Training) -> None:
    for mine, other in (
        (one.weights(), two.weights()),
        (one.optimizer_state(), two.optimizer_state()),
    ):
        assert mine.keys() == other.keys()
        for name, value in mine.items():
            np.testing.assert_array_equal(value, other[name], err_msg=name)


def test_what_is_recorded_is_computed_anew_with_each_argument_and_changes_nothing_before() -> None:
    total = torch.zeros(3)

    def add(values: Sequence[Tensor], more: Sequence[Tensor]) -> Tensor:
        total.add_(values[0] * 2)
        return total + more[0]

    recorded = Recorded(add, ([torch.ones(3)], [torch.ones(3)]), [total])
    assert total.tolist() == [0, 0, 0]
    assert recorded([torch.ones(3)], [torch.zeros(3)]).tolist() == [2, 2, 2]
    assert recorded([torch.arange(3.0)], [torch.ones(3)]).tolist() == [3, 5, 7]
    assert total.tolist() == [2, 4, 6]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recorded_training_is_the_training(name: RecipeName) -> None:
    """Through passes, displays and a resumption, bit for bit."""
    plain, recorded = (training(name, recorded=recorded) for recorded in (False, True))
    results = list(plain.steps())
    found = list(itertools.islice(recorded.steps(), 13))
    rest = training(name, recorded=True)
    rest.restore(recorded.step, recorded.weights(), recorded.optimizer_state())
    found += rest.steps()
    assert found == results and len(found) == 30
    assert_same(plain, rest)


@pytest.mark.parametrize("name", RECIPES)
def test_only_steps_that_display_wait_for_the_device(name: RecipeName) -> None:
    steps = training(name, recorded=False).steps()
    for number in range(1, 31):
        with Watch() as watch:
            next(steps)
        assert (watch.waits > 0) == (number % 4 == 0)


@pytest.mark.parametrize("name", RECIPES)
def test_a_deterministic_training_takes_operations_that_give_the_same_bits_twice(
    name: RecipeName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch refuses the others; on a CPU all of them do."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    plain = training(name, recorded=False)
    try:
        asked = training(name, recorded=False, deterministic=True)
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert list(asked.steps()) == list(plain.steps())
    finally:
        torch.use_deterministic_algorithms(False)
    assert_same(plain, asked)
