"""Which pixels are ink, and of which digit; noise, specks, and the page's lines and frames are none."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from birnn_cli.reader.light import MIN_CONTRAST, Grey, border, paper, threshold

Labels = NDArray[np.uint8]

# Multiples of the paper's noise that ink must stand out by.
MIN_CONTRAST_IN_NOISE = 6.0
# Ink that stands out less clearly from the noise is looked for in a smoothed picture: the spread of the
# Gaussian is the longer side by this.
CLEAR_IN_NOISE, SMOOTHING = 12.0, 200
# Ink touching the ink already found may be this much fainter than the threshold between both.
FAINT = 0.6
# Parts of the ink that are smaller than these shares of the largest's area and side are specks.
SPECK_AREA, SPECK_SIDE = 0.04, 0.12
# Beside other ink of at least this share of the picture's side, what lies along an edge of the picture
# is none: within this share of it, touching so much of it, or two edges, or so much fainter.
DRAWN_SIDE, EDGE, EDGE_SHARE, EDGE_TONE = 0.2, 0.08, 0.4, 0.75
# Lines of ruled paper: in pictures of so many pixels; of pieces so long, with gaps so long, ending so
# near the edge, and so wide, in shares of the picture's side.
MIN_RULED_SIDE = 64
LINE_PIECE, LINE_GAP, LINE_END, LINE_WIDTH = 0.1, 0.4, 0.03, 0.015
# Side by side are digits of at least this share of the highest's height, ...
DIGIT_HEIGHT = 0.5
# ... of which the narrower is not above or below the other for more than this share of its width.
OVERLAP = 0.25


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
    level, contrast, noise = _contrast(light)
    if contrast < CLEAR_IN_NOISE * noise:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), max(light.shape) / SMOOTHING), np.float32)
        light -= np.median(paper(light))
        level, contrast, noise = _contrast(light)
    if contrast < max(MIN_CONTRAST, MIN_CONTRAST_IN_NOISE * noise):
        return None
    mask = _without_lines((light > FAINT * level).astype(np.uint8))
    number, labelled, table, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    parts, stats = np.asarray(labelled, np.int32), np.asarray(table, np.int64)
    has_strong = np.bincount(parts[light > level], minlength=number) > 0
    tones = np.bincount(parts.ravel(), light.ravel(), number) / stats[:, 4]
    kept = [
        (int(stats[part][4]), int(max(stats[part][2:4])), part)
        for part in range(1, number)
        if has_strong[part]
    ]
    darkest = max((tones[part] for _, _, part in kept), default=0.0)
    drawn = [
        each for each in kept if not _is_page(parts, each[2], stats[each[2]], tones[each[2]] / darkest)
    ]
    if drawn and max(drawn)[1] >= DRAWN_SIDE * min(light.shape):
        kept = drawn
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


def _contrast(light: Grey) -> tuple[float, float, float]:
    """Otsu's threshold, by how much ink stands out, and the paper's noise; all in grey levels."""
    level = threshold(light.clip(0, None))
    strong, clean = light[light > level], paper(light)
    # The paper's spread, as of a normal one, from its dark side alone: on the other there is ink.
    middle = float(np.median(clean))
    noise = 1.4826 * (middle - float(np.median(clean[clean <= middle])))
    return level, float(np.median(strong)) if len(strong) else 0.0, noise


def _without_lines(mask: Labels) -> Labels:
    """Ink (height, width) of 0 and 1 without the lines of ruled and squared paper.

    A line is thin and goes from edge to edge, strokes over it or not; there are two or more in its
    direction, or all other ink is within. Strokes over it stay whole.
    """
    if min(mask.shape) < MIN_RULED_SIDE:
        return mask
    for axis in (0, 1):  # lines along the rows, then along the columns
        across = mask.shape[1 - axis]
        width = max(2, round(LINE_WIDTH * mask.shape[axis]))

        def bar(along: int, wide: int = 1, axis: int = axis) -> Labels:
            return np.ones((wide, along) if axis == 0 else (along, wide), np.uint8)

        pieces = cv2.morphologyEx(mask, cv2.MORPH_OPEN, bar(max(3, round(LINE_PIECE * across))))
        pieces = np.where(cv2.morphologyEx(pieces, cv2.MORPH_OPEN, bar(1, width + 1)), 0, pieces)
        gap = round(LINE_GAP * across)
        whole = cv2.morphologyEx(np.pad(pieces, gap), cv2.MORPH_CLOSE, bar(gap))[gap:-gap, gap:-gap]
        _, parts, table, _ = cv2.connectedComponentsWithStats(whole, connectivity=8)
        starts, spans, areas = table[1:, axis], table[1:, 2 + axis], table[1:, 4]
        reach = (starts <= LINE_END * across) & (starts + spans >= (1 - LINE_END) * across)
        is_line = reach & (areas <= 2 * width * spans)
        lines = np.isin(parts, 1 + np.flatnonzero(is_line)) & (pieces > 0)
        rest = np.where(lines, 0, mask).astype(np.uint8)
        if not lines.any() or (is_line.sum() == 1 and border(rest).any()):
            continue
        joined = cv2.morphologyEx(rest, cv2.MORPH_CLOSE, bar(1, 2 * width + 1))
        mask = np.where(lines, joined, rest).astype(np.uint8)
    return mask


def _is_page(parts: NDArray[np.int32], number: int, place: NDArray[np.int64], tone: float) -> bool:
    """Whether a part of the ink is of the page: a frame, or what lies along its edges or in a corner.

    Args:
        parts: The number of each pixel's part, of the picture's shape.
        number: Of this part.
        place: Its left, top, width, height and area.
        tone: How much it stands out, as a share of what stands out most.
    """
    left, top, width, height, area = place
    own = parts[top : top + height, left : left + width] == number
    whole_height, whole_width = parts.shape
    edges = [
        float(own[0].sum() / whole_width) if top == 0 else 0.0,
        float(own[-1].sum() / whole_width) if top + height == whole_height else 0.0,
        float(own[:, 0].sum() / whole_height) if left == 0 else 0.0,
        float(own[:, -1].sum() / whole_height) if left + width == whole_width else 0.0,
    ]
    touched = sum(share > 0 for share in edges)
    if touched > 1 or max(edges) > EDGE_SHARE:
        return True
    narrow = min(width / whole_width, height / whole_height) <= EDGE
    if touched and (narrow or tone < EDGE_TONE):
        return True
    inner = own[height // 10 : height - height // 10, width // 10 : width - width // 10]
    return bool(min(width, height) >= 10 and inner.sum() < 0.1 * area)
