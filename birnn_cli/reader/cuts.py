"""Where ink can be cut into digits: more cuts than digits, to choose from.

A cut goes from the top of some ink to its bottom. It bends around ink where it crosses less of it than
those beside it do, or goes straight through a neck, where all of the ink is low.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from birnn_cli.reader.geometry import FloatImage, Mask

Columns = NDArray[np.int32]

# Lengths and widths in heights of the row's digits.
CUT_STEP = 0.12  # smallest distance of two cuts
MAX_CROSSED = 0.3  # ink that a cut crosses at most
STEP_COST = 0.15  # of a cut's step to the side, in pixels of ink
MAX_NECK = 0.6  # height of the ink at a neck, at most
NECK_REACH = 0.2  # how far from a neck the ink is higher on both sides
NECK_DEPTH = 1.5  # how many times as high it is there, at least


class Cut(NamedTuple):
    """Where some ink can be cut."""

    columns: Columns  # of the first pixel on its right, in each row of the ink
    crossed: float  # ink that it crosses, in pixels


def find_cuts(ink: Mask, height: float) -> list[Cut]:
    """The ink's left edge, all cuts, and its right edge; `height` is that of the row's digits."""
    rows, columns = ink.shape
    cost = ink.astype(np.float32)
    (above, steps_up), (below, steps_down) = (
        _cheapest_ways(half) for half in (cost[: rows // 2 + 1][::-1], cost[rows // 2 :])
    )
    total = above + below - cost[rows // 2]
    step = max(2, round(CUT_STEP * height))
    inside = range(step, columns - step)
    places = [
        x
        for x in inside
        if total[x] <= MAX_CROSSED * height and total[x] <= total[x - step : x + step + 1].min()
    ]
    bent = _middles(places, step)
    # Of two round digits that lean on each other, the cuts that cross least ink take off the sides.
    necks = [x for x in _necks(ink, height, inside) if all(abs(x - other) > step / 2 for other in bent)]
    cuts = [Cut(np.zeros(rows, np.int32), 0.0)]
    for x in sorted([*bent, *necks]):
        if x in bent:
            way = np.concatenate([_follow(steps_up, x)[::-1], _follow(steps_down, x)[1:]])
            crossed = float(total[x])
        else:
            way = np.full(rows, x, np.int32)
            crossed = float(ink[:, x].sum())
        cuts.append(Cut(np.maximum(way, cuts[-1].columns), crossed))
    return [*cuts, Cut(np.full(rows, columns, np.int32), 0.0)]


def _necks(ink: Mask, height: float, inside: range) -> list[int]:
    """Columns where the ink, from its top to its bottom, is much lower than on both sides."""
    extent = len(ink) - ink.argmax(axis=0) - ink[::-1].argmax(axis=0)
    extent[~ink.any(axis=0)] = 0
    reach = max(2, round(NECK_REACH * height))
    places = []
    for x in inside:
        if not 0 < extent[x] <= MAX_NECK * height:
            continue
        before, after = extent[max(0, x - reach) : x], extent[x + 1 : x + reach + 1]
        highest = min(before.max(), after.max())
        if extent[x] <= min(before.min(), after.min(), highest / NECK_DEPTH):
            places.append(x)
    return _middles(places, reach)


def _cheapest_ways(cost: FloatImage) -> tuple[FloatImage, NDArray[np.int8]]:
    """The least cost of a way from each pixel of the first row to the last; each pixel's next step."""
    total = cost[-1]
    steps = np.zeros(cost.shape, np.int8)
    padded = np.full(cost.shape[1] + 2, np.inf, np.float32)  # beyond the sides there is no way
    for y in range(len(cost) - 2, -1, -1):
        padded[1:-1] = total
        ways = np.stack([padded[1:-1], padded[:-2] + STEP_COST, padded[2:] + STEP_COST])
        best = ways.argmin(axis=0)
        steps[y] = np.array([0, -1, 1], np.int8)[best]
        total = cost[y] + ways.min(axis=0)
    return total, steps


def _middles(places: list[int], reach: int) -> list[int]:
    """Of places side by side, `reach` of them or less, the middle one."""
    middles = []
    while places:
        run = [x for k, x in enumerate(places) if x == places[0] + k][: reach + 1]
        middles.append(run[len(run) // 2])
        places = places[len(run) :]
    return middles


def _follow(steps: NDArray[np.int8], x: int) -> Columns:
    way = np.empty(len(steps), np.int32)
    for y, row in enumerate(steps):
        way[y] = x
        x += int(row[x])
    return way
