"""The sizes and the shape of a network, in plain numbers: both engines and the checkpoint share them."""

from dataclasses import dataclass
from math import prod
from typing import Literal

Readout = Literal["last", "states", "pool"]

NUM_ROWS = 28
ROW_SIZE = 28  # pixels in a row


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Bidirectional LSTM layers over the 28 rows of an image, a read-out, and a linear head.

    The read-out is what the head sees of the top layer: `last`, both directions' outputs at the last
    row, where the backward direction has made only one step (the 27 later ones would never be seen, so
    that neither engine computes them); `states`, each direction's output after it has read all rows;
    `pool`, the mean and the maximum of both directions' outputs over all rows.
    """

    num_classes: int = 10
    hidden_size: int = 128  # units in each direction of a layer
    num_layers: int = 1
    readout: Readout = "last"
    forget_bias: float = 1.0  # a constant, not trained, that the forget gate adds before its sigmoid
    columns: bool = False  # whether step t reads column t of the image after row t

    @property
    def step_size(self) -> int:
        """How many numbers one step reads: 28, or 56 with the columns."""
        return ROW_SIZE + NUM_ROWS * self.columns

    @property
    def num_features(self) -> int:
        """How many numbers the head sees: both directions, and for `pool` twice (mean, then maximum)."""
        return (4 if self.readout == "pool" else 2) * self.hidden_size

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of all trained arrays, in order.

        `layers.L.D` is layer L (layer 0 reads the rows) in direction D (`fw` reads downwards, `bw`
        upwards). The four blocks of `hidden_size` rows in it belong to the gates i, f, g and o, as in
        `torch.nn.LSTM`. Each direction has one bias.
        """
        shapes: dict[str, tuple[int, ...]] = {}
        gates = 4 * self.hidden_size
        for layer in range(self.num_layers):
            for direction in ("fw", "bw"):
                name = f"layers.{layer}.{direction}"
                shapes[f"{name}.weight_ih"] = (gates, 2 * self.hidden_size if layer else self.step_size)
                shapes[f"{name}.weight_hh"] = (gates, self.hidden_size)
                shapes[f"{name}.bias"] = (gates,)
        shapes["head.weight"] = (self.num_classes, self.num_features)
        shapes["head.bias"] = (self.num_classes,)
        return shapes

    @property
    def num_parameters(self) -> int:
        """How many numbers are trained: 163,338 in the notebook's network."""
        return sum(prod(shape) for shape in self.parameter_shapes().values())
