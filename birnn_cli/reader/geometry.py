"""Pictures as arrays, their boxes, and other sizes of them, for all stages of the reader."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from birnn_cli.reader import opencv as cv2

Pixels = NDArray[np.uint8]
FloatImage = NDArray[np.float32]
Mask = NDArray[np.bool_]
PartStats = NDArray[np.int64]  # a row for each connected part: left, top, width, height, area, in pixels
# Left, top, right and bottom in pixels, right and bottom exclusive.
Box = tuple[int, int, int, int]

WORKING_SIDE = 640  # pixels on the longer side of what is searched for ink: plenty for a digit of 20


def resize_longer_side(picture: NDArray[Any], side: int, *, nearest: bool = False) -> NDArray[Any]:
    """Resize a picture (height, width), uint8 or float32, so that its longer side has `side` pixels.

    The shorter side keeps the proportions, but has at least one pixel. Where the picture grows, pixels
    are interpolated, or the nearest one is repeated; where it shrinks, areas are averaged.
    """
    scale = side / max(picture.shape)
    height, width = (max(1, round(length * scale)) for length in picture.shape)
    enlarge = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
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
    ys, xs = (np.flatnonzero((mask != 0).any(axis=axis)).tolist() for axis in (1, 0))
    return (xs[0], ys[0], xs[-1] + 1, ys[-1] + 1) if xs else (0, 0, 0, 0)


def find_parts(mask: Pixels) -> tuple[NDArray[np.int32], PartStats]:
    """The connected parts of a mask (height, width) of 0 and 1, where a shared corner connects too.

    The first result is each pixel's part, 0 for paper; the second has a row for the paper and each part.
    """
    left, top, width, height = cv2.boundingRect(mask)
    right, bottom = left + max(1, width), top + max(1, height)
    # OpenCV is three times as fast with 16 bits. Two by two pixels hold one part at most.
    most = min((height // 2 + 1) * (width // 2 + 1), cv2.countNonZero(mask))
    _, found, table, _ = cv2.connectedComponentsWithStats(
        mask[top:bottom, left:right],
        connectivity=8,
        ltype=cv2.CV_16U if most < 2**16 - 1 else cv2.CV_32S,
    )
    parts = np.zeros(mask.shape, np.int32)
    parts[top:bottom, left:right] = found
    stats = np.asarray(table, np.int64)
    stats[:, :2] += left, top
    stats[0] = 0, 0, *mask.shape[::-1], mask.size - stats[1:, 4].sum()
    return parts, stats


def median(values: NDArray[Any]) -> float:
    """The median of all values, nan of none."""
    return percentile(values, 50)


def percentile(values: NDArray[Any], percent: float) -> float:
    """The value below which a percentage of all values lies, interpolated between two; nan of none.

    NumPy's own functions take twice as long, and its median loads masked arrays first.
    """
    if not values.size:
        return float("nan")
    place = percent / 100 * (values.size - 1)
    below, above = int(place), min(int(place) + 1, values.size - 1)
    ordered = np.partition(values, (below, above), axis=None)
    low, high = float(ordered[below]), float(ordered[above])
    return low + (place - below) * (high - low)
