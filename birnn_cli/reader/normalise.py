"""MNIST's convention for one digit: its longer side is 20 pixels, its centre of mass at pixel 14 of 28.

Source: Yadav and Bottou, "Cold Case: the Lost MNIST Digits" (2019), and their QMNIST code.
"""

import numpy as np
from numpy.typing import NDArray

from birnn_cli.reader import opencv as cv2
from birnn_cli.reader.geometry import FloatImage, Pixels, bounding_box, percentile, resize_longer_side

SIDE = 28  # pixels on each side of an image that the network reads
BOX_SIZE = 20  # pixels on each side of the box that the digit fills in it
MIN_PEN_WIDTH = 2.0  # width of the thinnest stroke, in pixels of the box; MNIST's strokes have 2 to 4
THICKENING_SCALE = 3  # how many times larger than the box strokes are measured and thickened
NARROWED = 0.8  # how many times as wide an image's ink is read the second time
STROKE_CONTRAST = 0.35  # fraction of the highest contrast from which a pixel counts as inside a stroke


def normalise(contrast: FloatImage, ink: NDArray[np.bool_]) -> Pixels:
    """Bring one digit's ink to MNIST's convention: (28, 28) uint8, ink light on black.

    `contrast` says how much each pixel of (height, width) differs from the paper; `ink`, which pixels
    are the digit's ink, one or more.
    """
    # One pixel around the ink is kept, so that soft edges stay soft.
    soft_edged = cv2.dilate(ink.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    left, top, right, bottom = bounding_box(ink)
    strokes = np.where(soft_edged, contrast.clip(0, None), 0)[top:bottom, left:right]
    thickened = _thicken(resize_longer_side(strokes, THICKENING_SCALE * BOX_SIZE))
    fitted = resize_longer_side(thickened, BOX_SIZE)
    box = pad_to_box((fitted * 255).clip(0, 255).round().astype(np.uint8))
    return np.asarray(centre_by_mass(box[None])[0])


def _thicken(strokes: FloatImage) -> FloatImage:
    """Widen strokes that are thinner than MNIST's thinnest pen, and scale their tone to 0 to 1."""
    inside = strokes > STROKE_CONTRAST * strokes.max()
    strokes = (strokes / percentile(strokes[inside], 75)).clip(0, 1)
    to_edge = cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 5)
    # Along the middle of a stroke, the distance to its edge is half its width.
    pen_width = 2 * percentile(to_edge[to_edge > 0], 90)
    missing = round(THICKENING_SCALE * MIN_PEN_WIDTH - pen_width)
    if missing < 1:
        return strokes
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (missing + 1, missing + 1))
    return np.asarray(cv2.dilate(strokes, pen), np.float32)


def pad_to_box(ink: Pixels) -> Pixels:
    """Put ink of at most 20×20 pixels in the middle of a box: (20, 20) uint8."""
    height, width = ink.shape
    box = np.zeros((BOX_SIZE, BOX_SIZE), np.uint8)
    top, left = (BOX_SIZE - height) // 2, (BOX_SIZE - width) // 2
    box[top : top + height, left : left + width] = ink
    return box


def centre_by_mass(boxes: Pixels) -> Pixels:
    """Place boxes (n, 20, 20) in images (n, 28, 28), uint8, the ink's centre of mass at pixel 14."""
    mass = boxes.astype(np.int64)
    total = mass.sum(axis=(1, 2)).clip(1)
    offsets = np.arange(BOX_SIZE)
    centres = (mass.sum(axis=axis) @ (offsets + 0.5) / total for axis in (2, 1))  # y, then x
    # With pixel centres at +0.5, a box with its centre of mass at b starts at pixel int(15 - b).
    rows, columns = (  # (n, 20)
        (15 - centre).astype(np.int64).clip(0, SIDE - BOX_SIZE)[:, None] + offsets for centre in centres
    )
    images = np.zeros((len(boxes), SIDE, SIDE), np.uint8)
    images[np.arange(len(boxes))[:, None, None], rows[:, :, None], columns[:, None, :]] = boxes
    return images


def narrow(image: Pixels) -> Pixels:
    """An image in MNIST's convention (28, 28) uint8 with its ink NARROWED times as wide for its height.

    Its longer side stays as long as it is.
    """
    left, top, right, bottom = bounding_box(image)
    width, height = right - left, bottom - top
    scale = max(width, height) / max(NARROWED * width, height)
    middle = (SIDE - 1) / 2
    factors = np.array([NARROWED * scale, scale])
    matrix = np.column_stack([np.diag(factors), middle - factors * middle])
    return np.asarray(cv2.warpAffine(image, matrix, (SIDE, SIDE)), np.uint8)


def is_normalised(grey: Pixels) -> bool:
    """Whether a picture (height, width) follows the convention already, so that it must stay as it is.

    It does when it is 28×28, and black around ink whose longer side is 20 pixels and whose centre of
    mass is at pixel 14, each within one pixel. All of MNIST's 10,000 test images pass.
    """
    if grey.shape != (SIDE, SIDE) or not grey.any():
        return False
    left, top, right, bottom = bounding_box(grey)
    longer_side = max(right - left, bottom - top)
    profiles = [grey.sum(axis=axis, dtype=np.float64) for axis in (0, 1)]
    centres = [profile @ np.arange(SIDE) / profile.sum() for profile in profiles]
    return bool(abs(longer_side - BOX_SIZE) <= 1 and all(abs(centre - 14) <= 1 for centre in centres))
