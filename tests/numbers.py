"""Numbers that tests compose of drawn digits: joined, ruled, in rows, with points."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from birnn_cli.data import strokes

Pixels = NDArray[np.uint8]


@cache
def digit(label: int, scale: int = 3) -> Pixels:
    """A drawn digit, cropped to its ink, light on black: one that the shipped model reads surely."""
    images, labels = strokes.sample("validation", 200)
    of_label = images[labels == label]
    # The one that is most like the others of its kind.
    middle = of_label.astype(np.float32).mean(axis=0)
    image = of_label[np.abs(of_label - middle).mean(axis=(1, 2)).argmin()]
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    cropped = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return cropped.repeat(scale, axis=0).repeat(scale, axis=1)


def row(text: str, gap: int = 12, size: tuple[int, int] = (140, 400)) -> Pixels:
    """Digits side by side, `gap` pixels between their ink, in the middle of a black picture."""
    digits = [digit(int(character)) for character in text]
    width = sum(each.shape[1] for each in digits) + gap * (len(digits) - 1)
    picture = np.zeros(size, np.uint8)
    x = (size[1] - width) // 2
    for each in digits:
        y = (size[0] - each.shape[0]) // 2
        place = picture[y : y + each.shape[0], x : x + each.shape[1]]
        np.maximum(place, each, out=place)
        x += each.shape[1] + gap
    return picture


def on_paper(ink: Pixels) -> Pixels:
    """Dark ink on light paper."""
    return (235 - ink * 0.8).astype(np.uint8)


def counter(text: str, gap: int = 10) -> tuple[Pixels, NDArray[np.bool_]]:
    """Light digits in dark windows of a grey housing, as of a meter; and which pixels are windows."""
    width, height = 90, 130
    picture = np.full((height + 40, (width + gap) * len(text) + 40), 150, np.uint8)
    windows = np.zeros(picture.shape, np.bool_)
    for k, character in enumerate(text):
        left = 20 + k * (width + gap)
        window = picture[20 : 20 + height, left : left + width]
        window[:] = 25
        windows[20 : 20 + height, left : left + width] = True
        ink = digit(int(character))
        y, x = (height - ink.shape[0]) // 2, (width - ink.shape[1]) // 2
        place = window[y : y + ink.shape[0], x : x + ink.shape[1]]
        np.maximum(place, ink, out=place)
    return picture, windows
