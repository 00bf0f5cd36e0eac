"""Where the ink is: paper and its light taken away, strokes found, digits told apart.

Thresholds, morphology and labelling are OpenCV's: with NumPy it imports in a fifth of the time of
scikit-image and half of that of scipy.ndimage, and this is on the way to every answer.
"""

from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Invert = Literal["auto", "yes", "no"]
Pixels = NDArray[np.uint8]
Grey = NDArray[np.float32]
Labels = NDArray[np.uint8]

# Larger pictures are averaged down to it: a digit needs 20 pixels, and light is as smooth at any size.
WORKING_SIDE = 640
# Grey levels (of 255) that ink must stand out by, and multiples of the paper's noise.
MIN_CONTRAST = 10.0
MIN_CONTRAST_IN_NOISE = 6.0
# Ink touching the ink already found may be this much fainter than the threshold between both.
FAINT = 0.6
# Parts of the ink that are smaller than these shares of the largest's area and side are specks.
SPECK_AREA, SPECK_SIDE = 0.04, 0.12
# Beside other ink, what lies within this share of the picture along one edge is none.
EDGE = 0.08
# Smaller pictures are drawings without uneven light.
MIN_LIT_SIDE = 32
# Side by side are digits of at least this share of the highest's height, ...
DIGIT_HEIGHT = 0.5
# ... of which the narrower is not above or below the other for more than this share of its width.
OVERLAP = 0.25


def shrink(grey: Pixels) -> Grey:
    """At most WORKING_SIDE wide and high, by area: (height, width) float32 in 0 to 255."""
    scale = WORKING_SIDE / max(grey.shape)
    if scale >= 1:
        return grey.astype(np.float32)
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)


def find_polarity(grey: Grey, invert: Invert) -> Grey | None:
    """Make ink light on black, with the paper's uneven light taken away.

    The paper is most of the picture, or most of its border. Its light is what remains when strokes
    are closed over (a morphological opening of light ink), smoothed.

    Args:
        grey: Shape (height, width), float32 in 0 to 255.
        invert: `yes` when ink is darker than paper, `no` when it is lighter, `auto` to find out.

    Returns:
        Shape (height, width), float32: how much lighter than the paper; None when nothing is.
    """
    if min(grey.shape) < 3 or np.ptp(grey) < MIN_CONTRAST:
        return None
    if invert == "auto":
        share, on_border = _bright_shares(grey)
        # The ink reaches the border, or light falls from a side: without it, then.
        if 0.1 < on_border < 0.9 and min(grey.shape) >= MIN_LIT_SIDE:
            level = _level(grey)
            if np.ptp(level) < MIN_CONTRAST:
                return None
            share, on_border = _bright_shares(level)
        # Ink covers no three quarters of a picture; where light and dark are nearer, the border decides.
        invert = "yes" if share > 0.75 or (share > 0.25 and on_border > 0.5) else "no"
    light = 255 - grey if invert == "yes" else grey
    side = max(light.shape)
    small_side = min(side, 128)
    scale = small_side / side
    size = (max(1, round(light.shape[1] * scale)), max(1, round(light.shape[0] * scale)))
    small = cv2.resize(light, size, interpolation=cv2.INTER_AREA)
    # Wider than any stroke: half of the picture.
    kernel = np.ones((small_side // 2 | 1, small_side // 2 | 1), np.uint8)
    paper = cv2.morphologyEx(small, cv2.MORPH_OPEN, kernel, borderType=cv2.BORDER_REPLICATE)
    paper = cv2.GaussianBlur(paper, (0, 0), small_side / 12, borderType=cv2.BORDER_REPLICATE)
    lit = light - cv2.resize(paper, light.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(lit - np.median(_paper(lit)), np.float32)


def _bright_shares(grey: Grey) -> tuple[float, float]:
    """Which share of a picture is the brighter of two classes, and which of its border."""
    bright = grey > _threshold(grey)
    border = np.concatenate([bright[0], bright[-1], bright[:, 0], bright[:, -1]])
    return float(bright.mean()), float(border.mean())


def _level(grey: Grey) -> Grey:
    """Grey levels with the slow course of the light taken away: a quadratic surface, fitted."""
    height, width = grey.shape
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    terms = np.stack([np.broadcast_to(term, grey.shape) for term in (1, x, y, x * x, x * y, y * y)], -1)
    some = (slice(None, None, max(1, height // 64)), slice(None, None, max(1, width // 64)))
    fit, *_ = np.linalg.lstsq(terms[some].reshape(-1, 6), grey[some].ravel(), rcond=None)
    return np.asarray(grey - terms @ fit, np.float32)


def find_ink(light: Grey) -> Labels | None:
    """Which pixels are ink, and of which digit.

    Otsu's threshold, with fainter pixels that touch the ink it finds; specks, and frames around the
    picture, are left out.

    Args:
        light: Shape (height, width), float32: how much lighter than the paper.

    Returns:
        Of the same shape: 0 is paper, 1 the leftmost digit's ink, 2 that of the next, …; None when
        there is no ink.
    """
    threshold = _threshold(light.clip(0, None))
    # The paper's spread, as of a normal one, from its dark side alone: on the other there is ink.
    paper = _paper(light)
    middle = float(np.median(paper))
    noise = 1.4826 * (middle - float(np.median(paper[paper <= middle])))
    strong = light > threshold
    if not strong.any() or float(np.median(light[strong])) < max(
        MIN_CONTRAST, MIN_CONTRAST_IN_NOISE * noise
    ):
        return None
    number, parts, table, _ = cv2.connectedComponentsWithStats(
        (light > FAINT * threshold).astype(np.uint8), connectivity=8
    )
    stats = np.asarray(table, np.int64)
    has_strong = np.bincount(parts[strong], minlength=number) > 0
    height, width = light.shape
    kept = []
    for part in range(1, number):
        part_width, part_height, area = stats[part][2:]
        spans = part_width > 0.9 * width and part_height > 0.9 * height
        frame = spans and area < 0.2 * part_width * part_height and _hugs_border(parts == part)
        if has_strong[part] and not frame:
            kept.append((int(area), int(max(part_width, part_height)), part))
    inner = [each for each in kept if not _is_edge(stats[each[2]], height, width)]
    kept = inner or kept
    if not kept:
        return None
    largest_area, largest_side = max(kept)[0], max(kept)[1]
    whole = [
        part
        for area, side, part in kept
        if area >= SPECK_AREA * largest_area and side >= SPECK_SIDE * largest_side
    ]
    digits = np.zeros(number, np.uint8)
    for digit, members in enumerate(_side_by_side(whole, stats), start=1):
        digits[members] = min(digit, 255)
    return np.asarray(digits[parts])


def _side_by_side(parts: list[int], stats: NDArray[np.int64]) -> list[list[int]]:
    """Which parts of the ink are one digit, from left to right.

    Args:
        parts: Their numbers.
        stats: Left, top, width, height of each number, in pixels.
    """
    left, top, width, height = stats[:, :4].T
    digits: list[list[int]] = []
    edge = 0
    for part in sorted(parts, key=left.__getitem__):
        narrower = min(width[part], edge - left[digits[-1]].min()) if digits else 0
        if digits and edge - left[part] > OVERLAP * narrower:
            digits[-1].append(part)
        else:
            digits.append([part])
            edge = 0
        edge = max(edge, left[part] + width[part])

    def tall(digit: list[int]) -> int:
        return int((top[digit] + height[digit]).max() - top[digit].min())

    # A dot, a dash or a broken piece is part of the digit that it is next to.
    highest = max(map(tall, digits))
    while small := [k for k, digit in enumerate(digits) if tall(digit) < DIGIT_HEIGHT * highest]:
        k = small[0]
        gaps = [
            left[after].min() - (left[before] + width[before]).max()
            for before, after in pairwise(digits)
        ]
        at = min((n for n in (k - 1, k) if 0 <= n < len(gaps)), key=gaps.__getitem__)
        digits[at : at + 2] = [digits[at] + digits[at + 1]]
    return digits


def _is_edge(part: NDArray[np.int64], height: int, width: int) -> bool:
    """Whether a part of the ink is a line along one edge of the picture: a shadow, a page's end."""
    left, top, right, bottom = part[0], part[1], part[0] + part[2], part[1] + part[3]
    margin = EDGE * np.array([width, height, width, height])
    return bool((np.array([right, bottom, width - left, height - top]) <= margin).any())


def _hugs_border(mask: NDArray[np.bool_]) -> bool:
    """Whether a shape is mostly within a tenth of the picture's edge, as a frame is."""
    height, width = mask.shape
    inner = mask[height // 10 : height - height // 10, width // 10 : width - width // 10]
    return bool(inner.sum() < 0.1 * mask.sum())


def _paper(light: Grey) -> Grey:
    """The grey levels of what is no ink: the darker of two classes, of any number."""
    return light[light <= _threshold(light)]


def _threshold(values: Grey) -> float:
    """Otsu's threshold between two classes of grey levels."""
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return high
    levels = ((values - low) * (255 / (high - low))).round().astype(np.uint8)
    level, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return low + (level + 0.5) * (high - low) / 255  # between the two levels, whatever rounding did
