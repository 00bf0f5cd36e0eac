"""Pictures that show no digit, drawn by the program, so that a network learns to be unsure of them.

Letters, words, several digits, scribbles, shapes and blotches, in MNIST's convention, as the reader
would bring them. Training towards even probabilities on them is Outlier Exposure (Hendrycks, Mazeika and
Dietterich 2019): the network becomes unsure of other pictures that show no digit, too.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from birnn_cli.data import strokes
from birnn_cli.data.strokes import Random
from birnn_cli.reader.geometry import Pixels, bounding_box, resize_longer_side
from birnn_cli.reader.normalise import BOX_SIZE, centre_by_mass, pad_to_box

Characters = tuple[Pixels, Pixels]  # letters, and digits, to compose words from: (n, 28, 28) uint8 each

NO_CLASS = -1  # the label of a picture that belongs to no class
SUPERSAMPLING = 8  # how many times larger than MNIST's box shapes are drawn, then averaged down
CANVAS_SIDE = SUPERSAMPLING * BOX_SIZE
PEN_WIDTH_RANGE_PIXELS = (0.8, 3.0)  # the thinnest and the widest pen, in pixels of MNIST's box


def sample(count: int) -> Pixels:
    """Draw pictures in MNIST's convention, (count, 28, 28) uint8, the same ones for the same count.

    Every second one is a letter or a sign; the others take turns in KINDS.
    """
    random = np.random.default_rng([count, *b"outliers"])
    templates = strokes.read_templates("letters.txt")  # of letters and signs
    boxes = np.zeros((count, BOX_SIZE, BOX_SIZE), np.uint8)
    chosen = random.integers(len(templates), size=count)
    pen_widths = strokes.sample_pen_widths(count, random)
    for number, (_, template) in enumerate(templates):
        members = np.flatnonzero(chosen == number)
        boxes[members] = strokes.write(template, pen_widths[members], random)
    characters = centre_by_mass(boxes), strokes.sample("outliers", strokes.BLOCK_SIZE)[0]
    for number in range(1, count, 2):
        picture = KINDS[number // 2 % len(KINDS)](random, characters)
        left, top, right, bottom = bounding_box(picture)
        boxes[number] = pad_to_box(resize_longer_side(picture[top:bottom, left:right], BOX_SIZE))
    return centre_by_mass(boxes)


# Each of the following draws one kind of picture, (height, width) uint8 of any size, some of it ink.


def _several_characters(random: Random, characters: Characters) -> Pixels:
    """Two to four letters, or digits, side by side."""
    pieces, images = [], characters[random.integers(2)]
    for image in images[random.integers(len(images), size=random.integers(2, 5))]:
        left, _, right, _ = bounding_box(image)
        gap = np.zeros((len(image), random.integers(1, 5)), np.uint8)
        pieces += [image[:, left:right], gap]
    return np.hstack(pieces)


def _scribble(random: Random, _: Characters) -> Pixels:
    """A pen that goes to and fro, with corners or with bends."""
    points = random.uniform(0, CANVAS_SIDE, (random.integers(6, 30), 2))
    if random.random() < 0.5:
        points = strokes.spline_matrix(len(points)) @ points
    return _draw_lines([points], random)


def _polygon(random: Random, _: Characters) -> Pixels:
    """A shape of three to five corners, outlined or filled. With more it could be taken for a zero."""
    corners = random.integers(3, 6)
    angles = np.arange(corners + 1) * 2 * np.pi / corners + random.uniform(0, 7)
    points = CANVAS_SIDE / 2 * (1 + np.stack([np.cos(angles), np.sin(angles)], axis=1))
    points[:, 0] *= random.uniform(0.5, 1.5)
    return _draw_lines([points], random, filled=bool(random.random() < 0.5))


def _bars(random: Random, _: Characters) -> Pixels:
    """A cross, a grid, or two to six parallel bars, turned by a random angle."""
    along = np.array([-0.5, 0.5]) * CANVAS_SIDE * random.uniform(0.5, 1)
    kind = random.integers(3)  # 0 is a cross, 1 a grid, 2 parallel bars
    across = np.zeros(1) if kind == 0 else np.linspace(-0.5, 0.5, random.integers(2, 7)) * CANVAS_SIDE
    bars = [np.stack([np.full(2, position), along], axis=1) for position in across]
    if kind < 2:
        bars += [bar[:, ::-1] for bar in bars]
    turn = random.uniform(0, np.pi)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return _draw_lines([bar @ rotation + CANVAS_SIDE / 2 for bar in bars], random)


def _blotch(random: Random, _: Characters) -> Pixels:
    """Smooth noise, as remains of clouds, textures and shadows; its upper levels are ink."""
    coarse = random.normal(0, 1, random.integers(2, 10, size=2))
    fine = cv2.resize(coarse, (CANVAS_SIDE, CANVAS_SIDE), interpolation=cv2.INTER_CUBIC)
    level = np.quantile(fine, random.uniform(0.3, 0.8))
    ink = 255 * random.uniform(1, 8) * (fine - level)
    return np.asarray(ink.clip(0, 255), np.uint8)


def _inverted_character(random: Random, characters: Characters) -> Pixels:
    """The paper of a character instead of its ink, cropped to the character's box."""
    images = characters[random.integers(2)]
    image = images[random.integers(len(images))]
    left, top, right, bottom = bounding_box(image)
    return np.asarray(255 - image[top:bottom, left:right], np.uint8)


# A kind that is named twice is drawn twice as often.
KINDS: tuple[Callable[[Random, Characters], Pixels], ...] = (
    *(_scribble, _several_characters, _polygon),
    *(_scribble, _several_characters, _bars, _blotch, _inverted_character),
)


def _draw_lines(lines: list[NDArray[np.float64]], random: Random, *, filled: bool = False) -> Pixels:
    """Draw lines, each given by points (n, 2) mostly in 0 to CANVAS_SIDE, with a pen of random width."""
    canvas = np.zeros((2 * CANVAS_SIDE, 2 * CANVAS_SIDE), np.uint8)
    points = [(line + CANVAS_SIDE / 2).round().astype(np.int32) for line in lines]
    if filled:
        cv2.fillPoly(canvas, points, 255)
    width = round(SUPERSAMPLING * random.uniform(*PEN_WIDTH_RANGE_PIXELS))
    return np.asarray(cv2.polylines(canvas, points, False, 255, width), np.uint8)
