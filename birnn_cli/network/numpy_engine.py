"""The network's forward pass in NumPy, so that reading a digit needs no torch.

It computes the same function as `torch_engine` from the same arrays; tests compare the two.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from birnn_cli.network.architecture import Architecture

Float = NDArray[np.float32]

# Images in one pass: enough for efficient matrix products, few enough to need only tens of MiB.
BATCH_SIZE = 256


def logits(architecture: Architecture, weights: Mapping[str, Float], rows: Float) -> Float:
    """Compute logits (samples, num_classes) of rows (samples, 28, 28), in [0, 1], batch by batch.

    `weights` are the arrays that `architecture.parameter_shapes()` names.
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
    hidden_size, readout = architecture.hidden_size, architecture.readout

    def run(name: str, sequence: Float) -> Float:
        """One direction of a layer over a sequence."""
        bias = weights[f"{name}.bias"].copy()
        bias[hidden_size : 2 * hidden_size] += architecture.forget_bias
        return _lstm(sequence, weights[f"{name}.weight_ih"], weights[f"{name}.weight_hh"], bias)

    sequence = np.ascontiguousarray(rows.transpose(1, 0, 2))  # (28, batch, 28)
    if architecture.columns:
        sequence = np.concatenate([sequence, rows.transpose(2, 0, 1)], axis=2)  # (28, batch, 56)
    for layer in range(architecture.num_layers):
        forwards = run(f"layers.{layer}.fw", sequence)  # (28, batch, hidden)
        if readout == "last" and layer == architecture.num_layers - 1:
            # The head sees the last row alone, where the backward direction makes its first step.
            backwards = run(f"layers.{layer}.bw", sequence[-1:])
        else:
            backwards = run(f"layers.{layer}.bw", sequence[::-1])[::-1]
            sequence = np.concatenate([forwards, backwards], axis=2)  # (28, batch, 2 hidden)
    if readout == "pool":
        features = np.concatenate([sequence.mean(axis=0), sequence.max(axis=0)], axis=1)
    else:
        features = np.concatenate([forwards[-1], backwards[0]], axis=1)
    return features @ weights["head.weight"].T + weights["head.bias"]


def _lstm(sequence: Float, weight_ih: Float, weight_hh: Float, bias: Float) -> Float:
    """Outputs (steps, batch, hidden) of an LSTM over inputs (steps, batch, inputs), from zero states."""
    steps, batch, _ = sequence.shape
    gates_from_inputs = sequence @ weight_ih.T + bias  # (steps, batch, 4 hidden)
    outputs = np.empty((steps, batch, weight_hh.shape[1]), np.float32)
    output = cell = np.zeros(outputs.shape[1:], np.float32)
    for step in range(steps):
        gates = gates_from_inputs[step]
        if step:  # before the first step the output is zero
            gates = gates + output @ weight_hh.T
        i, f, g, o = np.split(gates, 4, axis=1)
        cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
        output = outputs[step] = _sigmoid(o) * np.tanh(cell)
    return outputs


def _sigmoid(x: Float) -> Float:
    """The logistic function, computed with tanh, which cannot overflow."""
    return np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1))  # type: ignore[no-any-return]
