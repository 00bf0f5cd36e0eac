"""Subtract the paper and the uneven light on it: what remains is how much each pixel stands out.

Thresholds, morphology and labelling are OpenCV's: together with NumPy it is imported in a fifth of the
time of scikit-image and half the time of scipy.ndimage, and every prediction waits for this import.
"""

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Invert = Literal["auto", "yes", "no"]  # whether ink is darker than paper; `auto` finds out
FloatImage = NDArray[np.float32]

WORKING_SIDE = 640  # pixels on the longer side of what is searched for ink: plenty for a digit of 20
MIN_CONTRAST = 10.0  # grey levels (of 255) by which ink must at least differ from the paper
EVEN_LIGHT_SEPARABILITY = 0.85  # separability from which the light counts as even: no surface is fitted
MIN_UNEVENLY_LIT_SIDE = 20  # pixels on the shorter side below which a picture is a small, even drawing
SURFACE_FITS = 6  # fits of the surface of light, each only to the pixels that were close to the last one
SURFACE_TOLERANCE = 8.0  # grey levels: a pixel this close to the surface takes part in the next fit
PAPER_SIDE = 128  # pixels on the longer side at which the paper under the strokes is estimated
MAX_STROKE_WIDTH = 0.35  # of the widest stroke told from paper, as a fraction of the longer side
USUAL_STROKE_WIDTH = 0.08  # of an ordinary stroke, as a fraction of the longer side


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


def subtract_paper(grey: FloatImage, invert: Invert) -> FloatImage | None:
    """How much each pixel of (height, width) differs from the paper towards the ink, in grey levels.

    So paper is about 0 and ink is above it; None when the picture has no contrast. Three things are
    subtracted in turn: light that changes slowly across the page, as a fitted quadratic surface; what
    remains of uneven light, such as shadows and the edge of a desk, as the picture with its strokes
    removed (a morphological opening); and the paper's own shade, as the median of the paper.
    """
    if min(grey.shape) < 3 or np.ptp(grey) < MIN_CONTRAST:
        return None
    may_be_unevenly_lit = min(grey.shape) >= MIN_UNEVENLY_LIT_SIDE
    separability = _separability(grey)
    if may_be_unevenly_lit and separability < EVEN_LIGHT_SEPARABILITY:
        evenly_lit = grey - _fit_light(grey)
        if np.ptp(evenly_lit) < MIN_CONTRAST:
            return None
        if _separability(evenly_lit) > separability:
            grey = evenly_lit
    if invert == "auto":
        invert = "yes" if _is_dark_on_light(grey) else "no"
    bright_ink = -grey if invert == "yes" else grey
    if may_be_unevenly_lit:
        paper = _remove_strokes(shrink(bright_ink, PAPER_SIDE), MAX_STROKE_WIDTH)
        bright_ink = bright_ink - cv2.resize(paper, grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(bright_ink - np.median(paper_levels(bright_ink)), np.float32)


def _is_dark_on_light(grey: FloatImage) -> bool:
    """Whether ink is darker than paper. Paper is most of a picture, or else most of its border.

    Where neither is clear, as in a shadow or in noise, the strokes decide: ink is what is narrow.
    """
    small = shrink(grey, PAPER_SIDE)
    bright = small > otsu_threshold(small)
    bright_fraction, bright_on_border = float(bright.mean()), float(border(bright).mean())
    if 0.25 < bright_fraction <= 0.75 and 0.2 < bright_on_border < 0.8:
        dark_strokes = -small - _remove_strokes(-small, USUAL_STROKE_WIDTH)
        bright_strokes = small - _remove_strokes(small, USUAL_STROKE_WIDTH)
        return bool(np.square(dark_strokes).mean() > np.square(bright_strokes).mean())
    # Ink never covers three quarters of a picture. Below that, most of the border is paper.
    return bright_fraction > 0.75 or (bright_fraction > 0.25 and bright_on_border > 0.5)


def border(picture: NDArray[Any]) -> NDArray[Any]:
    """The pixels along the four edges of a picture (height, width), as one flat array."""
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


def _separability(grey: FloatImage) -> float:
    """How clearly grey levels fall into two classes: the fraction of their variance between the classes.

    Source: Otsu, "A threshold selection method from gray-level histograms" (1979), the measure eta.
    """
    bright = grey > otsu_threshold(grey)
    fraction = float(bright.mean())
    between = fraction * (1 - fraction) * float(grey[bright].mean() - grey[~bright].mean()) ** 2
    return between / float(grey.var())


def _remove_strokes(bright_ink: FloatImage, width: float) -> FloatImage:
    """Remove what is light and narrower than `width`, a fraction of the longer side (an opening)."""
    side = round(width * max(bright_ink.shape)) | 1  # an odd number of pixels has a middle
    kernel = np.ones((side, side), np.uint8)
    opened = cv2.morphologyEx(bright_ink, cv2.MORPH_OPEN, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(opened, np.float32)


def _fit_light(grey: FloatImage) -> FloatImage:
    """The slowly changing light on the paper: a quadratic surface of the picture's shape, float32.

    The first fit takes the larger of two classes of grey levels. Each further fit takes the pixels close
    to the last one, so that ink and shadows have no influence.
    """
    height, width = grey.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)  # (height, width, 6)
    # About 64 pixels in each direction are enough for six coefficients.
    grid = (slice(None, None, max(1, height // 64)), slice(None, None, max(1, width // 64)))
    levels, level_terms = grey[grid].ravel(), terms[grid].reshape(-1, 6)
    bright = levels > otsu_threshold(levels)
    on_paper = bright if bright.mean() > 0.5 else ~bright
    for _ in range(SURFACE_FITS):
        coefficients, *_ = np.linalg.lstsq(level_terms[on_paper], levels[on_paper], rcond=None)
        distance = np.abs(levels - level_terms @ coefficients)
        on_paper = distance <= max(SURFACE_TOLERANCE, 4.5 * float(np.median(distance[on_paper])))
    return np.asarray(terms @ coefficients, np.float32)


def paper_levels(bright_ink: FloatImage) -> FloatImage:
    """The levels of the pixels that are paper, not ink, in a flat array: the darker of two classes."""
    return bright_ink[bright_ink <= otsu_threshold(bright_ink)]


def otsu_threshold(levels: FloatImage) -> float:
    """Otsu's threshold between two classes of grey levels of any range; the upper class is above it."""
    low, high = float(levels.min()), float(levels.max())
    if high <= low:
        return high
    bins = ((levels - low) * (255 / (high - low))).round().astype(np.uint8)
    threshold, _ = cv2.threshold(bins, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    # Halfway between two bins, so that rounding cannot move a level to the other class.
    return low + (threshold + 0.5) * (high - low) / 255
