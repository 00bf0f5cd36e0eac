"""Ruled lines, boxes and windows in a picture: what is too long and straight for a digit."""

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from birnn_cli.reader import opencv as cv2
from birnn_cli.reader.geometry import (
    FloatImage,
    Mask,
    Pixels,
    bounding_box,
    find_parts,
    median,
    percentile,
)
from birnn_cli.reader.light import MIN_CONTRAST, border

SEARCH_SIDE = 128  # pixels on the longer side of the picture in which lines are searched for
SLOPES = tuple(np.linspace(-0.12, 0.12, 25).tolist())  # of the lines that are searched for
MIN_PICTURE_SIDE = 24  # pixels from which lines are searched for
MIN_RULED_SIDE = 64  # pixels from which a picture of one digit is searched for them
MIN_LENGTH = 0.4  # length of a line, at least, as a fraction of that of all ink
MIN_LENGTH_BETWEEN = 0.25  # the same, of one that goes from one line across it to another
MIN_LENGTH_TO_EDGES = 0.85  # that of a line from edge to edge, as a fraction of the picture's side
MIN_LENGTH_IN_HEIGHTS = 2.0  # length of a line, at least, in heights of the other ink
NEAR_END = 11  # pixels across a square around an end of such a line, there, in which it meets the other
MAX_GAP = 0.02  # longest gap in a line, as a fraction of the picture's side along it
MIN_UNBROKEN = 0.92  # fraction of its length along which it is ink
MAX_END = 0.05  # how far a line may end from the outermost ink, likewise
MAX_THICKNESS = 0.14  # of a line, as a fraction of the height of the other ink
MAX_RULED_THICKNESS = 0.02  # of one from edge to edge, as a fraction of the picture's side across it
MIN_ALONE = 0.25  # fraction of its length along which a line has no other ink at it
SIDE = 0.08  # fraction of the picture's side up to which a line across it may be the page's edge
MAX_BESIDE = 0.75  # extent of the other ink along that line, at most, as a fraction of its length
BOX_SIDE = 0.9  # fraction of each side of a box that is ink, at least
MIN_WINDOWS = 0.2  # fraction of the picture that windows cover at least
MIN_FILLED = 0.9  # fraction of a rectangle that a window fills at least
MIN_WINDOW_WIDTH = 0.4  # width of a window, at least, in heights
MIN_WINDOW_HEIGHT = 0.7  # height of a window, at least, as a fraction of the tallest one's
WINDOW_EDGE = 0.06  # of a window, where its level changes to that of what is around, likewise


class Line(NamedTuple):
    """Where a line was found in a small picture: y = offset + slope × x, from one column to another."""

    slope: float
    offset: int
    start: int
    stop: int

    def ends(self, height: int) -> list[tuple[int, int]]:
        """Row and column of its two ends, in a picture of some height."""
        return [
            (min(max(0, round(self.offset + self.slope * x)), height - 1), x)
            for x in (self.start, self.stop - 1)
        ]


def remove_ruled_lines(mask: Pixels) -> Pixels:
    """A mask (height, width) of 0 and 1 without the lines that go from edge to edge of the picture.

    Strokes that cross them stay whole. A single line stays where other ink comes as near to an edge as
    its ends: the picture may be cropped to a digit, of which that line is a stroke.
    """
    if min(mask.shape) < MIN_RULED_SIDE:
        return mask
    rest, _, num_rows = _remove_lines(mask, to_edges=True)
    rest, _, num_columns = _remove_lines(np.ascontiguousarray(rest.T), to_edges=True)
    rest = np.ascontiguousarray(rest.T)
    y, x = (_slack(length) for length in mask.shape)
    is_clear_of_edges = rest.sum() == rest[y:-y, x:-x].sum()
    return rest if is_clear_of_edges or max(num_rows, num_columns) > 1 else mask


def remove_rules(mask: Pixels) -> Pixels:
    """A mask (height, width) of 0 and 1 without ruled lines and boxes; what crosses them stays whole."""
    if min(mask.shape) < MIN_PICTURE_SIDE:
        return mask
    unboxed = _remove_boxes(mask)
    rest, lines, _ = _remove_lines(unboxed)
    lines |= (mask > 0) & (unboxed == 0)
    if lines.any() or (mask[0].any() and mask[-1].any()):
        turned, _, _ = _remove_lines(np.ascontiguousarray(rest.T), np.ascontiguousarray(lines.T))
        rest = np.ascontiguousarray(turned.T)
    return rest


def _remove_lines(
    mask: Pixels, ends: Mask | None = None, *, to_edges: bool = False
) -> tuple[Pixels, Mask, int]:
    """A mask without the lines along its rows, which pixels they were, and how many lines.

    With `ends`, each line goes from one of these pixels, or the picture's edge, to another; with
    `to_edges`, from edge to edge of the picture.
    """
    removed, thicknesses = np.zeros(mask.shape, np.bool_), list[float]()
    factor = -(-max(mask.shape) // SEARCH_SIDE)
    square = np.ones((factor + 2, factor), np.uint8)  # thin lines climb in steps
    small = cv2.dilate(mask, square)[factor // 2 :: factor, factor // 2 :: factor]
    near = np.ones(small.shape, np.uint8)
    if ends is not None:
        near = cv2.dilate(ends.astype(np.uint8), square)[factor // 2 :: factor, factor // 2 :: factor]
        near[:, [0, -1]] = 1
        near = cv2.dilate(near, np.ones((NEAR_END, NEAR_END), np.uint8))
    left, _, right, _ = bounding_box(small)
    least = max(1.0, (MIN_LENGTH if ends is None else MIN_LENGTH_BETWEEN) * (right - left))
    if to_edges:
        least = MIN_LENGTH_TO_EDGES * small.shape[1]
    for found in _find_lines(small, least):
        if not all(near[place] for place in found.ends(len(near))):
            continue
        line = _pixels_of(found, mask, factor)
        columns = np.flatnonzero(line.any(axis=0))
        if len(columns) and _is_rule(line, columns, mask, removed, ends, to_edges):
            removed |= line
            thicknesses.append(median(line[:, columns].sum(axis=0)))
    if not thicknesses:
        return mask, removed, 0
    rest = np.where(removed, 0, mask).astype(np.uint8)
    thickness = round(max(thicknesses))
    closed = cv2.morphologyEx(rest, cv2.MORPH_CLOSE, np.ones(((thickness + 3) | 1, 1), np.uint8))
    return np.where(removed, closed, rest).astype(np.uint8), removed, len(thicknesses)


def _find_lines(small: Pixels, least: float) -> list[Line]:
    """Runs of ink along straight lines in a small mask, `least` pixels long, the longest first."""
    height, width = small.shape
    gap = max(2, round(MAX_GAP * width)) | 1
    closed = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((1, gap), np.uint8))
    columns = np.arange(width)
    climbs = np.round(np.array(SLOPES)[:, None] * columns).astype(np.int64)  # (slopes, width)
    margin = int(climbs.max()) + 1
    # Most lines cross too little ink to hold such a run. The ink that each crosses is counted first.
    ys, xs = np.nonzero(closed)
    starts = ys + margin - climbs[:, xs]  # where each slope's line through a pixel meets column 0
    counts = np.stack([np.bincount(each, minlength=height + 2 * margin) for each in starts])
    slopes, offsets = np.nonzero(counts[:, margin:-margin] >= least)
    if not len(slopes):
        return []
    padded = np.pad(closed, ((margin, margin), (0, 0)))
    along = padded[offsets[:, None] + margin + climbs[slopes], columns]  # (lines, width)
    runs = columns - np.maximum.accumulate(np.where(along > 0, -1, columns), axis=1)
    lengths, stops = runs.max(axis=1), runs.argmax(axis=1) + 1
    middles = offsets + np.array(SLOPES)[slopes] * (stops - lengths / 2)
    lines = []
    while lengths.max() >= least:
        k = int(lengths.argmax())
        stop, length = int(stops[k]), int(lengths[k])
        lines.append(Line(SLOPES[slopes[k]], int(offsets[k]), stop - length, stop))
        lengths = np.where(abs(middles - middles[k]) <= 4, 0, lengths)
    return lines


def _pixels_of(found: Line, mask: Pixels, factor: int) -> Mask:
    """The ink of a line: as thick as the line is alone, no thicker where other ink joins it."""
    height, width = mask.shape
    none = np.zeros(mask.shape, np.bool_)
    xs = np.arange(max(0, found.start * factor), min(width, (found.stop + 1) * factor))
    ys = np.round(found.offset * factor + found.slope * xs).astype(np.int64)
    reach = 2 * factor + 6
    offsets = np.arange(-reach, reach + 1)[:, None]
    window = ys + offsets
    ink = (mask[window.clip(0, height - 1), xs] > 0) & (window >= 0) & (window < height)
    nearest = np.where(ink, abs(offsets), 2 * reach).argmin(axis=0) - reach
    upper = np.where(~ink & (offsets < nearest), offsets, -reach - 1).max(axis=0) + 1
    lower = np.where(~ink & (offsets > nearest), offsets, reach + 1).min(axis=0)
    has_ink, thickness = ink.any(axis=0), lower - upper
    if not has_ink.any():
        return none
    usual = percentile(thickness[has_ink], 35)
    alone = np.flatnonzero(has_ink & (thickness <= usual + 1))
    if len(alone) < max(4, MIN_ALONE * len(xs)):
        return none
    # Between the columns where it is alone, the line is straight.
    centre = np.interp(np.arange(len(xs)), alone, (ys + (upper + lower) / 2)[alone])
    around = slice(max(0, int(centre.min() - usual)), int(centre.max() + usual) + 1)
    is_near = abs(np.arange(height)[around, None] + 0.5 - centre) <= (usual + 1) / 2
    none[around, xs] = is_near & (mask[around, xs] > 0)
    return none


def _slack(length: int) -> int:
    """How far from an edge of the picture, or from another line, a line along `length` may end."""
    return 3 + round(0.02 * length)


def _is_rule(
    line: Mask,
    columns: NDArray[np.int64],
    mask: Pixels,
    removed: Mask,
    ends: Mask | None,
    to_edges: bool,
) -> bool:
    """Whether a line, which has ink in some columns, is a rule and no part of a digit."""
    height, length = mask.shape
    first, last = int(columns[0]), int(columns[-1])
    if len(columns) < MIN_UNBROKEN * (last + 1 - first):
        return False
    slack = _slack(length)
    if ends is not None:
        y0, y1 = (int(np.flatnonzero(line[:, x]).mean()) for x in (first, last))
        if first >= slack and not ends[max(0, y0 - 2) : y0 + 3, first - slack : first + slack].any():
            return False
        if (
            last < length - slack
            and not ends[max(0, y1 - 2) : y1 + 3, last - slack : last + slack].any()
        ):
            return False
    thickness = median(line[:, columns].sum(axis=0))
    if to_edges:
        is_thin = thickness <= max(3, MAX_RULED_THICKNESS * height)
        return bool(is_thin and first <= slack and last >= length - slack)
    other = np.where(line | removed, 0, mask).astype(np.uint8)
    if ends is None:
        tall, left, right = _along(other, first, last + 1)
        slack = 3 + round(MAX_END * length)
        is_long = last + 1 - first >= MIN_LENGTH_IN_HEIGHTS * tall
        is_thin = thickness <= max(3, MAX_THICKNESS * tall)
        return is_long and is_thin and first <= left + slack and last >= right - slack
    left, _, right, _ = bounding_box(other)
    # A 1 may stand there too, but is not that much taller than all other ink.
    at_side = min(y0, y1, height - 1 - y0, height - 1 - y1) <= SIDE * height and (
        right - left < MAX_BESIDE * (last + 1 - first)
    )
    is_thin = thickness <= 0.12 * (last + 1 - first)
    return is_thin and bool(ends.any() or at_side)


def _along(mask: Pixels, first: int, stop: int) -> tuple[float, int, int]:
    """The height of most ink in a mask, wide parts counting for more; 0 without ink.

    And from where to where the parts of it extend that have a pixel in some columns.
    """
    left, _, width, height, _ = find_parts(mask)[1][1:].astype(np.float64).T
    tall = float(np.average(height, weights=width**2)) if len(width) else 0.0
    is_along = (left < stop) & (left + width > first)
    ends = left[is_along].min(initial=first), (left + width)[is_along].max(initial=stop)
    return tall, int(ends[0]), int(ends[1])


def _remove_boxes(mask: Pixels) -> Pixels:
    """A mask without boxes: connected ink with four straight sides and four corners."""
    labels, stats = find_parts(mask)
    rest = mask.copy()
    for part in np.flatnonzero(stats[:, 2:4].min(axis=1) >= MIN_PICTURE_SIDE // 2)[1:]:
        left, top, width, height, _ = stats[part]
        within = labels[top : top + height, left : left + width]
        y, x = max(2, height // 12), max(2, width // 12)
        corners = product((slice(y), slice(-y, None)), (slice(x), slice(-x, None)))
        if not all((within[corner] == part).any() for corner in corners):
            continue
        own = within == part
        sides = own[:y].any(0), own[-y:].any(0), own[:, :x].any(1), own[:, -x:].any(1)
        if min(side.mean() for side in sides) > BOX_SIDE:
            own[y:-y, x:-x] = False
            rest[top : top + height, left : left + width][own] = 0
    return rest


def find_windows(levels: FloatImage) -> tuple[Mask, bool] | None:
    """The inside of a counter's windows, two or more rectangles of one height; whether they are light.

    None without them. They are darker, or else lighter, than the border of the picture.
    """
    sample = levels[:: len(levels) // 64 + 1, :: levels.shape[1] // 64 + 1]
    around = median(border(levels))
    for is_light, extreme in ((False, float(sample.min())), (True, float(sample.max()))):
        level = (extreme + around) / 2
        is_few = (sample > level if is_light else sample < level).mean() < MIN_WINDOWS
        if is_few or abs(extreme - around) < MIN_CONTRAST:
            continue
        found = (levels > level if is_light else levels < level).astype(np.uint8)
        outlines, _ = cv2.findContours(found, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        sides = np.array([cv2.minAreaRect(outline)[1] for outline in outlines]).reshape(-1, 2)
        areas = np.array([cv2.contourArea(outline) for outline in outlines])
        height, width = sides.max(axis=1), sides.min(axis=1)
        is_window = (areas >= MIN_FILLED * height * width) & (width >= MIN_WINDOW_WIDTH * height)
        tallest = float(height[is_window].max(initial=0))
        is_window &= height >= max(MIN_PICTURE_SIDE, MIN_WINDOW_HEIGHT * tallest)
        if is_window.sum() < 2:
            continue
        inside = np.zeros(levels.shape, np.uint8)
        windows = [outlines[number] for number in np.flatnonzero(is_window)]
        cv2.drawContours(inside, windows, -1, 1, cv2.FILLED)
        edge = 2 * max(1, round(WINDOW_EDGE * tallest)) + 1
        inside = cv2.erode(inside, np.ones((edge, edge), np.uint8))
        if (found[inside > 0] > 0).mean() > 0.5:  # else they are boxes
            return np.asarray(inside, np.bool_), is_light
    return None
