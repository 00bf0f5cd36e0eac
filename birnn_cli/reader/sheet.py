"""Find the sheet of paper, card or cell of a table that a digit stands on, within its surroundings.

A sheet is a region of nearly even level, lighter or darker than what lies around it, with straight
sides that may be askew or cut by the picture's edges. Strokes stand on it that do not cross its edge.
"""

from collections.abc import Iterator

import numpy as np

from birnn_cli.reader import opencv as cv2
from birnn_cli.reader.geometry import (
    FloatImage,
    Mask,
    Pixels,
    bounding_box,
    find_parts,
    median,
    percentile,
    resize_mask,
    shrink,
)
from birnn_cli.reader.light import MIN_UNEVENLY_LIT_SIDE, SMALL_SIDE, find_polarities, find_strokes

# Levels between the darkest and the lightest at which a sheet is parted from what lies around it.
THRESHOLDS = (0.2, 0.35, 0.5, 0.65, 0.8)
MIN_AREA, MAX_AREA = 0.03, 0.985  # fractions of the picture that a sheet covers
MIN_DARK_AREA = 0.15  # that of a dark sheet on light ground: a smaller one is a digit of broad strokes
MIN_SHEET_SIDE = 16  # pixels of the small picture
MIN_FILLED = 0.75  # fraction of its convex hull that a sheet fills
MIN_RECTANGULAR = 0.9  # fraction of the smallest rectangle around it; an oval has 0.79 to 0.87
MIN_STEP = 15.0  # grey levels between the sheet and what lies around it
MIN_SHARPNESS = 0.7  # fraction of the step within 4 pixels; the edge of a shadow is softer
MAX_SAME_AROUND = 0.3  # fraction of what lies around that may have the level of the sheet
MIN_INK_CONTRAST = 12.0  # grey levels
MIN_INK_IN_NOISE = 5.0  # times the noise
MAX_INK = 0.45  # fraction of the sheet
MIN_INK_SIDE = 0.15  # fraction of the sheet's side that a part of the ink has at least


def find_sheet(picture: FloatImage) -> Mask | None:
    """Which pixels of (height, width), levels 0 to 255, are on the sheet, without its edges; or None."""
    if min(picture.shape) < MIN_UNEVENLY_LIT_SIDE:
        return None
    small = shrink(picture, SMALL_SIDE).clip(0, 255).round().astype(np.uint8)
    smooth = np.asarray(cv2.medianBlur(small, 3), np.uint8)
    low, high = percentile(smooth, 1), percentile(smooth, 99)
    if high - low < MIN_STEP:
        return None
    hulls = [
        (hull, is_light)
        for is_light in (True, False)
        for hull in _hulls(smooth, low, high, is_light)
        if _has_clear_edge(smooth if is_light else 255 - smooth, hull)
    ]
    for hull, _ in sorted(hulls, key=lambda each: -int(each[0].sum())):
        if _holds_ink(small, hull):
            margin = 2 * max(1, round(1.1 * max(picture.shape) / max(small.shape))) + 1
            full = resize_mask(hull > 0, picture.shape).astype(np.uint8)
            inner = cv2.erode(full, np.ones((2 * margin + 1, 2 * margin + 1), np.uint8))
            return np.asarray(inner, np.bool_)
    return None


def _grow(mask: Pixels, pixels: int) -> Pixels:
    """A mask of 0 and 1, grown on all sides or, below 0, shrunk; the picture's edges shrink nothing."""
    change = cv2.dilate if pixels > 0 else cv2.erode
    return np.asarray(change(mask, np.ones((3, 3), np.uint8), iterations=abs(pixels)), np.uint8)


def _hulls(smooth: Pixels, low: float, high: float, is_light: bool) -> Iterator[Pixels]:
    """Convex hulls, as masks of 0 and 1, of large regions that are lighter (or darker) than the rest."""
    areas, min_area = set(), MIN_AREA if is_light else MIN_DARK_AREA
    for fraction in THRESHOLDS:
        level = low + (high - low) * (fraction if is_light else 1 - fraction)
        region = (smooth > level if is_light else smooth < level).astype(np.uint8)
        contours, _ = cv2.findContours(region, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        large = [each for each in contours if cv2.contourArea(each) >= min_area * region.size]
        # Strokes may part a sheet from edge to edge: all of its pieces make it up.
        for pieces in [*([each] for each in large), *([large] if len(large) > 1 else [])]:
            points = cv2.convexHull(np.concatenate(pieces))
            hull, filled = np.zeros_like(smooth), np.zeros_like(smooth)
            cv2.fillConvexPoly(hull, points, 1)
            area = int(hull.sum())
            width, height = cv2.minAreaRect(points)[1]
            if area in areas or area > MAX_AREA * hull.size or min(width, height) < MIN_SHEET_SIDE:
                continue
            areas.add(area)
            cv2.drawContours(filled, pieces, -1, 1, cv2.FILLED)
            is_full = filled.sum() >= MIN_FILLED * area
            if is_full and area >= MIN_RECTANGULAR * (width + 1) * (height + 1):
                yield hull


def _has_clear_edge(levels: Pixels, hull: Pixels) -> bool:
    """Whether a region's edge is one sharp step down, all around, to something else than more of it."""
    inner, outer = _grow(hull, -1), 1 - _grow(hull, 1)
    rings = {
        "inside": inner - _grow(hull, -3),
        "deep inside": _grow(hull, -5) - _grow(hull, -9),
        "outside": outer - (1 - _grow(hull, 4)),
        "far outside": _grow(hull, 9) - _grow(hull, 5),
    }
    if not outer.any() or not rings["inside"].any() or not rings["outside"].any():
        return False
    level = {name: median(levels[ring > 0]) for name, ring in rings.items() if ring.any()}
    step, middle = level["inside"] - level["outside"], (level["inside"] + level["outside"]) / 2
    if step < MIN_STEP or (levels[rings["inside"] > 0] < middle).mean() > 0.25:
        return False
    if len(level) == len(rings) and step < MIN_SHARPNESS * (level["deep inside"] - level["far outside"]):
        return False
    return bool((levels[outer > 0] > middle).mean() <= MAX_SAME_AROUND)


def _holds_ink(small: Pixels, hull: Pixels) -> bool:
    """Whether strokes as large as a digit stand on a region, and none of them crosses its edge."""
    on_sheet = _grow(hull, -2) > 0
    is_dark = find_polarities(small.astype(np.float32), on_sheet)[0]
    drop = find_strokes(small, is_dark, on_sheet).contrast
    contrast, noise = percentile(drop[on_sheet], 99.8), median(drop[on_sheet])
    if contrast < max(MIN_INK_CONTRAST, MIN_INK_IN_NOISE * noise):
        return False
    ink = (drop > 0.5 * contrast).astype(np.uint8)
    left, top, right, bottom = bounding_box(hull)
    _, _, width, height, _ = find_parts(ink)[1][1:].T
    is_large = (height >= MIN_INK_SIDE * (bottom - top)) | (width >= MIN_INK_SIDE * (right - left))
    if not is_large.any() or ink.sum() > MAX_INK * hull.sum():
        return False
    # Most of a digit of broad strokes is as dark as what would be its ink: it is no sheet.
    paper, level = median(small[on_sheet & (ink == 0)]), median(small[on_sheet & (ink > 0)])
    if (paper - level if is_dark else level - paper) < 0.5 * contrast:
        return False
    # Ink goes on outside where it crosses the edge of a shadow; the edge of a sheet ends it.
    around = _grow(hull, 6) - _grow(hull, 2)
    if not around.any():
        return True
    off_sheet = _grow(hull, 1) == 0
    usual_around = median(small[around > 0])
    outside = find_strokes(small, is_dark, off_sheet).contrast
    noise = median(outside[around > 0])
    faded = 0.25 * contrast * min(1.0, usual_around / max(paper, 1.0))
    crossing = (_grow(ink, 8) & around) * (outside > max(6.0, 4 * noise, faded))
    return bool(crossing.sum() < 2)
