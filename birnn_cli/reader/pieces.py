"""Rows of ink, and the pieces of them that may be digits: more pieces than digits, to choose from.

What lies between two cuts is a digit, a part of one, or several: that is for who reads them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from birnn_cli.reader.cuts import find_cuts
from birnn_cli.reader.geometry import (
    Box,
    FloatImage,
    Mask,
    PartStats,
    Pixels,
    bounding_box,
    find_parts,
    median,
)
from birnn_cli.reader.ink import StrongInk
from birnn_cli.reader.light import MIN_CONTRAST
from birnn_cli.reader.normalise import normalise
from birnn_cli.reader.rules import remove_rules

MarkKind = Literal["point", "dash", "other"]

MIN_LARGE = 0.3  # fraction of the tallest part's height from which a part shows where a row is
MIN_ROW = 0.4  # fraction of the highest row's height from which ink is a row of digits
SAME_ROW = 0.4  # overlap in height of neighbours in a row, at least, as a fraction of the lower one
# Lengths and widths in heights of the row's digits.
MIN_HEIGHT = 0.5  # of a digit
MIN_MARK = 0.1  # longer side of a mark that is worth reporting
MAX_POINT = 0.35  # longer side of a decimal point or comma
NEAR = 0.2  # paper between two parts that may be one broken digit
MAX_WIDTH = 1.5  # of a digit
MAX_OVERLAP = 0.5  # overlap of two parts' columns, at most, as a fraction of the narrower one's width
MIN_FAINT = 0.15  # fraction of the ink's contrast from which what stands apart may be faint ink
MIN_APART = 0.2  # fraction of the highest row's height from which ink in no row may be digits
MIN_STRONG = 0.3  # fraction of a part that is surely ink, at least: of a digit it is more than half
EDGE_WIDTH = 0.04  # fraction of a picture's side up to which ink at its edge belongs to the page


@dataclass(frozen=True, eq=False)
class Piece:
    """Ink that may be a digit."""

    box: Box  # in pixels of the contrast
    pixels: Pixels  # as the network reads it: (28, 28) uint8
    size: tuple[float, float]  # width and height, in heights of the row's digits
    crossed: float = 0.0  # ink that the cuts on its two sides cross, likewise
    gaps: int = 0  # how many cuts within it would cross no ink
    # Between which of the group's cuts it is.
    first: int = 0
    last: int = 1


@dataclass(frozen=True, eq=False)
class InkGroup:
    """Connected ink, and parts above one another: one digit, several that touch, or a part of one."""

    box: Box  # in pixels of the contrast
    contrast: FloatImage  # within the box
    ink: Mask
    height: float  # of the row's digits, in pixels

    @cached_property
    def whole(self) -> Piece:
        """All of its ink as one piece."""
        return self._piece(self.ink)

    def pieces(self) -> Iterator[Piece]:
        """All pieces between two of its cuts that are neither too small nor too wide for a digit."""
        cuts = find_cuts(self.ink, self.height)
        x = np.arange(self.ink.shape[1])
        last = len(cuts) - 1
        for i in range(last):
            for j in range(i + 1, last + 1):
                gaps = sum(cut.crossed == 0 for cut in cuts[i + 1 : j])
                if (i, j) == (0, last):
                    yield replace(self.whole, gaps=gaps, last=last)
                    continue
                ink = self.ink & (x >= cuts[i].columns[:, None]) & (x < cuts[j].columns[:, None])
                left, top, right, bottom = bounding_box(ink)
                is_small = bottom - top < MIN_HEIGHT * self.height
                if not is_small and right - left <= MAX_WIDTH * self.height:
                    piece, crossed = self._piece(ink), cuts[i].crossed + cuts[j].crossed
                    yield replace(piece, crossed=crossed / self.height, gaps=gaps, first=i, last=j)

    def _piece(self, ink: Mask) -> Piece:
        left, top, right, bottom = bounding_box(ink)
        x, y = self.box[:2]
        return Piece(
            (x + left, y + top, x + right, y + bottom),
            normalise(self.contrast[top:bottom, left:right], ink[top:bottom, left:right]),
            ((right - left) / self.height, (bottom - top) / self.height),
        )

    def is_near(self, other: "InkGroup") -> bool:
        """Whether the next group may hold more of the same digit."""
        return other.box[0] - self.box[2] <= NEAR * self.height

    def joined(self, other: "InkGroup", contrast: FloatImage) -> "InkGroup":
        """This group and another one as one."""
        left, top = (min(self.box[k], other.box[k]) for k in (0, 1))
        right, bottom = (max(self.box[k], other.box[k]) for k in (2, 3))
        ink = np.zeros((bottom - top, right - left), np.bool_)
        for each in (self, other):
            x, y = each.box[0] - left, each.box[1] - top
            ink[y : y + each.ink.shape[0], x : x + each.ink.shape[1]] |= each.ink
        return InkGroup((left, top, right, bottom), contrast[top:bottom, left:right], ink, self.height)


@dataclass(frozen=True)
class InkMark:
    """Ink beside digits that is too small to be one, such as a decimal point."""

    kind: MarkKind
    box: Box


@dataclass(frozen=True, eq=False)
class Row:
    """Digits side by side: groups of ink from left to right, with paper between them."""

    contrast: FloatImage  # of the whole picture
    groups: list[InkGroup]
    marks: list[InkMark] = field(default_factory=list)
    left_out: bool = False  # whether other ink could be a digit, and is in no group


def find_rows(contrast: FloatImage, found: StrongInk) -> list[Row]:
    """The rows of digits in a picture, from top to bottom.

    `contrast` says how much each pixel differs from the paper, `found` which of them may be ink.
    """
    labels, stats = find_parts(remove_rules(found.mask))
    strong = np.flatnonzero(found.strong)
    num_strong = np.bincount(labels.ravel()[strong], minlength=len(stats))
    num_strong[0] = 0  # those in rules
    is_ink = num_strong > MIN_STRONG * stats[:, 4]
    of_page = _of_page(stats, labels.shape)
    left_out = _faint_ink(found.contrast, strong) + _boxes(
        stats[(num_strong > 0) & ~(is_ink & ~of_page)]
    )
    is_ink &= ~of_page
    _, top, width, height, area = stats.T
    parts = np.flatnonzero(is_ink)
    if not len(parts):
        return []
    is_large = is_ink & (height >= MIN_LARGE * height[parts].max())
    large_rows = _same_rows(np.flatnonzero(is_large), stats)
    usual_heights = [
        float(np.average(height[members], weights=np.minimum(area[members], 3 * height[members])))
        for members in large_rows
    ]
    highest = max(usual_heights)
    middle = top + height / 2
    is_apart = is_ink & (height >= MIN_APART * highest)
    rows = []
    for members, usual in zip(large_rows, usual_heights, strict=True):
        if usual < MIN_ROW * highest:
            continue
        low, high = top[members].min(), (top + height)[members].max() + NEAR * usual
        is_small = is_ink & ~is_large & (middle >= low) & (middle <= high)
        is_apart[members] = is_apart[is_small] = False
        is_small &= np.maximum(width, height) >= MIN_MARK * usual
        rows.append(([*members, *np.flatnonzero(is_small)], usual))
    rows.sort(key=lambda row: median(middle[row[0]]))
    found_rows = (_row(contrast, labels, stats, members, usual, left_out) for members, usual in rows)
    return [
        replace(row, left_out=row.left_out or bool(is_apart.any())) for row in found_rows if row.groups
    ]


def _faint_ink(levels: FloatImage, strong: NDArray[np.int64]) -> list[Box]:
    """Boxes around ink that is too faint to be read, and stands apart from the rest.

    `strong` are the places of strong ink in the flattened levels.
    """
    least = max(MIN_CONTRAST, MIN_FAINT * median(levels.ravel()[strong]))
    found = (levels > least).astype(np.uint8)
    labels, stats = find_parts(found)
    is_apart = ~_of_page(stats, levels.shape)
    is_apart[labels.ravel()[strong]] = False
    is_apart[0] = False
    return _boxes(stats[is_apart])


def _boxes(stats: PartStats) -> list[Box]:
    return [(int(x), int(y), int(x + w), int(y + h)) for x, y, w, h, _ in stats]


def _row(
    contrast: FloatImage,
    labels: NDArray[np.int32],
    stats: PartStats,
    parts: list[int],
    usual: float,
    left_out: list[Box],
) -> Row:
    """The row that some parts of the ink make up, given the usual height of its digits."""
    low, high = stats[parts, 1].min(), (stats[parts, 1] + stats[parts, 3]).max()
    is_left_out = any(
        MIN_HEIGHT * usual <= bottom - top <= MAX_WIDTH * usual and low <= (top + bottom) / 2 <= high
        for _, top, _, bottom in left_out
    )
    groups: list[InkGroup] = []
    marks: list[InkMark] = []
    for members in _above_one_another(parts, stats):
        left, top = stats[members, :2].min(axis=0)
        right, bottom = (stats[members, :2] + stats[members, 2:4]).max(axis=0)
        box: Box = (int(left), int(top), int(right), int(bottom))
        if bottom - top >= MIN_HEIGHT * usual:
            ink = np.isin(labels[top:bottom, left:right], members)
            groups.append(InkGroup(box, contrast[top:bottom, left:right], ink, usual))
            continue
        is_flat = right - left > 1.5 * (bottom - top)
        is_point = max(right - left, bottom - top) <= MAX_POINT * usual and not is_flat
        marks.append(InkMark("point" if is_point else "dash" if is_flat else "other", box))
        # What the picture's edge cuts off may be the rest of a digit.
        is_left_out |= not is_point and (left == 0 or right == contrast.shape[1])
    return Row(contrast, groups, marks, bool(is_left_out))


def _of_page(stats: PartStats, shape: tuple[int, ...]) -> Mask:
    """Which parts of the ink are marks along an edge of the picture."""
    left, top, width, height, _ = stats.T
    rows, columns = shape
    touched = (left == 0) * 1 + (top == 0) + (left + width == columns) + (top + height == rows)
    is_narrow = (width <= EDGE_WIDTH * columns) | (height <= EDGE_WIDTH * rows)
    return (touched > 2) | ((touched > 0) & is_narrow)  # type: ignore[no-any-return]


def _same_rows(parts: NDArray[np.int64], stats: PartStats) -> list[list[int]]:
    """Group parts into rows: each overlaps in height with one of the two before it."""
    left, top, _, height, _ = stats.T

    def is_beside(one: int, other: int) -> bool:
        overlap = min(top[one] + height[one], top[other] + height[other]) - max(top[one], top[other])
        return bool(overlap >= SAME_ROW * min(height[one], height[other]))

    rows: list[list[int]] = []
    for part in sorted(parts.tolist(), key=left.__getitem__):
        near = [row for row in rows if any(is_beside(part, each) for each in row[-2:])]
        rows = [row for row in rows if row not in near]
        rows.append([*sorted((each for row in near for each in row), key=left.__getitem__), part])
    return rows


def _above_one_another(parts: list[int], stats: PartStats) -> list[list[int]]:
    """Group parts whose columns overlap, from left to right."""
    left = stats[:, 0]
    right = left + stats[:, 2]
    groups: list[list[int]] = []
    for part in sorted(parts, key=left.__getitem__):
        if groups:
            start, end = left[groups[-1]].min(), right[groups[-1]].max()
            narrower = min(right[part] - left[part], end - start)
            if min(end, right[part]) - left[part] > MAX_OVERLAP * narrower:
                groups[-1].append(part)
                continue
        groups.append([part])
    return groups
