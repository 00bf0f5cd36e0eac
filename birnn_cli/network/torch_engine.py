"""The network in torch, for training: rows (batch, 28, 28) to logits (batch, num_classes)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from birnn_cli.network.architecture import Architecture


def _lstm(input_size: int, hidden_size: int, forget_bias: float) -> nn.LSTM:
    """An LSTM over one direction, with the forget bias as a constant.

    `nn.LSTM` adds two bias vectors. Here only the first is trained, as in TensorFlow's BasicLSTMCell;
    the second holds the constant.
    """
    lstm = nn.LSTM(input_size, hidden_size)
    constant = torch.zeros(4 * hidden_size)
    constant[hidden_size : 2 * hidden_size] = forget_bias
    lstm.bias_hh_l0 = nn.Parameter(constant, requires_grad=False)
    return lstm


class BiRNN(nn.Module):
    """Bidirectional LSTM layers over the rows of an image, a read-out, and a linear head."""

    layers: Any  # a ModuleList; each layer has two LSTMs, `fw` that reads downwards, and `bw` upwards

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        hidden_size, forget_bias = architecture.hidden_size, architecture.forget_bias
        inputs = [architecture.step_size] + [2 * hidden_size] * (architecture.num_layers - 1)
        self.layers = nn.ModuleList(
            nn.ModuleDict({name: _lstm(size, hidden_size, forget_bias) for name in ("fw", "bw")})
            for size in inputs
        )
        self.head = nn.Linear(architecture.num_features, architecture.num_classes)
        if architecture.readout == "last":  # the top layer's recurrent weights backwards are never used
            self.layers[-1].bw.weight_hh_l0.requires_grad_(False)

    def forward(self, rows: Tensor, masks: Sequence[Tensor] = ()) -> Tensor:
        """Compute the logits (batch, num_classes) of rows (batch, 28, 28), float32 in [0, 1].

        For dropout between layers, mask k (batch, 2 hidden), float32, is multiplied with the outputs of
        layer k at every row. Without masks nothing is dropped.
        """
        sequence = rows.transpose(0, 1)  # (28, batch, 28)
        if self.architecture.columns:
            sequence = torch.cat([sequence, rows.permute(2, 0, 1)], dim=2)  # (28, batch, 56)
        top = len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            if number and masks:
                sequence = sequence * masks[number - 1]
            forwards = layer.fw(sequence)[0]  # (28, batch, hidden)
            if number == top and self.architecture.readout == "last":
                # The head sees the last row alone, where the backward direction makes its first step; 27
                # later ones could not matter. Its zero states make the forget gate have no effect.
                gates = nn.functional.linear(sequence[-1], layer.bw.weight_ih_l0, layer.bw.bias_ih_l0)
                i, _, g, o = gates.chunk(4, dim=1)
                features = forwards[-1], o.sigmoid() * (i.sigmoid() * g.tanh()).tanh()
                break
            backwards = layer.bw(sequence.flip(0))[0].flip(0)
            sequence = torch.cat([forwards, backwards], dim=2)  # (28, batch, 2 hidden)
        if self.architecture.readout == "states":
            features = forwards[-1], backwards[0]
        elif self.architecture.readout == "pool":
            features = sequence.mean(dim=0), sequence.amax(dim=0)
        logits: Tensor = self.head(torch.cat(features, dim=1))
        return logits

    def initialise(self, generator: torch.Generator, head_std: float) -> None:
        """Set all weights to random initial values.

        As in BasicLSTMCell, each direction's weights for inputs and recurrence are Glorot uniform as one
        joint matrix, with the bound sqrt(6 / (inputs + hidden + 4 hidden)). Its biases are zero. The
        head's weights and bias are normal, with the standard deviation `head_std`. The generator is on
        the CPU, so that training starts from the same weights on every device.
        """
        weights = self.named_weights()
        for name, weight in weights.items():
            if name.startswith("head."):
                nn.init.normal_(weight, 0.0, head_std, generator)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
            else:
                inputs = weights[name.rpartition(".")[0] + ".weight_ih"].shape[1]
                bound = (6 / (inputs + 5 * self.architecture.hidden_size)) ** 0.5
                nn.init.uniform_(weight, -bound, bound, generator)

    def named_weights(self) -> dict[str, nn.Parameter]:
        """The trained parameters, named and ordered as in `Architecture.parameter_shapes`."""
        return {  # torch names them `layers.0.fw.weight_ih_l0`, and the trained bias `bias_ih_l0`
            name.removesuffix("_l0").replace("bias_ih", "bias"): parameter
            for name, parameter in self.named_parameters()
            if not name.endswith("bias_hh_l0")
        }

    def load_weights(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        """Copy arrays into the network, under the names of `Architecture.parameter_shapes`."""
        with torch.no_grad():
            for name, parameter in self.named_weights().items():
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(weights[name])))
