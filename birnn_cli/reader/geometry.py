"""Sizes and boxes of pictures, for all stages of the reader."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# Left, top, right and bottom in pixels, right and bottom exclusive.
Box = tuple[int, int, int, int]


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


def bounding_box(mask: NDArray[Any]) -> Box:
    """The smallest box around all pixels of a mask (height, width) that are not 0, or four zeros."""
    left, top, width, height = cv2.boundingRect((mask != 0).astype(np.uint8))
    return left, top, left + width, top + height
