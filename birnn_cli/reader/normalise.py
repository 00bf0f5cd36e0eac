"""MNIST's convention for one digit: 20 pixels high or wide, its centre of mass at pixel 14 of 28.

Source: Yadav and Bottou, "Cold Case: the Lost MNIST Digits" (2019), and their QMNIST code.
"""

import numpy as np
from numpy.typing import NDArray

SIDE = 28
BOX_SIZE = 20

Pixels = NDArray[np.uint8]


def pad_to_box(ink: Pixels) -> Pixels:
    """Put ink of at most 20 by 20 pixels in the middle of a box: (20, 20) uint8."""
    height, width = ink.shape
    box = np.zeros((BOX_SIZE, BOX_SIZE), np.uint8)
    top, left = (BOX_SIZE - height) // 2, (BOX_SIZE - width) // 2
    box[top : top + height, left : left + width] = ink
    return box


def centre_by_mass(boxes: Pixels) -> Pixels:
    """Put boxes of ink where MNIST has them.

    The barycentre b of the grey levels, pixel centres at +0.5, decides: the box is moved by
    int(15 - b) on each axis, which brings the centre of mass to pixel 14.

    Args:
        boxes: Shape (n, 20, 20), uint8, ink light on black; each with some ink.

    Returns:
        Shape (n, 28, 28), uint8.
    """
    mass = boxes.astype(np.int64)
    total = mass.sum(axis=(1, 2)).clip(1)
    index = np.arange(BOX_SIZE) + 0.5
    centre_y = (mass.sum(axis=2) * index).sum(axis=1) / total
    centre_x = (mass.sum(axis=1) * index).sum(axis=1) / total
    top, left = (
        (15 - centre).astype(np.int64).clip(0, SIDE - BOX_SIZE) for centre in (centre_y, centre_x)
    )
    images = np.zeros((len(boxes), SIDE, SIDE), np.uint8)
    within = np.arange(BOX_SIZE)
    rows, columns = top[:, None] + within, left[:, None] + within  # (n, 20)
    images[np.arange(len(boxes))[:, None, None], rows[:, :, None], columns[:, None, :]] = boxes
    return images


def is_normalised(grey: Pixels) -> bool:
    """Whether a picture (height, width) is in the convention already, so that it must stay as it is.

    Pure black around ink whose longer side is 20 pixels and whose centre of mass is at pixel 14, each
    within one pixel: every one of MNIST's 10,000 test images passes.
    """
    if grey.shape != (SIDE, SIDE) or not grey.any():
        return False
    profiles = [grey.sum(axis=axis, dtype=np.float64) for axis in (0, 1)]
    inked = [np.flatnonzero(profile) for profile in profiles]
    longer = max(places[-1] - places[0] for places in inked) + 1
    total = profiles[0].sum()
    centres = [profile @ np.arange(SIDE) / total for profile in profiles]
    return bool(abs(longer - BOX_SIZE) <= 1 and all(abs(centre - 14) <= 1 for centre in centres))
