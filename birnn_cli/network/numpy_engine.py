"""The network's forward pass in NumPy, so that reading a digit needs no torch.

It computes the same function as `birnn_cli.network.torch_engine` from the same arrays; tests compare the
two.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from birnn_cli.network.architecture import Architecture

Float = NDArray[np.float32]

# Images in one pass: enough for efficient matrix products, few enough to need only tens of MiB.
BATCH_SIZE = 256


class _Direction(NamedTuple):
    """The weights of one direction of one layer, as `Architecture.parameter_shapes` gives them."""

    weight_ih: Float
    weight_hh: Float
    bias: Float  # with the forget bias in it


def logits(architecture: Architecture, weights: Mapping[str, Float], rows: Float) -> Float:
    """Compute the logits of images, batch by batch.

    Args:
        architecture: The network that the weights belong to.
        weights: The arrays that `architecture.parameter_shapes()` names, float32.
        rows: Shape (samples, 28, 28), float32 in [0, 1].

    Returns:
        Shape (samples, num_classes), float32.
    """
    batches = [
        _logits_of_batch(architecture, weights, rows[start : start + BATCH_SIZE])
        for start in range(0, len(rows), BATCH_SIZE)
    ]
    return np.concatenate(batches) if batches else np.empty((0, architecture.num_classes), np.float32)


def probabilities(logits: Float) -> Float:
    """Softmax over the last axis: the same shape, float32, each row with the sum 1."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))  # shifted, so that none overflows
    return exponentials / exponentials.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]


def _logits_of_batch(architecture: Architecture, weights: Mapping[str, Float], rows: Float) -> Float:
    """Rows (batch, 28, 28) to logits (batch, num_classes)."""
    sequence = np.ascontiguousarray(rows.transpose(1, 0, 2))  # (28, batch, 28)
    if architecture.columns:
        sequence = np.concatenate([sequence, rows.transpose(2, 0, 1)], axis=2)  # (28, batch, 56)
    top = architecture.num_layers - 1
    for layer in range(architecture.num_layers):
        forward_weights = _direction(architecture, weights, f"layers.{layer}.fw")
        backward_weights = _direction(architecture, weights, f"layers.{layer}.bw")
        forwards = _all_steps(sequence, forward_weights)  # (28, batch, hidden)
        if layer == top and architecture.has_single_backward_step:
            backwards_at_last_row = _single_backward_step(sequence[-1], backward_weights)
            features = np.concatenate([forwards[-1], backwards_at_last_row], axis=1)
            break
        backwards = _all_steps(sequence[::-1], backward_weights)[::-1]
        sequence = np.concatenate([forwards, backwards], axis=2)  # (28, batch, 2 hidden)
        if layer == top and architecture.readout == "states":
            features = np.concatenate([forwards[-1], backwards[0]], axis=1)
        elif layer == top:
            features = np.concatenate([sequence.mean(axis=0), sequence.max(axis=0)], axis=1)
    return features @ weights["head.weight"].T + weights["head.bias"]


def _direction(architecture: Architecture, weights: Mapping[str, Float], name: str) -> _Direction:
    bias, hidden_size = weights[f"{name}.bias"].copy(), architecture.hidden_size
    bias[hidden_size : 2 * hidden_size] += architecture.forget_bias
    return _Direction(weights[f"{name}.weight_ih"], weights[f"{name}.weight_hh"], bias)


def _all_steps(sequence: Float, weights: _Direction) -> Float:
    """Outputs (steps, batch, hidden) of an LSTM over inputs (steps, batch, inputs), from zero states."""
    steps, batch, _ = sequence.shape
    hidden_size = weights.weight_hh.shape[1]
    gates_from_inputs = sequence @ weights.weight_ih.T + weights.bias  # (steps, batch, 4 hidden)
    outputs = np.empty((steps, batch, hidden_size), np.float32)
    output = cell = np.zeros((batch, hidden_size), np.float32)
    for step in range(steps):
        gates = gates_from_inputs[step]
        if step:  # before the first step the output is zero
            gates = gates + output @ weights.weight_hh.T
        i, f, g, o = np.split(gates, 4, axis=1)
        cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
        output = outputs[step] = _sigmoid(o) * np.tanh(cell)
    return outputs


def _single_backward_step(last_row: Float, weights: _Direction) -> Float:
    """The backward direction's output (batch, hidden) at the last row (batch, inputs), its first step.

    The read-out `last` sees no other step, so that the 27 later ones are not computed.
    """
    return _all_steps(last_row[None], weights)[0]  # type: ignore[no-any-return]


def _sigmoid(x: Float) -> Float:
    """The logistic function, computed with tanh, which cannot overflow."""
    return np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1))  # type: ignore[no-any-return]
