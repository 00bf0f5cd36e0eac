"""Digits that the program draws itself: no download, any number of them, the same ones every time.

A digit is a few curves through control points. For each picture, one template of its digit is chosen,
its points are moved, the whole is slanted, turned and bent, a pen is chosen, and the result is drawn
large with Pillow and brought to MNIST's convention.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from birnn_cli.reader.normalise import BOX_SIZE, centre_by_mass

Float = NDArray[np.float64]
Random = np.random.Generator

CLASSES = tuple("0123456789")

BLOCK_SIZE = 1000  # pictures whose random numbers are drawn together; to change it changes every picture
SUPERSAMPLING = 4  # how many times larger than MNIST's box a digit is drawn, before it is averaged down
POINTS_PER_SPAN = 6  # points that a curve is drawn through between two of its control points

# How much handwriting varies. Lengths are in units of a digit's height, a spread is the standard
# deviation of a normal distribution, and LOG is the natural logarithm of a factor. The values were
# chosen on MNIST's 5,000 validation images.
POINT_JITTER = 0.055  # median spread of the control points
LOG_JITTER_SPREAD = 0.5  # how much that spread varies from picture to picture
LOG_WIDTH_MEAN = 0.08
LOG_WIDTH_SPREAD = 0.4
SLANT_MEAN = 0.18  # to the right at the top, for each unit of height
SLANT_SPREAD = 0.35
TURN_SPREAD_RADIANS = 0.13
BEND_SPREAD = 0.05  # of the amplitude of the waves that bend a digit
PEN_WIDTH_MEDIAN_PIXELS = 2.35  # in pixels of MNIST's box
LOG_PEN_WIDTH_SPREAD = 0.5
PEN_WIDTH_RANGE_PIXELS = (1.0, 6.5)


@dataclass(frozen=True)
class Template:
    """One way of writing a character: control points, and smooth curves through them."""

    control_points: Float  # (controls, 2): x and y in units of the character's height, y down
    spline: Float  # (points, controls): the matrix from control points to the points of all curves
    curve_ends: tuple[int, ...]  # the index after each curve's last point


def sample(split: str, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw the first pictures of a split, (count, 28, 28) uint8, and their labels, (count,) int64.

    Picture k depends on the split and on k alone. The count is 1 or more.
    """
    blocks = [_sample_block(split, block) for block in range(-(-count // BLOCK_SIZE))]
    images, labels = (np.concatenate(arrays)[:count] for arrays in zip(*blocks, strict=True))
    return images, labels


def _sample_block(split: str, block: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The pictures of one block: images (BLOCK_SIZE, 28, 28) uint8 and labels (BLOCK_SIZE,) int64."""
    random = np.random.default_rng([block, *split.encode()])
    labels = random.integers(len(CLASSES), size=BLOCK_SIZE)
    chosen = np.array([random.integers(len(templates()[label])) for label in labels])
    pen_widths = sample_pen_widths(BLOCK_SIZE, random)
    boxes = np.zeros((BLOCK_SIZE, BOX_SIZE, BOX_SIZE), np.uint8)
    for label, templates_of_digit in enumerate(templates()):
        for number, template in enumerate(templates_of_digit):
            members = np.flatnonzero((labels == label) & (chosen == number))
            boxes[members] = write(template, pen_widths[members], random)
    return centre_by_mass(boxes), labels


def sample_pen_widths(count: int, random: Random) -> Float:
    """Choose pens: their widths in pixels of MNIST's box, shape (count,)."""
    widths = PEN_WIDTH_MEDIAN_PIXELS * np.exp(random.normal(0, LOG_PEN_WIDTH_SPREAD, count))
    return widths.clip(*PEN_WIDTH_RANGE_PIXELS)


def write(template: Template, pen_widths: Float, random: Random) -> NDArray[np.uint8]:
    """Write a character once with each pen: boxes (pens, 20, 20) uint8, its longer side 20 pixels."""
    points = _vary(template, len(pen_widths), random)
    low, high = points.min(axis=1), points.max(axis=1)  # (n, 2)
    scale = (BOX_SIZE - pen_widths) / (high - low).max(axis=1)
    points -= (low + high)[:, None] / 2
    points = SUPERSAMPLING * (points * scale[:, None, None] + BOX_SIZE / 2)
    boxes = np.zeros((len(pen_widths), BOX_SIZE, BOX_SIZE), np.uint8)
    for box, path, pen_width in zip(boxes, points, pen_widths, strict=True):
        box[:] = _render(path, template.curve_ends, SUPERSAMPLING * pen_width)
    return boxes


def _vary(template: Template, count: int, random: Random) -> Float:
    """Points along a template's curves, as `count` hands differ: (count, points, 2), in its height."""
    jitter = POINT_JITTER * np.exp(random.normal(0, LOG_JITTER_SPREAD, (count, 1, 1)))
    moves = random.normal(0, 1, (count, *template.control_points.shape))
    controls = template.control_points + jitter * moves
    points = np.einsum("pc,ncd->npd", template.spline, controls) - template.control_points.mean(axis=0)
    x, y = points[..., 0], points[..., 1]
    # Slow waves bend the digit: each of x and y is moved by a wave along y, and by one along x.
    for along, moved in ((y, x), (x, y), (y, y), (x, x)):
        wave = random.uniform(0.4, 1.2, (count, 1)) * along + random.uniform(0, 1, (count, 1))
        moved += random.normal(0, BEND_SPREAD, (count, 1)) * np.sin(2 * np.pi * wave)
    x *= np.exp(random.normal(LOG_WIDTH_MEAN, LOG_WIDTH_SPREAD, (count, 1)))
    x -= random.normal(SLANT_MEAN, SLANT_SPREAD, (count, 1)) * y
    turn = random.normal(0, TURN_SPREAD_RADIANS, (count, 1))
    turned = (x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn))
    return np.stack(turned, axis=-1)


def _render(path: Float, curve_ends: tuple[int, ...], pen_width: float) -> NDArray[np.uint8]:
    """Draw curves, in pixels of the enlarged box, with a round pen: a box (20, 20) uint8."""
    picture = Image.new("L", (SUPERSAMPLING * BOX_SIZE, SUPERSAMPLING * BOX_SIZE))
    draw, radius = ImageDraw.Draw(picture), pen_width / 2
    for curve in np.split(path, curve_ends[:-1]):
        draw.line(curve.ravel().tolist(), fill=255, width=round(pen_width))
        for x, y in curve[:: POINTS_PER_SPAN // 2].tolist():
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(picture.reduce(SUPERSAMPLING))


@cache
def templates() -> tuple[tuple[Template, ...], ...]:
    """The templates of each digit. The file is read on the first call."""
    named = read_templates("strokes.txt")
    return tuple(tuple(template for name, template in named if name == digit) for digit in CLASSES)


def read_templates(name: str) -> list[tuple[str, Template]]:
    """Read characters and their templates from a file here, in the format that strokes.txt explains."""
    lines = Path(__file__).with_name(name).read_text(encoding="ascii").splitlines()
    entries = [line.rsplit(": ", 1) for line in lines if not line.startswith("# ")]
    return [(name, _parse(curves)) for name, curves in entries]


def _parse(text: str) -> Template:
    """Parse the curves of one line of a templates file: `x,y x,y / x,y x,y`."""
    curves = [curve.split() for curve in text.split(" / ")]
    names = list(dict.fromkeys(name for curve in curves for name in curve))  # equal points are one point
    control_points = np.array([name.split(",") for name in names], float) / 100
    splines = [
        spline_matrix(len(curve)) @ np.eye(len(names))[[names.index(name) for name in curve]]
        for curve in curves
    ]
    curve_ends = tuple(np.cumsum([len(spline) for spline in splines]).tolist())
    return Template(control_points, np.concatenate(splines), curve_ends)


def spline_matrix(count: int) -> Float:
    """A Catmull-Rom spline through `count` control points, as a matrix (points, count).

    The matrix times the control points gives the points of the curve. Its first and last control points
    are used twice. Source: Catmull and Rom, "A class of local interpolating splines" (1974).
    """
    t = np.arange(POINTS_PER_SPAN)[:, None] / POINTS_PER_SPAN
    basis = 0.5 * np.hstack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3]
    )  # (POINTS_PER_SPAN, 4): the weights of the four control points around a span
    unit = np.eye(count)
    padded = unit[np.array([0, *range(count), count - 1])]
    spans = [basis @ padded[span : span + 4] for span in range(count - 1)]
    return np.concatenate([*spans, unit[-1:]])
