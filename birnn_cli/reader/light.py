"""The paper and the light on it taken away: how much lighter than the paper each pixel is, as ink is.

Thresholds, morphology and labelling are OpenCV's: with NumPy it imports in a fifth of the time of
scikit-image and half of that of scipy.ndimage, and this is on the way to every answer.
"""

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Invert = Literal["auto", "yes", "no"]
Grey = NDArray[np.float32]

# Larger pictures are averaged down to it: a digit needs 20 pixels, and light is as smooth at any size.
WORKING_SIDE = 640
# Grey levels (of 255) that ink must stand out by.
MIN_CONTRAST = 10.0
# Light is even where two classes of grey levels account for so much of their variance, ...
EVEN_LIGHT = 0.85
# ... and pictures that are smaller are drawings without uneven light.
MIN_LIT_SIDE = 20
# Fits of the light's surface, each to what is within so many grey levels of the one before.
SURFACE_FITS, SURFACE_TOLERANCE = 6, 8.0
# The paper is found at this size: strokes are narrower than the one share of the longer side, and most
# are narrower than the other.
SMALL_SIDE, STROKE, NARROW = 128, 0.35, 0.08


def shrink(grey: NDArray[Any], most: int = WORKING_SIDE) -> Grey:
    """A picture averaged down to so many pixels a side, if it has more: (height, width) float32."""
    scale = min(1.0, most / max(grey.shape))
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    small = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def subtract_paper(grey: Grey, invert: Invert) -> Grey | None:
    """Make ink light on black, with the paper's uneven light taken away.

    Light that falls slowly is a quadratic surface, fitted. What is left of it, shadows and the edges of
    things, is what remains where strokes are closed over (a morphological opening of light ink).

    Args:
        grey: Shape (height, width), float32 in 0 to 255.
        invert: `yes` when ink is darker than paper, `no` when it is lighter, `auto` to find out.

    Returns:
        Shape (height, width), float32: how much lighter than the paper; None when nothing is.
    """
    if min(grey.shape) < 3 or np.ptp(grey) < MIN_CONTRAST:
        return None
    apart, is_lit = _separability(grey), min(grey.shape) >= MIN_LIT_SIDE
    if is_lit and apart < EVEN_LIGHT:
        flat = grey - _surface(grey)
        if np.ptp(flat) < MIN_CONTRAST:
            return None
        if _separability(flat) > apart:
            grey = flat
    if invert == "auto":
        invert = "yes" if _is_dark_on_light(grey) else "no"
    light = -grey if invert == "yes" else grey
    if is_lit:
        light = light - _paper_of(light)
    return np.asarray(light - np.median(paper(light)), np.float32)


def _is_dark_on_light(grey: Grey) -> bool:
    """Whether ink is darker than paper: paper is most of a picture, or most of its border.

    Where neither says so, as in a shadow or in noise, strokes do: they are what is narrow.
    """
    small = shrink(grey, SMALL_SIDE)
    bright = small > threshold(small)
    share, on_border = float(bright.mean()), float(border(bright).mean())
    if 0.25 < share <= 0.75 and 0.2 < on_border < 0.8:
        dark, light = (float(np.square(ink - _opened(ink, NARROW)).mean()) for ink in (-small, small))
        return dark > light
    # Ink covers no three quarters of a picture; where light and dark are nearer, the border decides.
    return share > 0.75 or (share > 0.25 and on_border > 0.5)


def border(values: NDArray[Any]) -> NDArray[Any]:
    """What is along the edges of a picture, in a row."""
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def _separability(grey: Grey) -> float:
    """How much of the grey levels' variance lies between two classes, in 0 to 1 (Otsu 1979)."""
    bright = grey > threshold(grey)
    share = float(bright.mean())
    between = share * (1 - share) * float(grey[bright].mean() - grey[~bright].mean()) ** 2
    return between / float(grey.var())


def _paper_of(light: Grey) -> Grey:
    """What is left where strokes are taken away, of the same shape."""
    left = cv2.resize(
        _opened(shrink(light, SMALL_SIDE), STROKE), light.shape[::-1], interpolation=cv2.INTER_LINEAR
    )
    return np.asarray(left, np.float32)


def _opened(light: Grey, share: float) -> Grey:
    """Without what is lighter and narrower than a share of the longer side (a morphological opening)."""
    side = round(share * max(light.shape)) | 1
    kernel = np.ones((side, side), np.uint8)
    opened = cv2.morphologyEx(light, cv2.MORPH_OPEN, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(opened, np.float32)


def _surface(grey: Grey) -> Grey:
    """The light on the paper, as far as it falls slowly: a quadratic surface of the picture's shape.

    Fitted to the larger of two classes of grey levels, and again to what lies near the fit, so that ink
    and shadows have no say.
    """
    height, width = grey.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    some = (slice(None, None, max(1, height // 64)), slice(None, None, max(1, width // 64)))
    values, places = grey[some].ravel(), terms[some].reshape(-1, 6)
    bright = values > threshold(values)
    near = bright if bright.mean() > 0.5 else ~bright
    for _ in range(SURFACE_FITS):
        fit, *_ = np.linalg.lstsq(places[near], values[near], rcond=None)
        off = np.abs(values - places @ fit)
        near = off <= max(SURFACE_TOLERANCE, 4.5 * float(np.median(off[near])))
    return np.asarray(terms @ fit, np.float32)


def paper(light: Grey) -> Grey:
    """The grey levels of what is no ink: the darker of two classes, of any number."""
    return light[light <= threshold(light)]


def threshold(values: Grey) -> float:
    """Otsu's threshold between two classes of grey levels."""
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return high
    levels = ((values - low) * (255 / (high - low))).round().astype(np.uint8)
    level, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return low + (level + 0.5) * (high - low) / 255  # between the two levels, whatever rounding did
