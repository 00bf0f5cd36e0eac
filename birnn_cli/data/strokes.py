"""Digits that the program draws itself: no download, any number, the same ones every time.

A digit is a few curves through control points. Each picture takes one way of writing its digit,
moves the points, slants, turns and bends the whole, chooses a pen, and is drawn large with Pillow,
then brought to MNIST's convention.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from birnn_cli.data.convention import BOX_SIZE, place

Float = NDArray[np.float64]

# The ways of writing each digit, in percent of its height: x,y with y downwards. A curve passes
# smoothly through its points; " / " lifts the pen or turns a corner, and points of equal coordinates
# are one point, so that curves that touch stay together. A way named twice is twice as frequent.
WAYS: dict[str, tuple[str, ...]] = {
    "0": (
        "32,0 8,14 0,50 8,86 32,100 56,86 64,50 56,14 32,0",
        "46,5 20,2 2,36 6,82 30,100 58,80 63,32 42,3 24,10",
        "40,3 14,10 0,50 12,92 38,99 60,66 59,22 46,8",
        "24,4 4,30 4,74 26,100 54,84 64,44 50,6 24,4",
        "48,-4 28,2 4,28 2,74 26,100 54,80 58,36 36,6 20,4",
        "30,0 6,30 4,74 26,100 52,74 58,34 44,6 20,10 28,26",
        "36,0 16,8 4,30 2,56 10,84 30,99 50,92 62,70 64,42 54,12 36,0",
        "44,0 14,14 0,50 12,90 40,100 70,80 80,46 66,12 44,0",
        "6,92 0,50 20,6 50,2 64,40 56,94 30,100",
        "28,2 10,16 2,44 6,78 24,98 46,96 60,74 62,40 50,12 28,2",
    ),
    "1": (
        "30,0 30,50 30,100",
        "30,0 30,50 30,100",
        "30,0 33,50 30,100",
        "14,20 34,0 / 34,0 34,50 34,100",
        "4,26 34,0 / 34,0 34,50 34,100",
        "12,20 34,0 / 34,0 34,50 34,100 / 8,100 34,100 60,100",
        "20,10 34,0 / 34,0 32,50 32,100",
    ),
    "2": (
        "4,20 20,2 46,3 57,24 42,56 2,98 / 2,98 32,98 64,96",
        "4,22 24,1 50,7 54,32 32,68 8,96 1,86 16,76 38,92 66,94",
        "2,18 22,0 48,5 55,28 34,66 4,98 / 4,98 22,91 44,99 66,90",
        "6,12 32,0 56,16 50,44 26,74 6,94 10,80 28,84 62,98",
        "0,8 30,0 52,10 54,34 30,70 0,99 / 0,99 30,96 60,99",
        "8,14 24,0 44,8 40,40 6,84 / 6,84 40,80 90,86",
        "2,30 16,6 40,4 48,24 30,56 4,84 20,72 50,80 84,76",
        "10,24 30,2 56,14 40,56 12,90 4,76 26,72 50,96 74,86",
        "4,10 30,0 44,16 30,52 10,80 2,96 / 2,96 30,84 56,80",
        "2,16 26,0 50,14 42,50 18,86 4,94 2,78 16,72 34,84 60,90",
        "4,26 10,6 36,0 52,16 44,48 22,76 2,96 / 2,96 20,84 44,90 72,84",
        "4,16 30,0 54,16 44,46 20,80 2,92 6,76 26,80 46,98 70,90",
        "2,24 22,2 50,12 46,44 24,78 6,98 0,86 14,78 44,90 66,84",
        "6,20 30,0 60,14 50,50 10,92 / 10,92 50,80 104,72",
        "2,14 26,0 46,12 40,40 20,72 14,96 6,84 20,74 40,88 62,92",
    ),
    "3": (
        "4,12 26,0 52,10 50,34 22,46 / 22,46 54,55 58,82 32,100 0,88",
        "4,2 30,2 56,2 / 56,2 40,22 24,40 / 24,40 54,50 58,82 28,100 0,88",
        "4,14 28,0 54,14 46,38 22,46 34,50 56,60 58,82 30,100 2,86",
        "8,8 34,0 54,18 38,42 16,48 / 16,48 46,52 56,74 36,97 2,94",
        "2,10 30,0 50,16 34,40 20,48 24,44 48,54 54,80 30,100 0,86",
        "10,6 40,0 50,16 24,36 10,42 / 10,42 40,44 50,66 30,92 -6,98",
        "0,16 24,0 46,8 40,34 14,46 / 14,46 56,50 62,76 30,98 -14,90",
    ),
    "4": (
        "10,0 2,52 / 2,52 30,53 62,50 / 50,6 49,50 46,100",
        "48,0 24,34 0,66 / 0,66 32,66 66,64 / 48,0 48,50 47,100",
        "6,2 2,40 14,54 40,52 58,42 / 60,2 54,50 46,100",
        "6,4 2,36 16,50 42,44 56,4 / 56,4 52,50 44,100",
        "10,2 0,46 / 0,46 24,50 56,44 / 54,2 48,50 44,100",
        "30,0 2,58 / 2,58 34,58 62,56 / 48,28 46,64 42,100",
        "2,0 0,40 10,54 60,48 / 52,20 50,60 46,100",
        "22,0 4,30 2,54 / 2,54 30,56 66,48 / 62,12 48,60 38,100",
        "8,0 4,44 / 4,44 30,46 56,42 / 58,0 54,50 56,100",
    ),
    "5": (
        "58,2 36,2 14,2 / 14,2 8,42 / 8,42 34,36 58,58 50,90 26,100 0,90",
        "12,6 8,44 / 8,44 36,38 56,60 48,90 22,100 0,92 / 12,6 36,4 64,1",
        "58,3 28,2 12,20 18,40 44,52 54,76 36,98 2,92",
        "60,0 34,3 20,6 / 20,6 12,40 / 12,40 40,44 52,66 40,94 4,96",
        "66,2 40,2 22,4 / 22,4 14,42 / 14,42 38,50 42,74 24,98 0,90",
        "90,0 50,8 / 50,8 30,10 24,44 / 24,44 46,50 50,78 26,100 0,92",
        "76,2 24,8 / 24,8 16,44 / 16,44 40,42 54,62 40,92 0,98",
        "30,6 18,40 / 18,40 44,48 44,80 20,100 0,88 / 30,6 60,8 92,0",
        "50,4 16,4 / 16,4 12,36 / 12,36 36,30 56,52 50,86 24,100 4,84",
        "64,0 30,6 18,8 / 18,8 6,46 / 6,46 40,40 50,64 30,88 0,94",
        "34,6 22,40 / 22,40 46,46 50,74 30,98 6,86 / 34,6 54,8 74,4",
    ),
    "6": (
        "48,0 18,24 2,60 8,90 30,100 52,86 50,62 28,54 6,72",
        "36,0 10,40 4,76 20,100 46,93 50,70 30,58 8,76",
        "52,8 36,0 12,30 2,66 14,96 40,98 54,78 40,58 16,62 6,82",
        "40,0 14,30 2,72 18,99 42,94 46,76 30,66 10,78",
        "26,0 8,36 2,78 22,100 50,90 52,68 32,62 12,78 4,86",
        "44,0 12,40 2,78 20,100 56,92 70,74 56,62 26,70 8,86",
        "30,0 14,30 6,70 20,98 44,90 44,72 28,66 10,82",
        "20,0 4,40 4,80 30,100 62,84 58,52 34,42 6,62",
        "26,0 8,44 8,84 26,100 50,88 46,66 28,64 10,82",
        "52,0 22,30 4,70 12,98 44,98 58,76 44,60 22,68 8,90",
    ),
    "7": (
        "2,4 30,3 60,2 / 60,2 40,46 26,100",
        "2,4 30,3 60,2 / 60,2 40,46 26,100",
        "2,4 30,3 60,2 / 60,2 40,46 26,100 / 16,52 36,50 58,47",
        "2,18 4,3 / 4,3 30,3 60,2 / 60,2 38,48 24,100",
        "0,12 18,2 42,8 60,2 / 60,2 46,36 32,100",
        "2,8 28,4 54,2 60,10 46,44 34,100",
        "0,6 28,5 58,2 / 58,2 52,46 46,100",
        "0,14 12,2 50,6 / 50,6 56,14 42,50 40,100",
        "2,22 8,2 / 8,2 34,8 62,0 / 62,0 38,46 22,100 / 20,56 40,52 60,50",
        "2,24 6,2 / 6,2 34,4 60,0 / 60,0 46,48 38,100",
        "2,12 4,2 / 4,2 40,2 80,0 / 80,0 48,34 26,80",
        "0,10 14,4 30,10 50,0 / 50,0 30,46 12,100",
    ),
    "8": (
        "54,14 34,0 10,13 16,37 44,56 56,80 32,100 6,84 18,56 46,36 54,14",
        "30,47 8,33 10,9 32,0 52,10 50,34 30,47 / 30,47 5,64 7,91 30,100 55,90 54,62 30,47",
        "52,8 28,0 8,16 22,42 50,62 54,88 30,100 6,86 14,60 44,34 58,4",
        "44,6 22,4 12,22 28,44 46,64 44,92 22,99 8,84 20,60 42,36 50,14 44,6",
        "56,10 36,0 16,10 18,32 38,50 46,76 28,99 8,88 14,66 40,42 56,22 56,10",
        "40,2 14,10 16,32 36,52 40,84 22,100 8,86 16,62 42,36 58,4",
        "50,16 32,0 14,14 24,40 44,60 42,88 20,99 6,84 18,62 46,40 62,8",
        "60,16 34,0 6,14 24,40 56,58 64,82 34,100 4,82 20,56 54,36 60,16",
        "40,46 14,30 24,4 52,4 62,24 40,46 / 40,46 14,62 4,88 34,100 58,82 40,46",
    ),
    "9": (
        "52,16 30,0 6,14 6,38 28,49 50,36 54,10 / 54,10 52,50 46,100",
        "54,20 34,0 8,12 4,38 24,50 48,36 56,14 54,50 44,84 22,100 4,92",
        "50,6 22,2 2,26 14,46 40,40 52,8 / 52,8 46,56 30,100",
        "48,12 28,1 6,20 8,42 30,46 50,20 / 50,20 46,60 42,100",
        "56,8 30,0 6,18 10,40 34,42 54,14 50,50 34,100",
        "50,10 30,4 8,20 12,42 36,44 52,14 / 52,14 50,60 48,100",
        "44,8 20,4 4,24 16,40 40,30 46,6 / 46,6 38,56 26,100",
        "54,12 34,0 8,16 10,42 34,46 54,16 58,60 46,92 20,100 6,88",
        "46,4 16,4 4,30 24,44 48,22 / 48,22 46,4 / 48,22 44,64 46,100",
        "40,2 10,12 2,36 22,48 48,26 / 52,0 48,26 38,100",
        "60,6 36,0 6,16 4,40 28,46 54,20 / 54,20 40,60 22,100",
        "40,12 24,2 8,22 14,44 32,38 40,12 38,60 36,100",
        "60,20 36,0 6,18 8,50 34,60 58,36 60,20 / 60,20 52,66 36,100",
    ),
}
CLASSES = tuple(WAYS)

# Pictures whose randomness is drawn together. Part of what picture k is: never change it.
BLOCK_SIZE = 1000
SUPERSAMPLING = 4
POINTS_PER_SPAN = 6

# The spread of handwriting, in units of a digit's height unless said otherwise.
# Chosen on MNIST's held-out 5,000 images.
POINT_JITTER, LOG_JITTER_SPREAD = 0.07, 0.5
LOG_WIDTH_MEAN, LOG_WIDTH_SPREAD = 0.08, 0.33
SLANT_MEAN, SLANT_SPREAD = 0.18, 0.28
TURN_SPREAD_RADIANS = 0.13
BEND_SPREAD = 0.035
PEN_WIDTH_MEDIAN_PIXELS, LOG_PEN_WIDTH_SPREAD = 2.35, 0.35
PEN_WIDTH_RANGE_PIXELS = (1.0, 5.5)


@dataclass(frozen=True)
class _Way:
    """A way of writing a digit: shared control points, and curves as a linear map of them.

    Attributes:
        controls: Shape (controls, 2), x and y in units of the digit's height.
        curve: Shape (points, controls): control points to points along all curves.
        ends: Where each curve ends among the points.
    """

    controls: Float
    curve: Float
    ends: tuple[int, ...]


def draw(split: str, stop: int, start: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw the pictures `start` to `stop` of a split; each depends on split and its number alone.

    Args:
        split: Any name: another name, other pictures.
        stop: One past the last picture's number.
        start: The first picture's number.

    Returns:
        Images (n, 28, 28) uint8 in MNIST's convention, and labels (n,) int64 in 0 to 9.
    """
    first, last = start // BLOCK_SIZE, -(-stop // BLOCK_SIZE)
    blocks = [_draw_block(split, block) for block in range(first, last)]
    if not blocks:
        return np.empty((0, 28, 28), np.uint8), np.empty(0, np.int64)
    wanted = slice(start - first * BLOCK_SIZE, stop - first * BLOCK_SIZE)
    return (
        np.concatenate([images for images, _ in blocks])[wanted],
        np.concatenate([labels for _, labels in blocks])[wanted],
    )


def _draw_block(split: str, block: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The pictures of one block: images (BLOCK_SIZE, 28, 28) uint8 and labels (BLOCK_SIZE,)."""
    random = np.random.default_rng([block, *split.encode()])
    labels = random.integers(len(CLASSES), size=BLOCK_SIZE)
    chosen = np.array([random.integers(len(_WAYS[label])) for label in labels])
    width = PEN_WIDTH_MEDIAN_PIXELS * np.exp(random.normal(0, LOG_PEN_WIDTH_SPREAD, BLOCK_SIZE))
    width = width.clip(*PEN_WIDTH_RANGE_PIXELS)
    boxes = np.zeros((BLOCK_SIZE, BOX_SIZE, BOX_SIZE), np.uint8)
    for label, ways in enumerate(_WAYS):
        for number, way in enumerate(ways):
            members = np.flatnonzero((labels == label) & (chosen == number))
            points = _write(way, len(members), random)
            extent = np.ptp(points, axis=1).max(axis=1)  # (members,)
            scale = SUPERSAMPLING * (BOX_SIZE - width[members]) / extent
            margin = SUPERSAMPLING * width[members] / 2
            points -= points.min(axis=1, keepdims=True)
            points = points * scale[:, None, None] + margin[:, None, None]
            for member, path in zip(members, points, strict=True):
                boxes[member] = _ink(path, way.ends, SUPERSAMPLING * width[member])
    return place(boxes), labels


def _write(way: _Way, count: int, random: np.random.Generator) -> Float:
    """Write a digit `count` times by hand: points (count, points, 2), in units of its height."""
    jitter = POINT_JITTER * np.exp(random.normal(0, LOG_JITTER_SPREAD, (count, 1, 1)))
    controls = way.controls + jitter * random.normal(0, 1, (count, *way.controls.shape))
    points = np.einsum("pc,ncd->npd", way.curve, controls) - way.controls.mean(axis=0)
    x, y = points[..., 0], points[..., 1]
    # A slow wave moves each point across and along, as an unsteady hand does.
    for source, target in ((y, x), (x, y), (y, y), (x, x)):
        wave = random.uniform(0.4, 1.2, (count, 1)) * source + random.uniform(0, 1, (count, 1))
        target += random.normal(0, BEND_SPREAD, (count, 1)) * np.sin(2 * np.pi * wave)
    x *= np.exp(random.normal(LOG_WIDTH_MEAN, LOG_WIDTH_SPREAD, (count, 1)))
    x -= random.normal(SLANT_MEAN, SLANT_SPREAD, (count, 1)) * y
    turn = random.normal(0, TURN_SPREAD_RADIANS, (count, 1))
    turned = (x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn))
    return np.stack(turned, axis=-1)


def _ink(path: Float, ends: tuple[int, ...], width: float) -> NDArray[np.uint8]:
    """Draw curves with a round pen of `width` large pixels: a box (20, 20) uint8 of area averages."""
    picture = Image.new("L", (SUPERSAMPLING * BOX_SIZE, SUPERSAMPLING * BOX_SIZE))
    pen, radius, start = ImageDraw.Draw(picture), width / 2, 0
    for end in ends:
        curve = path[start:end]
        pen.line(curve.ravel().tolist(), fill=255, width=round(width))
        for x, y in curve[:: POINTS_PER_SPAN // 2].tolist():
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        start = end
    return np.asarray(picture.reduce(SUPERSAMPLING))


def _parse(text: str) -> _Way:
    """Read one entry of WAYS."""
    curves = [curve.split() for curve in text.split(" / ")]
    names = list(dict.fromkeys(name for curve in curves for name in curve))
    controls = np.array([name.split(",") for name in names], float) / 100
    maps = [
        _spline(len(curve)) @ np.eye(len(names))[[names.index(n) for n in curve]] for curve in curves
    ]
    return _Way(controls, np.concatenate(maps), tuple(np.cumsum([len(part) for part in maps]).tolist()))


def _spline(count: int) -> Float:
    """A Catmull-Rom spline through `count` points, as a matrix (points, count) on them.

    Source: Catmull and Rom, "A class of local interpolating splines" (1974); ends are doubled.
    """
    steps = np.arange(POINTS_PER_SPAN)[:, None] / POINTS_PER_SPAN
    basis = 0.5 * np.hstack(
        [
            -steps + 2 * steps**2 - steps**3,
            2 - 5 * steps**2 + 3 * steps**3,
            steps + 4 * steps**2 - 3 * steps**3,
            -(steps**2) + steps**3,
        ]
    )
    unit = np.eye(count)
    around = unit[np.array([0, *range(count), count - 1])]
    spans = [basis @ around[span : span + 4] for span in range(count - 1)]
    return np.concatenate([*spans, unit[-1:]])


_WAYS = tuple(tuple(_parse(text) for text in ways) for ways in WAYS.values())
