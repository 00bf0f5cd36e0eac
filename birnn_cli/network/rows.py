"""Turn pixels into the network's input; training, evaluation and prediction share this function."""

from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

# Pixels of 0 to 255 become 0 to 1 by a multiplication, as in the notebook. No mean is subtracted.
PIXEL_SCALE = np.float32(1 / 255)


@overload
def to_rows(pixels: NDArray[np.uint8]) -> NDArray[np.float32]: ...
@overload
def to_rows(pixels: "Tensor") -> "Tensor": ...
def to_rows(pixels: "NDArray[np.uint8] | Tensor") -> "NDArray[np.float32] | Tensor":
    """Turn images (..., 28, 28) uint8, ink light on black, into rows: float32 in [0, 1], same shape."""
    return pixels * PIXEL_SCALE  # type: ignore[operator]
