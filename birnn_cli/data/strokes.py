"""Digits that the program draws itself: no download, any number, the same ones every time.

A digit is a few curves through control points. Each picture takes one way of writing its digit,
moves the points, slants, turns and bends the whole, chooses a pen, and is drawn large with Pillow,
then brought to MNIST's convention.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from birnn_cli.reader.normalise import BOX_SIZE, centre_by_mass

Float = NDArray[np.float64]

# How people write each digit, as curves: the file explains itself.
WAYS_FILE = Path(__file__).with_name("strokes.txt")
CLASSES = tuple("0123456789")

# Pictures whose randomness is drawn together. Part of what picture k is: never change it.
BLOCK_SIZE = 1000
SUPERSAMPLING = 4
POINTS_PER_SPAN = 6

# The spread of handwriting, in units of a digit's height unless said otherwise.
# Chosen on MNIST's held-out 5,000 images.
POINT_JITTER, LOG_JITTER_SPREAD = 0.07, 0.5
LOG_WIDTH_MEAN, LOG_WIDTH_SPREAD = 0.08, 0.33
SLANT_MEAN, SLANT_SPREAD = 0.18, 0.45
TURN_SPREAD_RADIANS = 0.13
BEND_SPREAD = 0.05
PEN_WIDTH_MEDIAN_PIXELS, LOG_PEN_WIDTH_SPREAD = 2.35, 0.5
PEN_WIDTH_RANGE_PIXELS = (1.0, 5.5)


@dataclass(frozen=True)
class Way:
    """A way of writing a digit: shared control points, and curves as a linear map of them.

    Attributes:
        controls: Shape (controls, 2), x and y in units of the digit's height.
        curve: Shape (points, controls): control points to points along all curves.
        ends: Where each curve ends among the points.
    """

    controls: Float
    curve: Float
    ends: tuple[int, ...]


def draw(split: str, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw the first pictures of a split; picture k is a function of the split and k alone.

    Args:
        split: Any name: another name, other pictures.
        count: How many, 1 or more.

    Returns:
        Images (n, 28, 28) uint8 in MNIST's convention, and labels (n,) int64 in 0 to 9.
    """
    blocks = [_draw_block(split, block) for block in range(-(-count // BLOCK_SIZE))]
    images, labels = (np.concatenate(arrays)[:count] for arrays in zip(*blocks, strict=True))
    return images, labels


def _draw_block(split: str, block: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The pictures of one block: images (BLOCK_SIZE, 28, 28) uint8 and labels (BLOCK_SIZE,)."""
    random = np.random.default_rng([block, *split.encode()])
    labels = random.integers(len(CLASSES), size=BLOCK_SIZE)
    chosen = np.array([random.integers(len(ways()[label])) for label in labels])
    width = pen_widths(BLOCK_SIZE, random)
    boxes = np.zeros((BLOCK_SIZE, BOX_SIZE, BOX_SIZE), np.uint8)
    for label, own in enumerate(ways()):
        for number, way in enumerate(own):
            members = np.flatnonzero((labels == label) & (chosen == number))
            boxes[members] = write(way, width[members], random)
    return centre_by_mass(boxes), labels


def pen_widths(count: int, random: np.random.Generator) -> Float:
    """So many pens: shape (count,), pixels of MNIST's box."""
    width = PEN_WIDTH_MEDIAN_PIXELS * np.exp(random.normal(0, LOG_PEN_WIDTH_SPREAD, count))
    return width.clip(*PEN_WIDTH_RANGE_PIXELS)


def write(way: Way, width: Float, random: np.random.Generator) -> NDArray[np.uint8]:
    """Write a character once with each pen: boxes (len(width), 20, 20) uint8, its longer side 20."""
    points = _points(way, len(width), random)
    low, high = points.min(axis=1), points.max(axis=1)  # (n, 2)
    scale = (BOX_SIZE - width) / (high - low).max(axis=1)
    points -= (low + high)[:, None] / 2
    points = SUPERSAMPLING * (points * scale[:, None, None] + BOX_SIZE / 2)
    boxes = np.zeros((len(width), BOX_SIZE, BOX_SIZE), np.uint8)
    for number, path in enumerate(points):
        boxes[number] = _ink(path, way.ends, SUPERSAMPLING * width[number])
    return boxes


def _points(way: Way, count: int, random: np.random.Generator) -> Float:
    """Write a digit as a hand does, `count` times.

    Returns:
        Points along its curves, shape (count, points, 2): x and y in units of its height, y down.
    """
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


def _parse(text: str) -> Way:
    """Read one line of WAYS_FILE."""
    curves = [curve.split() for curve in text.split(" / ")]
    names = list(dict.fromkeys(name for curve in curves for name in curve))
    controls = np.array([name.split(",") for name in names], float) / 100
    maps = [spline(len(curve)) @ np.eye(len(names))[[names.index(n) for n in curve]] for curve in curves]
    return Way(controls, np.concatenate(maps), tuple(np.cumsum([len(part) for part in maps]).tolist()))


def spline(count: int) -> Float:
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


@cache
def ways() -> tuple[tuple[Way, ...], ...]:
    """For each digit, the ways of writing it; read when the first one is drawn."""
    return tuple(tuple(way for name, way in read_ways(WAYS_FILE) if name == digit) for digit in CLASSES)


def read_ways(file: Path) -> list[tuple[str, Way]]:
    """Characters and ways of writing them, as a file like WAYS_FILE has them."""
    lines = file.read_text(encoding="ascii").splitlines()
    entries = [line.rsplit(": ", 1) for line in lines if not line.startswith("# ")]
    return [(name, _parse(way)) for name, way in entries]
