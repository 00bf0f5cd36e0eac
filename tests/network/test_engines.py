"""Both engines: against TensorFlow, against torch's own layer, and against each other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from birnn_cli.data import strokes
from birnn_cli.data.datasets import open_data_set
from birnn_cli.network import numpy_engine
from birnn_cli.network.architecture import Architecture
from birnn_cli.network.rows import to_rows
from birnn_cli.network.torch_engine import BiRNN
from birnn_cli.runs import checkpoint
from birnn_cli.runs.folders import SHIPPED
from birnn_cli.runs.recipes import RECIPES
from birnn_cli.training.batches import random_generator
from birnn_cli.training.loop import TrainingLoop
from tests.conftest import TESTS

# Three Adam steps of the notebook's network in TensorFlow 2.15: images, labels, and before and after
# each step the weights, the logits and the loss.
TENSORFLOW = TESTS / "tensorflow_step.npz"
NETWORKS = [
    Architecture(hidden_size=hidden, num_layers=layers, readout=readout, num_classes=classes)
    for readout in ("last", "states", "pool")
    for hidden, layers, classes in ((16, 1, 10), (8, 2, 26), (5, 3, 2))
]


def drawn(architecture: Architecture, seed: int = 0) -> BiRNN:
    """A network with random weights."""
    network = BiRNN(architecture)
    network.initialise(random_generator(seed, "weights", 0), 1.0)
    return network


def as_numpy(network: BiRNN) -> dict[str, np.ndarray]:
    """The network's weights, for the NumPy side."""
    return {name: value.detach().numpy() for name, value in network.named_weights().items()}


def from_tensorflow(reference: Any, step: int) -> dict[str, np.ndarray]:
    """TensorFlow's arrays under our names: its kernels are transposed, its gates i, j, f, o."""

    def reorder(gates: np.ndarray) -> np.ndarray:
        i, j, f, o = np.split(gates, 4, axis=-1)
        return np.concatenate([i, f, j, o], axis=-1).T

    weights = {}
    for ours, theirs in (("fw", "forward"), ("bw", "backward")):
        kernel = reorder(reference[f"{theirs}_kernel_{step}"])
        weights[f"layers.0.{ours}.weight_ih"] = kernel[:, :28]
        weights[f"layers.0.{ours}.weight_hh"] = kernel[:, 28:]
        weights[f"layers.0.{ours}.bias"] = reorder(reference[f"{theirs}_bias_{step}"])
    weights["head.weight"] = reference[f"head_weight_{step}"].T
    weights["head.bias"] = reference[f"head_bias_{step}"]
    return weights


def distance(found: np.ndarray, expected: np.ndarray) -> float:
    """The norm of the difference over the norm."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def test_three_steps_of_adam_are_tensorflows() -> None:
    with np.load(TENSORFLOW) as file:
        reference = dict(file)
    images, labels = reference["images"].reshape(-1, 28, 28), reference["labels"].reshape(-1)
    training = TrainingLoop(
        RECIPES["notebook"],
        10,
        0,
        torch.device("cpu"),
        (images, labels.astype(np.int64)),
        validation_images=(images, labels.astype(np.int64)),
    )
    training.network.load_weights(from_tensorflow(reference, 0))
    for step in range(3):
        rows = to_rows(torch.from_numpy(reference["images"][step]))
        truth = torch.from_numpy(reference["labels"][step].astype(np.int64))
        logits = training.network(rows).detach()
        loss = nn.functional.cross_entropy(logits, truth).item()
        assert distance(logits.numpy(), reference[f"logits_{step}"]) < 1e-5
        assert abs(loss / reference[f"loss_{step}"] - 1) < 1e-5
        training._learn(rows, truth)
        training.step += 1
        for name, expected in from_tensorflow(reference, step + 1).items():
            difference = training.weights()[name] - expected
            assert np.abs(difference).max() < 1e-5, name
            assert np.sqrt(np.mean(difference**2)) < 1e-7, name


def test_first_weights_are_glorot_over_the_joint_kernel_and_normal_in_the_head() -> None:
    weights = as_numpy(drawn(Architecture()))
    bound = (6 / 668) ** 0.5
    for direction in ("fw", "bw"):
        for part in ("weight_ih", "weight_hh"):
            kernel = weights[f"layers.0.{direction}.{part}"]
            assert 0.99 * bound < np.abs(kernel).max() <= bound
            assert abs(kernel.std() / (bound / 3**0.5) - 1) < 0.02
        assert not weights[f"layers.0.{direction}.bias"].any()
    assert abs(weights["head.weight"].std() - 1) < 0.05
    assert weights["head.bias"].any()


def test_one_unit_computed_by_hand() -> None:
    architecture = Architecture(hidden_size=1, num_classes=2, readout="states", forget_bias=1.0)
    weights = {
        name: np.zeros(shape, np.float32) for name, shape in architecture.parameter_shapes().items()
    }
    weights["layers.0.fw.weight_ih"][2, 0] = 1.0  # the candidate sees the first pixel of the row
    weights["head.weight"][0, 0] = 1.0
    rows = np.zeros((1, 28, 28), np.float32)
    rows[0, 27, 0] = 0.5
    # Gates at their biases: i = o = 1/2; so h = tanh(tanh(0.5) / 2) / 2 after the last row.
    expected = 0.5 * np.tanh(0.5 * np.tanh(0.5))
    np.testing.assert_allclose(
        numpy_engine.logits(architecture, weights, rows), [[expected, 0]], atol=1e-7
    )
    # One row earlier, the cell has faded by the forget gate: sigmoid(1).
    rows = np.roll(rows, -1, axis=1)
    faded = 0.5 * np.tanh(0.5 * np.tanh(0.5) / (1 + np.exp(-1.0)))
    np.testing.assert_allclose(numpy_engine.logits(architecture, weights, rows), [[faded, 0]], atol=1e-7)


@pytest.mark.parametrize("readout", ["last", "states", "pool"])
def test_one_layer_equals_torchs_bidirectional_lstm(readout: Any) -> None:
    network = drawn(Architecture(hidden_size=12, readout=readout))
    lstm = nn.LSTM(28, 12, bidirectional=True, batch_first=True)
    with torch.no_grad():
        for name, value in network.layers.named_parameters():
            direction, part = name.split(".")[1:]
            getattr(lstm, part + ("_reverse" if direction == "bw" else "")).copy_(value)
        rows = torch.rand(7, 28, 28)
        outputs, (states, _) = lstm(rows)
        features = {
            "last": outputs[:, -1],
            "states": torch.cat([states[0], states[1]], dim=1),
            "pool": torch.cat([outputs.mean(dim=1), outputs.amax(dim=1)], dim=1),
        }[readout]
        torch.testing.assert_close(network(rows), network.head(features))


@pytest.mark.parametrize("architecture", NETWORKS, ids=str)
def test_numpy_computes_the_same_logits_as_torch(architecture: Architecture) -> None:
    network = drawn(architecture)
    rows = to_rows(strokes.sample("test", 300)[0])
    with torch.no_grad():
        expected = network(torch.from_numpy(rows)).numpy()
    found = numpy_engine.logits(architecture, as_numpy(network), rows)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("architecture", NETWORKS, ids=str)
def test_numpy_and_torch_agree_on_all_real_test_images(
    architecture: Architecture, real_mnist: Path
) -> None:
    network = drawn(architecture)
    rows = to_rows(open_data_set("mnist", real_mnist).load("test")[0])
    assert len(rows) == 10_000
    with torch.no_grad():
        parts = torch.from_numpy(rows).split(1000)  # type: ignore[no-untyped-call]
        expected = torch.cat([network(part) for part in parts]).numpy()
    found = numpy_engine.logits(architecture, as_numpy(network), rows)
    assert np.abs(found - expected).max() < 1e-4
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()


def test_shipped_network_reads_all_real_test_images_alike_in_numpy_and_torch(real_mnist: Path) -> None:
    shipped = checkpoint.load(SHIPPED)
    network = BiRNN(shipped.config.architecture)
    network.load_weights(shipped.weights)
    images, labels = open_data_set("mnist", real_mnist).load("test")
    with torch.no_grad():
        parts = torch.from_numpy(to_rows(images)).split(1000)  # type: ignore[no-untyped-call]
        expected = torch.cat([network(part) for part in parts]).numpy()
    found = numpy_engine.logits(network.architecture, shipped.weights, to_rows(images))
    assert np.abs(found - expected).max() < 1e-4
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()
    assert (found.argmax(axis=1) == labels).mean() > 0.985


def test_a_log_probability_is_exact_where_the_probability_is_as_good_as_1_or_0() -> None:
    logits = np.array([[0, 30], [-200, 800]], np.float32)
    expected = [[-30 - np.exp(-30.0), -np.exp(-30.0)], [-1000, 0]]
    np.testing.assert_allclose(numpy_engine.log_probabilities(logits), expected, rtol=1e-2)


def test_images_have_the_same_logits_in_batches_of_any_size() -> None:
    architecture = NETWORKS[-1]
    weights, rows = as_numpy(drawn(architecture)), to_rows(strokes.sample("test", 300)[0])
    whole = numpy_engine.logits(architecture, weights, rows)
    single = np.concatenate([numpy_engine.logits(architecture, weights, row[None]) for row in rows[:20]])
    np.testing.assert_allclose(single, whole[:20], atol=1e-5)
    assert numpy_engine.logits(architecture, weights, rows[:0]).shape == (0, architecture.num_classes)


@pytest.mark.parametrize("readout", ["last", "states", "pool"])
def test_the_backward_direction_sees_one_row_with_the_readout_last_and_else_all(readout: Any) -> None:
    """The head's weights for the forward direction are zero, so that only the backward one is seen."""
    network = drawn(Architecture(hidden_size=8, readout=readout))
    with torch.no_grad():
        for start in range(0, network.architecture.num_features, 16):
            network.head.weight[:, start : start + 8] = 0
    rows = torch.rand(1, 28, 28, requires_grad=True)
    network(rows).square().sum().backward()
    seen = rows.grad.abs().sum(dim=(0, 2)) > 0  # type: ignore[union-attr]
    assert seen.tolist() == [readout != "last"] * 27 + [True]


def test_a_masked_unit_has_no_influence() -> None:
    network = drawn(Architecture(hidden_size=4, num_layers=2, readout="pool"))
    rows, mask = torch.rand(3, 28, 28), torch.ones(3, 8)
    assert torch.equal(network(rows), network(rows, [mask]))
    mask[:, 5] = 0
    masked = network(rows, [mask])
    with torch.no_grad():
        for lstm in (network.layers[1].fw, network.layers[1].bw):
            lstm.weight_ih_l0[:, 5] = 0
    torch.testing.assert_close(masked, network(rows))
