"""Pictures of no digit, drawn by the program: what a network must learn not to be sure of.

Letters, words, several digits, scribbles, shapes and blotches, in MNIST's convention, as the reader of
pictures would bring them. Training towards even probabilities on them is Outlier Exposure (Hendrycks,
Mazeika and Dietterich 2019): it teaches doubt about other pictures of no digit too.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from birnn_cli.data import strokes
from birnn_cli.reader.normalise import BOX_SIZE, centre_by_mass, pad_to_box

Pixels = NDArray[np.uint8]
Random = np.random.Generator
Characters = tuple[Pixels, Pixels]

# The label of a picture of no class.
NO_CLASS = -1
LETTERS_FILE = Path(__file__).with_name("letters.txt")
# Figures are drawn so many times larger than MNIST's box.
FINE = 8
CANVAS = FINE * BOX_SIZE
PEN_WIDTHS_PIXELS = (0.8, 3.0)


def draw(count: int) -> Pixels:
    """Draw pictures, the same ones each time.

    Args:
        count: How many, 1 or more.

    Returns:
        Shape (count, 28, 28), uint8, in MNIST's convention: letters, and as many of everything else.
    """
    random = np.random.default_rng([count, *b"outliers"])
    boxes = _letters(count, random)
    characters = centre_by_mass(boxes), strokes.draw("outliers", strokes.BLOCK_SIZE)[0]
    for k in range(1, count, 2):
        boxes[k] = _fit(KINDS[k // 2 % len(KINDS)](random, characters))
    return centre_by_mass(boxes)


def _letters(count: int, random: Random) -> Pixels:
    """Letters and signs: boxes (count, 20, 20) uint8."""
    ways = strokes.read_ways(LETTERS_FILE)
    boxes = np.zeros((count, BOX_SIZE, BOX_SIZE), np.uint8)
    chosen = random.integers(len(ways), size=count)
    width = strokes.pen_widths(count, random)
    for number, (_, way) in enumerate(ways):
        members = np.flatnonzero(chosen == number)
        boxes[members] = strokes.write(way, width[members], random)
    return boxes


def _several(random: Random, characters: Characters) -> Pixels:
    """Two to four letters, or digits, side by side."""
    parts, bank = [], characters[random.integers(2)]
    for character in bank[random.integers(len(bank), size=random.integers(2, 5))]:
        columns = np.flatnonzero(character.any(axis=0))
        gap = np.zeros((len(character), random.integers(1, 5)), np.uint8)
        parts += [character[:, columns[0] : columns[-1] + 1], gap]
    return np.hstack(parts)


def _scribble(random: Random, _: Characters) -> Pixels:
    """A pen that goes to and fro, in corners or in bends."""
    points = random.uniform(0, CANVAS, (random.integers(6, 30), 2))
    if random.random() < 0.5:
        points = strokes.spline(len(points)) @ points
    return _lines([points], random)


def _polygon(random: Random, _: Characters) -> Pixels:
    """The outline of three to five corners, or all that is within; never so round as a zero."""
    corners = random.integers(3, 6)
    angles = np.arange(corners + 1) * 2 * np.pi / corners + random.uniform(0, 7)
    points = CANVAS / 2 * (1 + np.stack([np.cos(angles), np.sin(angles)], axis=1))
    points[:, 0] *= random.uniform(0.5, 1.5)
    return _lines([points], random, filled=bool(random.random() < 0.5))


def _bars(random: Random, _: Characters) -> Pixels:
    """A cross, a grid, or two to six bars in parallel, turned."""
    along = np.array([-0.5, 0.5]) * CANVAS * random.uniform(0.5, 1)
    kind = random.integers(3)
    across = np.zeros(1) if kind == 0 else np.linspace(-0.5, 0.5, random.integers(2, 7)) * CANVAS
    bars = [np.stack([np.full(2, place), along], axis=1) for place in across]
    if kind < 2:
        bars += [bar[:, ::-1] for bar in bars]
    turn = random.uniform(0, np.pi)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return _lines([bar @ rotation + CANVAS / 2 for bar in bars], random)


def _blotch(random: Random, _: Characters) -> Pixels:
    """What is left of clouds, textures and shadows: smooth noise, some of it ink."""
    coarse = random.normal(0, 1, random.integers(2, 10, size=2))
    fine = cv2.resize(coarse, (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC)
    level = np.quantile(fine, random.uniform(0.3, 0.8))
    ink = 255 * random.uniform(1, 8) * (fine - level)
    return np.asarray(ink.clip(0, 255), np.uint8)


KINDS: tuple[Callable[[Random, Characters], Pixels], ...]
KINDS = (_scribble, _several, _polygon, _scribble, _several, _bars, _blotch)


def _lines(lines: list[NDArray[np.float64]], random: Random, *, filled: bool = False) -> Pixels:
    """Lines through points (n, 2), mostly in 0 to CANVAS, of a pen of random width."""
    canvas = np.zeros((2 * CANVAS, 2 * CANVAS), np.uint8)
    points = [(line + CANVAS / 2).round().astype(np.int32) for line in lines]
    if filled:
        cv2.fillPoly(canvas, points, 255)
    width = round(FINE * random.uniform(*PEN_WIDTHS_PIXELS))
    return np.asarray(cv2.polylines(canvas, points, False, 255, width), np.uint8)


def _fit(canvas: Pixels) -> Pixels:
    """The ink of a picture, its longer side 20 pixels: (20, 20) uint8."""
    rows, columns = np.flatnonzero(canvas.any(axis=1)), np.flatnonzero(canvas.any(axis=0))
    ink = canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = BOX_SIZE / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    small = cv2.resize(ink, (width, height), interpolation=cv2.INTER_AREA)
    return pad_to_box(np.asarray(small, np.uint8))
