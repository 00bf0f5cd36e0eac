"""Strokes and paper: whether ink is darker or lighter, how wide its strokes are, what the paper is.

Strokes have two edges near each other; shadows, glare and the edges of a table have one. So ink is what
differs from the paper on both of its sides, and the paper under it is the picture without its strokes.

Thresholds, morphology and labelling are OpenCV's: together with NumPy it is imported in a fifth of the
time of scikit-image and half the time of scipy.ndimage, and every prediction waits for this import.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from birnn_cli.reader import opencv as cv2
from birnn_cli.reader.geometry import (
    FloatImage,
    Mask,
    Pixels,
    find_parts,
    median,
    percentile,
    resize_mask,
    shrink,
)

Invert = Literal["auto", "yes", "no"]  # whether ink is darker than paper; `auto` finds out
SMALL_SIDE = 160  # pixels on the longer side at which strokes are measured, and the paper under them
MIN_UNEVENLY_LIT_SIDE = 48  # pixels on the shorter side from which a picture may be a photograph
EVEN_LIGHT = 0.85  # fraction of the variance between two levels from which a smaller one is a drawing
MIN_CONTRAST = 10.0  # grey levels (of 255) by which ink must at least differ from the paper
# Widths of strokes that are tried, as fractions of the longer side; what is wider is taken for paper.
STROKE_WIDTHS = (0.03, 0.055, 0.08, 0.12, 0.17, 0.24, 0.35)
CLEAR_STROKE = 0.5  # fraction of the highest contrast from which a pixel is surely in a stroke
MIN_STROKES = 0.003  # fraction of the picture that strokes cover at least
MIN_STROKE_LENGTH = 0.12  # fraction of the shorter side that the longest piece of them has at least
MAX_AS_DARK = 5  # times the pixels in strokes that may be as dark as they are, of any width
MAX_GROWTH = 1.25  # times the pixels in strokes that a wider square may find, and no more
LINE_LENGTH = 0.8  # fraction of a side from which a thin straight piece is a line, not a stroke
LINE_WIDTH = 0.05  # fraction of a side up to which it is thin
WHOLE_BORDER = 0.97  # fraction of a picture's border that is all of it
CLEAR_POLARITY = 3.0  # times more strokes of one kind than of the other that leave no doubt
MAX_DISC = 37  # pixels across the disc with which strokes are removed
MIN_LEVEL = 0.25  # of the paper's usual level: darker paper is taken to be this light


@dataclass(frozen=True)
class Strokes:
    """What is narrow in a picture, and darker (or else lighter) than what lies on both of its sides."""

    is_dark: bool
    # For each of STROKE_WIDTHS, how much each pixel differs from its surroundings: (height, width).
    contrasts: tuple[Pixels, ...]
    # For each of them, which pixels are surely in strokes, and in no ruled line.
    clear: tuple[Mask, ...]
    # The number of the width that holds the strokes: the first one beyond which wider squares find
    # no more of them, or else the last.
    width: int

    def strength(self, width: int) -> float:
        """How strong the strokes are that a width holds: the sum of the squares of their contrast."""
        pieces, stats = find_parts(self.clear[width].astype(np.uint8))
        is_long = stats[:, 2:4].max(axis=1) >= MIN_STROKE_LENGTH * min(pieces.shape)
        is_long[0] = False  # what is in no stroke
        return float(np.square(self.contrasts[width][is_long[pieces]], dtype=np.float32).sum())

    @property
    def contrast(self) -> Pixels:
        """How much each pixel of the strokes differs from its surroundings."""
        return self.contrasts[self.width]


def find_strokes(small: Pixels, is_dark: bool, mask: Mask | None = None) -> Strokes:
    """Find the strokes in a picture of SMALL_SIDE pixels or less a side, and within a mask if given."""
    kind, outside = (cv2.MORPH_BLACKHAT, 0) if is_dark else (cv2.MORPH_TOPHAT, 255)
    source = small if mask is None else np.where(mask, small, np.uint8(outside))
    contrasts = []
    for side in _square_sides(small):
        found = np.asarray(cv2.morphologyEx(source, kind, np.ones((side, side), np.uint8)), np.uint8)
        contrasts.append(found if mask is None else np.where(mask, found, np.uint8(0)))
    inside = contrasts[-1] if mask is None else contrasts[-1][mask]
    level = CLEAR_STROKE * percentile(inside, 99.5)
    clear = tuple(_without_lines(contrast > level) for contrast in contrasts)
    counts = [int(each.sum()) for each in clear]
    last = len(counts) - 1
    plateaus = (
        number
        for number in range(last)
        if counts[number] >= MIN_STROKES * inside.size
        and counts[number + 1] <= MAX_GROWTH * counts[number]
        and find_parts((contrasts[number] > level).astype(np.uint8))[1][1:, 2:4].max()
        >= MIN_STROKE_LENGTH * min(small.shape)
        # A slash in a bold digit is as dark as the digit, whose strokes are wider; a shadow is paler.
        and np.count_nonzero(contrasts[last] >= median(contrasts[number][clear[number]]))
        <= MAX_AS_DARK * counts[number]
    )
    return Strokes(is_dark, tuple(contrasts), clear, next(plateaus, last))


def _square_sides(small: Pixels) -> list[int]:
    """Odd sides of squares, in pixels: three or more, and no more than the picture has."""
    most = 2 * (min(small.shape) // 2) - 1
    return [max(3, min(round(width * max(small.shape)) | 1, most)) for width in STROKE_WIDTHS]


def _without_lines(strokes: Mask) -> Mask:
    """Strokes without ruled lines and frames."""
    found = strokes.astype(np.uint8)
    for turned in (found, found.T):
        width = max(2, round(LINE_WIDTH * turned.shape[0]))
        # A line that climbs a little is thickened, so that it has long runs.
        thick = cv2.dilate(turned, np.ones((3, 1), np.uint8))
        run = max(9, round(LINE_LENGTH * turned.shape[1]))
        runs = cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((1, run), np.uint8))
        too_wide = cv2.morphologyEx(runs, cv2.MORPH_OPEN, np.ones((width, 1), np.uint8))
        turned[(runs > 0) & (too_wide == 0)] = 0
    return found > 0


def find_polarities(grey: FloatImage, mask: Mask | None = None) -> list[bool]:
    """Whether ink is darker than paper, the likelier answer first; one answer alone where it is clear.

    Two things are asked: which strokes are stronger, dark or light ones, measured with the narrower of
    their two widths; and which level is paper, since it is most of the picture or of its border.
    """
    if mask is None:
        paper_is_light, is_certain = _is_paper_light(grey)
    else:  # most of a sheet is paper
        paper_is_light, is_certain = bool((grey > otsu_threshold(grey[mask]))[mask].mean() > 0.5), False
    if is_certain:
        return [paper_is_light]
    if is_drawing(grey):
        return [paper_is_light, not paper_is_light]
    small, small_mask = _to_small(grey, mask)
    dark, light = (find_strokes(small, is_dark, small_mask) for is_dark in (True, False))
    width = min(dark.width, light.width)
    weaker, stronger = sorted((dark.strength(width), light.strength(width)))
    is_dark = dark.strength(width) >= light.strength(width)
    is_clear = is_dark == paper_is_light and stronger > CLEAR_POLARITY * weaker
    return [is_dark] if is_clear else [is_dark, not is_dark]


def is_drawing(grey: FloatImage) -> bool:
    """Whether a picture is small, and of two levels: drawn, so that there is no light to subtract.

    The fraction of the variance that is between two classes is Otsu's measure eta (1979).
    """
    if min(grey.shape) >= MIN_UNEVENLY_LIT_SIDE:
        return False
    bright = grey > otsu_threshold(grey)
    fraction = float(bright.mean())
    if not 0 < fraction < 1:
        return True
    between = fraction * (1 - fraction) * float(grey[bright].mean() - grey[~bright].mean()) ** 2
    return between >= EVEN_LIGHT * float(grey.var())


def _is_paper_light(grey: FloatImage) -> tuple[bool, bool]:
    """Whether the lighter of two classes of levels is most of a picture, or else most of its border.

    Also whether that is certain: what is all around a drawing is paper, and what is light all around a
    photograph. What is dark all around one may be a shadow, or paper around glare.
    """
    small = shrink(grey, SMALL_SIDE)
    bright = small > otsu_threshold(small)
    fraction, fraction_of_border = float(bright.mean()), float(border(bright).mean())
    is_most = fraction > 0.75 or fraction <= 0.25
    is_light = fraction > 0.75 if is_most else fraction_of_border > 0.5
    if is_drawing(grey):  # which may be cropped to its ink
        return is_light, (fraction_of_border > 0.9) if is_light else (fraction_of_border < 0.1)
    return is_light, fraction_of_border > WHOLE_BORDER and is_light


def subtract_paper(grey: FloatImage, is_dark: bool, mask: Mask | None = None) -> FloatImage:
    """How much each pixel of (height, width) differs from the paper under it, in grey levels.

    So paper is about 0 and ink is above it; what is outside of the mask is 0. The paper is the picture
    without its strokes, a morphological closing where they are dark. A shadow takes away the same
    fraction of the light on paper and on dark ink, so their difference is divided by the paper's level.
    """
    contrast: FloatImage = -grey if is_dark else grey
    if not is_drawing(grey):
        small, small_mask = _to_small(grey, mask)
        side = 2 * _square_sides(small)[find_strokes(small, is_dark, small_mask).width] + 1
        kind, outside = (cv2.MORPH_CLOSE, 0) if is_dark else (cv2.MORPH_OPEN, 255)
        source = small if small_mask is None else np.where(small_mask, small, np.uint8(outside))
        # A disc, unlike a square, fits into a rounded shadow. A large one is slow: it is made small.
        scale = min(1.0, MAX_DISC / side)
        source = cv2.resize(source, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (round(scale * side) | 1,) * 2)
        without_strokes = cv2.morphologyEx(source, kind, disc)
        paper = np.asarray(cv2.resize(without_strokes, grey.shape[::-1]), np.float32)
        contrast = paper - grey if is_dark else grey - paper
        if is_dark:
            usual = np.float32(median(paper if mask is None else paper[mask]))
            contrast *= usual / paper.clip(max(1.0, MIN_LEVEL * float(usual)), None)
    if mask is None:
        return np.asarray(contrast - median(paper_levels(contrast)), np.float32)
    contrast = contrast.clip(0, None)  # along the edge of the mask, the paper is a mean with its outside
    return np.where(mask, contrast - median(paper_levels(contrast[mask])), np.float32(0))


def _to_small(grey: FloatImage, mask: Mask | None) -> tuple[Pixels, Mask | None]:
    small = shrink(grey, SMALL_SIDE).clip(0, 255).round().astype(np.uint8)
    return small, None if mask is None else resize_mask(mask, small.shape)


def border(picture: NDArray[Any]) -> NDArray[Any]:
    """The pixels along the four edges of a picture (height, width), as one flat array."""
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


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
    return float(low + (threshold + 0.5) * (high - low) / 255)
