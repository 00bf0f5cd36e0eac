"""What a network is made of, in plain numbers: shared by torch, by NumPy and by the checkpoint."""

from dataclasses import dataclass
from math import prod
from typing import Literal, get_args

Readout = Literal["last", "states", "pool"]

NUM_ROWS = 28
ROW_SIZE = 28

# Far beyond what 28 rows of 28 pixels can use; they keep an absurd size from being tried at all.
LIMITS = {"num_classes": 1000, "hidden_size": 2048, "num_layers": 16}
MAX_FORGET_BIAS = 100.0


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A stack of bidirectional LSTM layers over 28 rows, a read-out, and a linear head.

    Attributes:
        num_classes: Width of the logits.
        hidden_size: Units of each direction.
        num_layers: Bidirectional layers, one above the other.
        readout: What the head sees of the top layer:
            `last`, both directions' outputs at the last row (where the backward one has made a single
            step); `states`, each direction's output after it has read all rows; `pool`, mean and
            maximum of both directions' outputs over all rows.
        forget_bias: Constant added to the forget gate before its sigmoid; not a parameter.
        columns: Whether step t reads row t and, behind it, column t of the image; else row t alone.
    """

    num_classes: int = 10
    hidden_size: int = 128
    num_layers: int = 1
    readout: Readout = "last"
    forget_bias: float = 1.0
    columns: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            ValueError: A value beyond its limits, or a read-out of another name.
        """
        for name, limit in LIMITS.items():
            if not 1 <= getattr(self, name) <= limit:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 1 to {limit}")
        if not abs(self.forget_bias) <= MAX_FORGET_BIAS:
            raise ValueError(f"forget_bias is {self.forget_bias}, expected at most {MAX_FORGET_BIAS:g}")
        if self.readout not in get_args(Readout):
            raise ValueError(f"readout is {self.readout!r}, expected one of {get_args(Readout)}")

    @property
    def step_size(self) -> int:
        """Numbers that one step reads: 28, or 56 with the columns."""
        return ROW_SIZE + NUM_ROWS * self.columns

    @property
    def num_features(self) -> int:
        """Width of what the head sees: both directions, twice for `pool` (mean, then maximum)."""
        return (4 if self.readout == "pool" else 2) * self.hidden_size

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every trained array, in order.

        `layers.L.D` is layer L (0 reads the rows) in direction D (`fw` reads downwards, `bw` upwards).
        The four blocks of `hidden_size` rows are the gates i, f, g, o, as in `torch.nn.LSTM`; there is
        one bias a direction.
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
        """Trained numbers in all: 163,338 for the notebook's network."""
        return sum(prod(shape) for shape in self.parameter_shapes().values())
