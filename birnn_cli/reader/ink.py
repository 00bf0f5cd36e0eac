"""Find which pixels are ink, and of which digit. Noise, specks, ruled lines and frames are left out."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from birnn_cli.reader import opencv as cv2
from birnn_cli.reader.geometry import FloatImage, PartStats, find_parts, median
from birnn_cli.reader.light import (
    MIN_CONTRAST,
    MIN_UNEVENLY_LIT_SIDE,
    otsu_threshold,
    paper_levels,
)
from birnn_cli.reader.rules import remove_ruled_lines

Mask = NDArray[np.uint8]

MIN_CONTRAST_IN_NOISE = 6.0  # times the paper's noise by which ink must at least stand out
CLEAR_CONTRAST_IN_NOISE = 12.0  # times that noise below which ink is searched for in a smoothed picture
# Standard deviations of that Gaussian smoothing, one after the other, as fractions of the longer side.
SMOOTHING = (1 / 200, 1 / 120)
FAINT_INK = 0.6  # fraction of the threshold that is enough for a pixel connected with ink above it
SPECK_AREA = 0.04  # fraction of the largest part's area below which a part of the ink is a speck
SPECK_SIDE = 0.12  # fraction of the largest part's longer side below which a part of the ink is a speck
# Fraction of the picture's shorter side from which a part can be a digit. Other parts are taken for
# marks of the page only beside such a part.
MIN_DIGIT_SIDE = 0.2
EDGE_WIDTH = 0.08  # fraction of the picture's side up to which a part at an edge is a page mark
EDGE_COVERED = 0.4  # fraction of a picture's edge beyond which a part that covers it is a page mark
EDGE_COVERED_IN_DRAWING = 0.9  # the same fraction in a picture too small for a photograph
EDGE_CONTRAST = 0.75  # fraction of the strongest contrast below which a part at an edge is a page mark
OUTLINE_SMOOTHING = 1 / 320  # standard deviation of the Gaussian that keeps noise off outlines, likewise
OUTLINE_WIDTH = 1 / 90  # width within which the contrast rises there, as a fraction of the longer side
MIN_OUTLINE_STEP = 0.2  # by how much it rises there, as a fraction of the contrast of what it surrounds
MIN_DIGIT_HEIGHT = 0.5  # fraction of the highest digit's height below which ink is no digit of its own
MAX_OVERLAP = 0.25  # overlap of two digits' columns, at most, as a fraction of the narrower one's width


class StrongInk(NamedTuple):
    """Which pixels may be ink, and which surely are."""

    mask: Mask  # 1 where there may be ink, else 0
    strong: NDArray[np.bool_]
    contrast: FloatImage  # that this was measured on: smoothed, where the paper is noisy


def find_ink(found: StrongInk) -> Mask | None:
    """Find which pixels are ink, and of which digit, given those that may be.

    Ink is what is above Otsu's threshold, and fainter pixels connected with it. Ruled lines, frames,
    marks along the picture's edges, and specks are left out. The result has the shape of the mask,
    (height, width), uint8: 0 is paper, 1 the leftmost digit's ink, 2 the next one's, and so on up to
    255; None when there is no ink.
    """
    mask, strong, contrast = found
    mask = remove_ruled_lines(mask)
    part_of_pixel, stats = find_parts(mask)
    is_strong = np.bincount(part_of_pixel[strong], minlength=len(stats)) > 0
    parts = [part for part in range(1, len(stats)) if is_strong[part]]  # part 0 is the paper
    if not parts:
        return None
    parts = _remove_page_marks(parts, part_of_pixel, stats, contrast)
    if not parts:
        return None
    parts = _remove_specks(parts, stats)
    digit_of_part = np.zeros(len(stats), np.uint8)
    for number, digit in enumerate(_group_into_digits(parts, stats), start=1):
        digit_of_part[digit] = min(number, 255)
    return np.asarray(digit_of_part[part_of_pixel])


def find_strong_ink(contrast: FloatImage) -> StrongInk | None:
    """Find which pixels may be ink, from how much each differs from the paper; None without ink."""
    threshold, ink_contrast, noise = _measure(contrast)
    for smoothing in SMOOTHING:
        if ink_contrast >= CLEAR_CONTRAST_IN_NOISE * noise:
            break
        sigma = max(contrast.shape) * smoothing
        contrast = np.asarray(cv2.GaussianBlur(contrast, (0, 0), sigma), np.float32)
        contrast -= median(paper_levels(contrast))
        threshold, ink_contrast, noise = _measure(contrast)
    if ink_contrast < max(MIN_CONTRAST, MIN_CONTRAST_IN_NOISE * noise):
        return None
    mask = (contrast > FAINT_INK * threshold).astype(np.uint8)
    return StrongInk(mask, contrast > threshold, contrast)


def _measure(contrast: FloatImage) -> tuple[float, float, float]:
    """Otsu's threshold, the contrast of the ink above it, and the paper's noise, all in grey levels."""
    threshold = otsu_threshold(contrast.clip(0, None))
    ink, paper = contrast[contrast > threshold], paper_levels(contrast)
    # Below the paper's median there is only noise; above it there may be faint ink. The median deviation
    # times 1.4826 is the standard deviation of a normal distribution.
    middle = median(paper)
    noise = 1.4826 * (middle - median(paper[paper <= middle]))
    return threshold, median(ink) if len(ink) else 0.0, noise


def _largest(parts: list[int], stats: PartStats) -> tuple[int, int]:
    """Area and longer side of the part with the largest area, in pixels."""
    return max((int(stats[part, cv2.CC_STAT_AREA]), int(stats[part, 2:4].max())) for part in parts)


def _remove_specks(parts: list[int], stats: PartStats) -> list[int]:
    """The parts of the ink that are not much smaller than the largest one."""
    largest_area, largest_side = _largest(parts, stats)
    areas, sides = stats[:, cv2.CC_STAT_AREA], stats[:, 2:4].max(axis=1)
    is_speck = (areas < SPECK_AREA * largest_area) | (sides < SPECK_SIDE * largest_side)
    return [part for part in parts if not is_speck[part]]


def _remove_page_marks(
    parts: list[int], part_of_pixel: NDArray[np.int32], stats: PartStats, contrast: FloatImage
) -> list[int]:
    """The parts of the ink that are no frame or mark along an edge.

    If none could be a digit, all of them that have an outline: what is darker where the light fades
    towards an edge of the page has none.
    """
    height, width = part_of_pixel.shape
    total_contrast = np.bincount(part_of_pixel.ravel(), contrast.ravel(), len(stats))
    mean_contrast = total_contrast / stats[:, cv2.CC_STAT_AREA]
    is_weak = mean_contrast / mean_contrast[parts].max() < EDGE_CONTRAST
    is_narrow = np.minimum(stats[:, 2] / width, stats[:, 3] / height) <= EDGE_WIDTH
    edges = part_of_pixel[0], part_of_pixel[-1], part_of_pixel[:, 0], part_of_pixel[:, -1]
    # The fraction of each edge of the picture that each part covers: (4, parts).
    covered = np.stack([np.bincount(edge, minlength=len(stats)) / len(edge) for edge in edges])
    edges_touched = (covered > 0).sum(axis=0)
    if min(height, width) < MIN_UNEVENLY_LIT_SIDE:  # a drawing may be cropped to its ink
        is_mark = covered.max(axis=0) > EDGE_COVERED_IN_DRAWING
    else:
        is_mark = (edges_touched > 1) | (covered.max(axis=0) > EDGE_COVERED)
    is_mark |= (edges_touched > 0) & (is_narrow | is_weak)
    drawn = [part for part in parts if not (is_mark[part] or _is_frame(part, part_of_pixel, stats))]
    has_digit = drawn and _largest(drawn, stats)[1] >= MIN_DIGIT_SIDE * min(height, width)
    if has_digit:
        return drawn
    smooth = cv2.GaussianBlur(contrast, (0, 0), max(height, width) * OUTLINE_SMOOTHING)
    side = max(3, round(OUTLINE_WIDTH * max(height, width)) | 1)
    steps = cv2.morphologyEx(smooth, cv2.MORPH_GRADIENT, np.ones((side, side), np.uint8))
    found = (part_of_pixel > 0).astype(np.uint8)
    outlines = np.where(
        found - cv2.erode(found, np.ones((3, 3), np.uint8), borderValue=1), part_of_pixel, 0
    )
    num_outline = np.bincount(outlines.ravel(), minlength=len(stats))
    step = np.bincount(outlines.ravel(), steps.ravel(), len(stats)) / num_outline.clip(1)
    return [part for part in parts if step[part] >= MIN_OUTLINE_STEP * mean_contrast[part]]


def _is_frame(part: int, part_of_pixel: NDArray[np.int32], stats: PartStats) -> bool:
    """Whether a part of the ink has less than a tenth of its ink in the inner part of its box."""
    left, top, width, height, area = stats[part]
    own = part_of_pixel[top : top + height, left : left + width] == part
    inner = own[height // 10 : height - height // 10, width // 10 : width - width // 10]
    return bool(min(width, height) >= 10 and inner.sum() < 0.1 * area)


def _group_into_digits(parts: list[int], stats: PartStats) -> list[list[int]]:
    """Group the parts of the ink into digits, from left to right.

    Parts above one another, whose columns overlap, are one digit. What is too low to be a digit, such as
    a dot, a dash or a broken piece, is added to its nearest neighbour.
    """
    left, top, width, height = stats[:, :4].T
    right = left + width
    digits: list[list[int]] = []
    right_end = 0  # of the digit that is being collected
    for part in sorted(parts, key=left.__getitem__):
        if digits:
            narrower = min(width[part], right_end - left[digits[-1]].min())
            if right_end - left[part] > MAX_OVERLAP * narrower:
                digits[-1].append(part)
                right_end = max(right_end, right[part])
                continue
        digits.append([part])
        right_end = right[part]

    def height_of(digit: list[int]) -> int:
        return int((top[digit] + height[digit]).max() - top[digit].min())

    min_height = MIN_DIGIT_HEIGHT * max(map(height_of, digits))
    while low := [index for index, digit in enumerate(digits) if height_of(digit) < min_height]:
        gaps = [left[after].min() - right[before].max() for before, after in pairwise(digits)]
        # Gap k lies between digits k and k + 1: merge across the smaller one of the two at its sides.
        candidates = [gap for gap in (low[0] - 1, low[0]) if 0 <= gap < len(gaps)]
        merge = min(candidates, key=gaps.__getitem__)
        digits[merge : merge + 2] = [digits[merge] + digits[merge + 1]]
    return digits
