"""The one road from pixels to what the network reads; training, scoring and reading share it."""

from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

# 0 to 255 becomes 0 to 1, by a product as in the notebook's own reader. No mean is subtracted.
PIXEL_SCALE = np.float32(1 / 255)


@overload
def to_rows(pixels: NDArray[np.uint8]) -> NDArray[np.float32]: ...
@overload
def to_rows(pixels: "Tensor") -> "Tensor": ...
def to_rows(pixels: "NDArray[np.uint8] | Tensor") -> "NDArray[np.float32] | Tensor":
    """Turn pictures into the network's input.

    Args:
        pixels: Shape (..., 28, 28), uint8, ink light on black; an array or a tensor.

    Returns:
        The same shape and kind, float32 in [0, 1]: 28 rows of 28 numbers a picture.
    """
    return pixels * PIXEL_SCALE  # type: ignore[operator]
