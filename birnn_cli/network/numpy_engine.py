"""The network's forward pass in NumPy, so that reading a digit needs no torch.

The same function as `birnn_cli.network.birnn`, over the same arrays; a test holds the two together.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from birnn_cli.network.architecture import Architecture

Float = NDArray[np.float32]

# Images a pass: enough for the matrix products to be efficient, few enough to stay in tens of MiB.
BATCH_SIZE = 256


def logits(architecture: Architecture, weights: Mapping[str, Float], rows: Float) -> Float:
    """Read images, some at a time.

    Args:
        architecture: What the weights make up.
        weights: Arrays of `architecture.parameter_shapes()`, float32.
        rows: Shape (samples, 28, 28), float32 in [0, 1].

    Returns:
        Shape (samples, num_classes), float32.
    """
    parts = [
        _logits(architecture, weights, rows[start : start + BATCH_SIZE])
        for start in range(0, len(rows), BATCH_SIZE)
    ]
    return np.concatenate(parts) if parts else np.empty((0, architecture.num_classes), np.float32)


def probabilities(logits: Float) -> Float:
    """Softmax over the last axis, float32, each row summing to 1."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]


def _logits(architecture: Architecture, weights: Mapping[str, Float], rows: Float) -> Float:
    """One batch: (batch, 28, 28) to (batch, num_classes)."""
    sequence = np.ascontiguousarray(rows.transpose(1, 0, 2))  # (28, batch, 28)
    if architecture.columns:
        sequence = np.concatenate([sequence, rows.transpose(2, 0, 1)], axis=2)  # (28, batch, 56)
    top = architecture.num_layers - 1
    for layer in range(architecture.num_layers):
        fw, bw = (_direction(architecture, weights, layer, name) for name in ("fw", "bw"))
        forwards = _lstm(sequence, *fw)  # (28, batch, hidden)
        if layer == top and architecture.readout == "last":
            # At the last row the backward direction has made one step: the others are never seen.
            features = np.concatenate([forwards[-1], _lstm(sequence[-1:], *bw)[0]], axis=1)
            break
        backwards = _lstm(sequence[::-1], *bw)[::-1]
        sequence = np.concatenate([forwards, backwards], axis=2)  # (28, batch, 2 hidden)
        if layer == top and architecture.readout == "states":
            features = np.concatenate([forwards[-1], backwards[0]], axis=1)
        elif layer == top:
            features = np.concatenate([sequence.mean(axis=0), sequence.max(axis=0)], axis=1)
    return features @ weights["head.weight"].T + weights["head.bias"]


def _direction(
    architecture: Architecture, weights: Mapping[str, Float], layer: int, direction: str
) -> tuple[Float, Float, Float]:
    """Input weights, recurrent weights, and the bias with the forget bias in it."""
    name, hidden_size = f"layers.{layer}.{direction}", architecture.hidden_size
    bias = weights[f"{name}.bias"].copy()
    bias[hidden_size : 2 * hidden_size] += architecture.forget_bias
    return weights[f"{name}.weight_ih"], weights[f"{name}.weight_hh"], bias


def _lstm(sequence: Float, weight_ih: Float, weight_hh: Float, bias: Float) -> Float:
    """Outputs (steps, batch, hidden) of one direction over (steps, batch, inputs), from zero states."""
    steps, batch, _ = sequence.shape
    hidden_size = weight_hh.shape[1]
    gates_of_input = sequence @ weight_ih.T + bias  # (steps, batch, 4 hidden)
    outputs = np.empty((steps, batch, hidden_size), np.float32)
    output = cell = np.zeros((batch, hidden_size), np.float32)
    for step in range(steps):
        gates = gates_of_input[step]
        if step:
            gates = gates + output @ weight_hh.T
        i, f, g, o = np.split(gates, 4, axis=1)
        cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
        output = outputs[step] = _sigmoid(o) * np.tanh(cell)
    return outputs


def _sigmoid(x: Float) -> Float:
    """The logistic function by way of tanh, which cannot overflow."""
    return np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1))  # type: ignore[no-any-return]
