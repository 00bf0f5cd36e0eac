"""The network in torch, for training: rows (batch, 28, 28) to logits (batch, num_classes)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from birnn_cli.network.architecture import Architecture


class _Layer(nn.Module):
    """Two directions over the same rows.

    `nn.LSTM` adds two bias vectors; here the second is no parameter but holds the constant forget
    bias, so that one bias a direction is trained, as in TensorFlow's BasicLSTMCell.
    """

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float) -> None:
        super().__init__()
        self.fw = nn.LSTM(input_size, hidden_size)
        self.bw = nn.LSTM(input_size, hidden_size)
        for lstm in (self.fw, self.bw):
            constant = torch.zeros(4 * hidden_size)
            constant[hidden_size : 2 * hidden_size] = forget_bias
            lstm.bias_hh_l0 = nn.Parameter(constant, requires_grad=False)


class BiRNN(nn.Module):
    """Bidirectional LSTM layers over the rows of an image, a read-out, a linear head."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        hidden_size = architecture.hidden_size
        self.layers = nn.ModuleList(
            _Layer(
                2 * hidden_size if layer else architecture.step_size,
                hidden_size,
                architecture.forget_bias,
            )
            for layer in range(architecture.num_layers)
        )
        self.head = nn.Linear(architecture.num_features, architecture.num_classes)
        if architecture.readout == "last":  # one step backwards, with nothing to remember
            cast(_Layer, self.layers[-1]).bw.weight_hh_l0.requires_grad_(False)

    def forward(self, rows: Tensor, masks: Sequence[Tensor] = ()) -> Tensor:
        """Read a batch of images.

        Args:
            rows: Shape (batch, 28, 28), float32 in [0, 1].
            masks: Between two layers each, what the units are multiplied by, the same at every row:
                shape (batch, 2 hidden), float32; none changes nothing.

        Returns:
            Logits of shape (batch, num_classes), float32.
        """
        sequence = rows.transpose(0, 1)  # (28, batch, 28)
        if self.architecture.columns:
            sequence = torch.cat([sequence, rows.permute(2, 0, 1)], dim=2)  # (28, batch, 56)
        top = len(self.layers) - 1
        for place, layer in enumerate(cast(Iterable[_Layer], self.layers)):
            if place and masks:
                sequence = sequence * masks[place - 1]
            forwards = layer.fw(sequence)[0]  # (28, batch, hidden)
            if place == top and self.architecture.readout == "last":
                return self._head(forwards[-1], _first_step(layer.bw, sequence[-1]))
            backwards = layer.bw(sequence.flip(0))[0].flip(0)
            sequence = torch.cat([forwards, backwards], dim=2)  # (28, batch, 2 hidden)
        if self.architecture.readout == "states":
            return self._head(forwards[-1], backwards[0])
        return self._head(sequence.mean(dim=0), sequence.amax(dim=0))

    def _head(self, *features: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.cat(features, dim=1))
        return logits

    def initialise(self, generator: torch.Generator, head_std: float) -> None:
        """Draw all weights anew.

        Each direction's kernels are Glorot uniform over the joint matrix of inputs and recurrence, as
        BasicLSTMCell's one kernel is (bound sqrt(6 / (inputs + hidden + 4 hidden))); biases are zero;
        the head's weights and bias are normal.

        Args:
            generator: On the CPU, so that every device starts from the same weights.
            head_std: Standard deviation of the head's weights and bias.
        """
        drawn: dict[str, NDArray[np.float32]] = {}
        shapes = self.architecture.parameter_shapes()
        for name, shape in shapes.items():
            values = torch.zeros(shape)
            if name.startswith("head."):
                values.normal_(0.0, head_std, generator=generator)
            elif not name.endswith("bias"):
                inputs = shapes[name.rpartition(".")[0] + ".weight_ih"][1]
                bound = (6 / (inputs + 5 * self.architecture.hidden_size)) ** 0.5
                values.uniform_(-bound, bound, generator=generator)
            drawn[name] = values.numpy()
        self.load_weights(drawn)

    def named_weights(self) -> dict[str, nn.Parameter]:
        """The trained parameters under the names of `Architecture.parameter_shapes`, in its order."""
        own = dict(self.named_parameters())
        return {name: own[_torch_name(name)] for name in self.architecture.parameter_shapes()}

    def load_weights(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        """Copy arrays of the names and shapes of `Architecture.parameter_shapes` in."""
        with torch.no_grad():
            for name, parameter in self.named_weights().items():
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(weights[name])))


def _torch_name(name: str) -> str:
    """`layers.0.fw.bias` is `layers.0.fw.bias_ih_l0` to `nn.LSTM`."""
    if name.startswith("head."):
        return name
    return name.replace(".bias", ".bias_ih") + "_l0"


def _first_step(lstm: nn.LSTM, inputs: Tensor) -> Tensor:
    """Output (batch, hidden) of the first step from zero states, on inputs (batch, inputs).

    With nothing to remember, the recurrent weights and the forget gate take no part.
    """
    weight, bias = cast(Tensor, lstm.weight_ih_l0), cast(Tensor, lstm.bias_ih_l0)
    gates = nn.functional.linear(inputs, weight, bias)
    i, _, g, o = gates.chunk(4, dim=1)
    return o.sigmoid() * (i.sigmoid() * g.tanh()).tanh()
