"""Pictures as arrays, their boxes, and other sizes of them, for all stages of the reader."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
FloatImage = NDArray[np.float32]
Mask = NDArray[np.bool_]
# Left, top, right and bottom in pixels, right and bottom exclusive.
Box = tuple[int, int, int, int]

WORKING_SIDE = 640  # pixels on the longer side of what is searched for ink: plenty for a digit of 20


def resize_longer_side(
    picture: NDArray[Any], side: int, enlarge: int = cv2.INTER_LINEAR
) -> NDArray[Any]:
    """Resize a picture (height, width), uint8 or float32, so that its longer side has `side` pixels.

    The shorter side keeps the proportions, but has at least one pixel. `enlarge` is OpenCV's
    interpolation where the picture grows; where it shrinks, areas are averaged.
    """
    scale = side / max(picture.shape)
    height, width = (max(1, round(length * scale)) for length in picture.shape)
    interpolation = cv2.INTER_AREA if scale < 1 else enlarge
    return np.asarray(cv2.resize(picture, (width, height), interpolation=interpolation))


def shrink(picture: NDArray[Any], max_side: int = WORKING_SIDE) -> FloatImage:
    """Average a picture down to at most `max_side` pixels on its longer side: float32."""
    return np.asarray(resize_longer_side(picture, min(max_side, max(picture.shape))), np.float32)


def resize_mask(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """A mask at another size."""
    resized = cv2.resize(mask.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, np.bool_)


def bounding_box(mask: NDArray[Any]) -> Box:
    """The smallest box around all pixels of a mask (height, width) that are not 0, or four zeros."""
    left, top, width, height = cv2.boundingRect((mask != 0).astype(np.uint8))
    return left, top, left + width, top + height
