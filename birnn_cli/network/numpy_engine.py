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
    if not len(rows):
        return np.empty((0, architecture.num_classes), np.float32)
    batches = np.split(rows, range(BATCH_SIZE, len(rows), BATCH_SIZE))
    return np.concatenate([_logits_of_batch(architecture, weights, batch) for batch in batches])


def probabilities(logits: Float) -> Float:
    """Softmax over the last axis: the same shape, float32, each row with the sum 1."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))  # shifted, so that none overflows
    return exponentials / exponentials.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]


def log_probabilities(logits: Float) -> NDArray[np.float64]:
    """The logarithms of the probabilities: the same shape, float64, which tells those near 1 apart."""
    precise = logits.astype(np.float64)
    shifted = precise - precise.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))  # type: ignore[no-any-return]


def _logits_of_batch(architecture: Architecture, weights: Mapping[str, Float], rows: Float) -> Float:
    """Rows (batch, 28, 28) to logits (batch, num_classes)."""

    def run(name: str, sequence: Float) -> Float:
        """Outputs (steps, batch, hidden) of one LSTM over inputs (steps, batch, inputs)."""
        weight_hh, bias = weights[f"{name}.weight_hh"], weights[f"{name}.bias"].copy()
        np.split(bias, 4)[1] += architecture.forget_bias  # a view: the gates are i, f, g and o
        gates_from_inputs = sequence @ weights[f"{name}.weight_ih"].T + bias  # (steps, batch, 4 hidden)
        outputs = np.empty((*sequence.shape[:2], architecture.hidden_size), np.float32)
        output = cell = np.zeros(outputs.shape[1:], np.float32)  # the states before the first step
        for step, gates in enumerate(gates_from_inputs):
            if step:  # at the first step the output is still zero
                gates = gates + output @ weight_hh.T
            i, f, g, o = np.split(gates, 4, axis=1)
            cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(g)
            output = outputs[step] = _sigmoid(o) * np.tanh(cell)
        return outputs

    sequence = np.ascontiguousarray(rows.transpose(1, 0, 2))  # (28, batch, 28)
    if architecture.columns:
        sequence = np.concatenate([sequence, rows.transpose(2, 0, 1)], axis=2)  # (28, batch, 56)
    for layer in range(architecture.num_layers):
        forwards = run(f"layers.{layer}.fw", sequence)  # (28, batch, hidden)
        if architecture.readout == "last" and layer == architecture.num_layers - 1:
            # The head sees the last row alone, where the backward direction makes its first step.
            backwards = run(f"layers.{layer}.bw", sequence[-1:])
        else:
            backwards = run(f"layers.{layer}.bw", sequence[::-1])[::-1]
            sequence = np.concatenate([forwards, backwards], axis=2)  # (28, batch, 2 hidden)
    if architecture.readout == "pool":
        features = np.concatenate([sequence.mean(axis=0), sequence.max(axis=0)], axis=1)
    else:
        features = np.concatenate([forwards[-1], backwards[0]], axis=1)
    return features @ weights["head.weight"].T + weights["head.bias"]


def _sigmoid(x: Float) -> Float:
    """The logistic function, computed with tanh, which cannot overflow."""
    return np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1))  # type: ignore[no-any-return]
