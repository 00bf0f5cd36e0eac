"""What the reader's tests share: a digit, a page with it, and how similar a result is to it."""

import io
from typing import Any

import numpy as np
from PIL import Image

from birnn_cli.data import strokes
from birnn_cli.reader.normalise import centre_by_mass

# A digit of an ordinary pen: the reader would widen the strokes of a thin one. It is drawn from one
# template, so that it stays the same when others are added.
PEN_WIDTH_PIXELS = 3.5
DIGIT = centre_by_mass(
    strokes.write(strokes.templates()[3][0], np.array([PEN_WIDTH_PIXELS]), np.random.default_rng(0))
)[0]


def encode(picture: Image.Image | np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    """A picture's file."""
    file = io.BytesIO()
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(file, kind, **options)
    return file.getvalue()


def page(ink: int = 0, paper: int = 255, side: int = 280) -> np.ndarray:
    """The digit on a larger page, off the centre: (side * 2, side * 2) uint8."""
    large = (
        np.asarray(Image.fromarray(DIGIT).resize((side, side), Image.Resampling.BICUBIC), float) / 255
    )
    whole = np.zeros((2 * side, 2 * side))
    whole[:side, side // 2 : side // 2 + side] = large
    return (paper + whole * (ink - paper)).round().astype(np.uint8)


def likeness(found: np.ndarray | None) -> float:
    """Correlation with the digit; a shift by one pixel is allowed, since MNIST's convention rounds."""
    assert found is not None
    shifted = [np.roll(found, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return max(float(np.corrcoef(each.ravel(), DIGIT.ravel())[0, 1]) for each in shifted)
