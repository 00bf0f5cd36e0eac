"""Find which pixels are ink, and of which digit. Noise, specks, ruled lines and frames are left out."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from birnn_cli.reader.light import MIN_CONTRAST, FloatImage, border, otsu_threshold, paper_levels

Mask = NDArray[np.uint8]
# A row for each connected part of the ink: left, top, width, height and area, in pixels.
PartStats = NDArray[np.int64]

# Times the paper's noise by which ink must at least stand out.
MIN_CONTRAST_IN_NOISE = 6.0
# Times the paper's noise below which ink is searched for in a smoothed picture.
CLEAR_CONTRAST_IN_NOISE = 12.0
# Standard deviation of that smoothing (a Gaussian), as a fraction of the longer side.
SMOOTHING = 1 / 200
# Fraction of the threshold that is enough for a pixel connected with ink above the threshold.
FAINT_INK = 0.6
# Fraction of the largest part's area below which a part of the ink is a speck.
SPECK_AREA = 0.04
# Fraction of the largest part's longer side below which a part of the ink is a speck.
SPECK_SIDE = 0.12
# Fraction of the picture's shorter side from which a part can be a digit. Other parts are taken for
# marks of the page only beside such a part.
MIN_DIGIT_SIDE = 0.2
# Fraction of the picture's width or height up to which a part that touches an edge belongs to the page.
EDGE_WIDTH = 0.08
# Fraction of an edge of the picture beyond which a part that covers it belongs to the page.
EDGE_COVERED = 0.4
# Fraction of the strongest part's contrast below which a part that touches an edge belongs to the page.
EDGE_CONTRAST = 0.75
# Pixels on the shorter side from which a picture is searched for ruled lines.
MIN_RULED_SIDE = 64
# Length of the shortest piece of a ruled line, as a fraction of the picture's side along the line.
LINE_PIECE = 0.1
# Length of the longest gap between two pieces of one line, as a fraction of the same side.
LINE_GAP = 0.4
# Distance from the picture's edge within which a ruled line must end, as a fraction of the same side.
LINE_END = 0.03
# Width of the widest ruled line, as a fraction of the picture's side across the line.
LINE_WIDTH = 0.015
# Fraction of the highest digit's height below which ink is a dot, a dash or a broken piece, not a digit.
MIN_DIGIT_HEIGHT = 0.5
# Overlap of two digits' columns, at most, as a fraction of the narrower one's width.
MAX_OVERLAP = 0.25


def find_ink(contrast: FloatImage) -> Mask | None:
    """Find which pixels are ink, and of which digit.

    Ink is what is above Otsu's threshold, and fainter pixels connected with it. Ruled lines, frames,
    marks along the picture's edges, and specks are left out.

    Args:
        contrast: Shape (height, width), float32: how much each pixel differs from the paper.

    Returns:
        Of the same shape, uint8: 0 is paper, 1 the leftmost digit's ink, 2 the next one's, and so on up
        to 255; None when there is no ink.
    """
    threshold, ink_contrast, noise = _measure(contrast)
    if ink_contrast < CLEAR_CONTRAST_IN_NOISE * noise:
        sigma = max(contrast.shape) * SMOOTHING
        contrast = np.asarray(cv2.GaussianBlur(contrast, (0, 0), sigma), np.float32)
        contrast -= np.median(paper_levels(contrast))
        threshold, ink_contrast, noise = _measure(contrast)
    if ink_contrast < max(MIN_CONTRAST, MIN_CONTRAST_IN_NOISE * noise):
        return None
    mask = _remove_ruled_lines((contrast > FAINT_INK * threshold).astype(np.uint8))
    count, labels, table, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    part_of_pixel, stats = np.asarray(labels, np.int32), np.asarray(table, np.int64)
    is_strong = np.bincount(part_of_pixel[contrast > threshold], minlength=count) > 0
    parts = [part for part in range(1, count) if is_strong[part]]  # part 0 is the paper
    if not parts:
        return None
    total_contrast = np.bincount(part_of_pixel.ravel(), contrast.ravel(), count)
    mean_contrast = total_contrast / stats[:, cv2.CC_STAT_AREA]
    parts = _remove_page_marks(parts, part_of_pixel, stats, mean_contrast)
    digit_of_part = np.zeros(count, np.uint8)
    for number, digit in enumerate(_group_into_digits(_remove_specks(parts, stats), stats), start=1):
        digit_of_part[digit] = min(number, 255)
    return np.asarray(digit_of_part[part_of_pixel])


def _measure(contrast: FloatImage) -> tuple[float, float, float]:
    """Otsu's threshold, the contrast of the ink above it, and the paper's noise, all in grey levels."""
    threshold = otsu_threshold(contrast.clip(0, None))
    ink, paper = contrast[contrast > threshold], paper_levels(contrast)
    # Below the paper's median there is only noise; above it there may be faint ink. The median deviation
    # times 1.4826 is the standard deviation of a normal distribution.
    middle = float(np.median(paper))
    noise = 1.4826 * (middle - float(np.median(paper[paper <= middle])))
    return threshold, float(np.median(ink)) if len(ink) else 0.0, noise


def _remove_ruled_lines(mask: Mask) -> Mask:
    """Remove the lines of ruled and squared paper from a mask (height, width) of 0 and 1.

    A ruled line is thin and goes from edge to edge, even if strokes cross it. There are two or more in
    its direction, or else all other ink keeps clear of the picture's border. Strokes that cross it stay
    whole.
    """
    if min(mask.shape) < MIN_RULED_SIDE:
        return mask
    for axis in (0, 1):  # lines along the rows, then lines along the columns
        length = mask.shape[1 - axis]
        width = max(2, round(LINE_WIDTH * mask.shape[axis]))

        def bar(along: int, across: int = 1, axis: int = axis) -> Mask:
            return np.ones((across, along) if axis == 0 else (along, across), np.uint8)

        pieces = cv2.morphologyEx(mask, cv2.MORPH_OPEN, bar(max(3, round(LINE_PIECE * length))))
        too_wide = cv2.morphologyEx(pieces, cv2.MORPH_OPEN, bar(1, width + 1))
        pieces = np.where(too_wide, 0, pieces)
        gap = round(LINE_GAP * length)
        bridged = cv2.morphologyEx(np.pad(pieces, gap), cv2.MORPH_CLOSE, bar(gap))[gap:-gap, gap:-gap]
        _, part_of_pixel, stats, _ = cv2.connectedComponentsWithStats(bridged, connectivity=8)
        starts, lengths, areas = stats[1:, axis], stats[1:, 2 + axis], stats[1:, cv2.CC_STAT_AREA]
        from_edge_to_edge = (starts <= LINE_END * length) & (starts + lengths >= (1 - LINE_END) * length)
        is_line = from_edge_to_edge & (areas <= 2 * width * lengths)
        lines = np.isin(part_of_pixel, 1 + np.flatnonzero(is_line)) & (pieces > 0)
        rest = np.where(lines, 0, mask).astype(np.uint8)
        if not lines.any() or (is_line.sum() == 1 and border(rest).any()):
            continue
        strokes_across = cv2.morphologyEx(rest, cv2.MORPH_CLOSE, bar(1, 2 * width + 1))
        mask = np.where(lines, strokes_across, rest).astype(np.uint8)
    return mask


def _largest(parts: list[int], stats: PartStats) -> tuple[int, int]:
    """Area and longer side of the part with the largest area, in pixels."""
    return max((int(stats[part, cv2.CC_STAT_AREA]), int(stats[part, 2:4].max())) for part in parts)


def _remove_specks(parts: list[int], stats: PartStats) -> list[int]:
    """The parts of the ink that are not much smaller than the largest one."""
    largest_area, largest_side = _largest(parts, stats)
    return [
        part
        for part in parts
        if stats[part, cv2.CC_STAT_AREA] >= SPECK_AREA * largest_area
        and stats[part, 2:4].max() >= SPECK_SIDE * largest_side
    ]


def _remove_page_marks(
    parts: list[int],
    part_of_pixel: NDArray[np.int32],
    stats: PartStats,
    mean_contrast: NDArray[np.float64],
) -> list[int]:
    """The parts of the ink that are no frame or mark along an edge; if none could be a digit, all."""
    strongest = max(mean_contrast[part] for part in parts)
    drawn = [
        part
        for part in parts
        if not _is_page_mark(part_of_pixel, part, stats[part], mean_contrast[part] / strongest)
    ]
    if drawn and _largest(drawn, stats)[1] >= MIN_DIGIT_SIDE * min(part_of_pixel.shape):
        return drawn
    return parts


def _is_page_mark(
    part_of_pixel: NDArray[np.int32], part: int, stats: PartStats, relative_contrast: float
) -> bool:
    """Whether a part of the ink belongs to the page: a frame, or what lies along an edge or corner."""
    left, top, width, height, area = stats
    own = part_of_pixel[top : top + height, left : left + width] == part
    picture_height, picture_width = part_of_pixel.shape
    covered = [  # the fraction of each edge of the picture
        float(own[0].sum() / picture_width) if top == 0 else 0.0,
        float(own[-1].sum() / picture_width) if top + height == picture_height else 0.0,
        float(own[:, 0].sum() / picture_height) if left == 0 else 0.0,
        float(own[:, -1].sum() / picture_height) if left + width == picture_width else 0.0,
    ]
    edges_touched = sum(fraction > 0 for fraction in covered)
    if edges_touched > 1 or max(covered) > EDGE_COVERED:
        return True
    is_narrow = min(width / picture_width, height / picture_height) <= EDGE_WIDTH
    if edges_touched and (is_narrow or relative_contrast < EDGE_CONTRAST):
        return True
    # A frame has less than a tenth of its ink in the inner part of its box.
    inner = own[height // 10 : height - height // 10, width // 10 : width - width // 10]
    return bool(min(width, height) >= 10 and inner.sum() < 0.1 * area)


def _group_into_digits(parts: list[int], stats: PartStats) -> list[list[int]]:
    """Group the parts of the ink into digits, from left to right.

    Parts above one another, whose columns overlap, are one digit. What is too low to be a digit, such as
    a dot, a dash or a broken piece, is added to its nearest neighbour.
    """
    left, top, width, height = stats[:, :4].T
    digits: list[list[int]] = []
    right_end = 0  # of the digit that is being collected
    for part in sorted(parts, key=left.__getitem__):
        if digits:
            narrower = min(width[part], right_end - left[digits[-1]].min())
            if right_end - left[part] > MAX_OVERLAP * narrower:
                digits[-1].append(part)
                right_end = max(right_end, left[part] + width[part])
                continue
        digits.append([part])
        right_end = left[part] + width[part]

    def height_of(digit: list[int]) -> int:
        return int((top[digit] + height[digit]).max() - top[digit].min())

    min_height = MIN_DIGIT_HEIGHT * max(map(height_of, digits))
    while low := [index for index, digit in enumerate(digits) if height_of(digit) < min_height]:
        gaps = [
            left[after].min() - (left[before] + width[before]).max()
            for before, after in pairwise(digits)
        ]
        # Gap k lies between digits k and k + 1: merge across the smaller one of the two at its sides.
        candidates = [gap for gap in (low[0] - 1, low[0]) if 0 <= gap < len(gaps)]
        merge = min(candidates, key=gaps.__getitem__)
        digits[merge : merge + 2] = [digits[merge] + digits[merge + 1]]
    return digits
