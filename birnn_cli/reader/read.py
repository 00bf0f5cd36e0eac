"""A user's picture to what the network knows: one 28 by 28 image, ink light on black, in stages."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from birnn_cli.reader import Reader
from birnn_cli.reader.decode import decode
from birnn_cli.reader.ink import find_ink
from birnn_cli.reader.light import Grey, Invert, shrink, subtract_paper
from birnn_cli.reader.normalise import BOX_SIZE, SIDE, centre_by_mass, is_normalised, pad_to_box

Pixels = NDArray[np.uint8]

# Of the 20 by 20 box: MNIST's own pens are 2 to 4 pixels wide.
MIN_PEN_WIDTH = 2.0
# Pens are measured and widened at so many pixels to one of the box.
FINE = 3
FULL_INK = 0.35


@dataclass(frozen=True)
class ReaderStages:
    """What became of a picture; a stage that was not reached is None.

    Attributes:
        grey: As decoded, upright: (height, width) uint8.
        light: How much lighter than the paper its ink is, at most WORKING_SIDE wide and high, float32.
        digits: Of that shape, uint8: 0 is paper, 1 the leftmost digit's ink, 2 the next one's, …
        whole: A picture that is read without looking for ink: (28, 28) uint8.
    """

    grey: Pixels
    light: Grey | None = None
    digits: NDArray[np.uint8] | None = None
    whole: Pixels | None = None

    @cached_property
    def pixels(self) -> Pixels | None:
        """All of the ink as one digit: (28, 28) uint8; made when asked for."""
        if self.light is None or self.digits is None:
            return self.whole
        return normalise(self.light, self.digits > 0)

    @property
    def num_digits(self) -> int:
        """How many digits there seem to be side by side."""
        if self.digits is not None:
            return int(self.digits.max())
        return 0 if self.whole is None else 1

    def each(self) -> Iterator[tuple[tuple[int, int, int, int], Pixels]]:
        """From left to right, each digit's box and image.

        Yields:
            Left, top, right and bottom in pixels of `grey`, the last two exclusive; (28, 28) uint8.
        """
        if self.light is None or self.digits is None:
            if self.whole is not None:  # of a black picture, all is its box
                yield _box((self.grey > 0) | ~self.grey.any()), self.whole
            return
        down, across = (
            whole / shrunk for whole, shrunk in zip(self.grey.shape, self.light.shape, strict=True)
        )
        for number in range(1, self.num_digits + 1):
            mask = self.digits == number
            left, top, right, bottom = _box(mask)
            box = round(across * left), round(down * top), round(across * right), round(down * bottom)
            yield box, normalise(self.light, mask)


def read(content: bytes, reader: Reader = "digit", invert: Invert = "auto") -> Pixels | None:
    """The last stage of `read_stages`: (28, 28) uint8, or None where there is no ink."""
    return read_stages(content, reader, invert).pixels


def read_stages(
    content: bytes, reader: Reader = "digit", invert: Invert = "auto", *, full_size: bool = False
) -> ReaderStages:
    """Read a picture file.

    A picture that is in MNIST's convention already keeps its pixels bit for bit.

    Args:
        content: The file's bytes: PNG, JPEG, BMP, GIF (first frame), WebP or TIFF.
        reader: `digit` finds a digit's ink and brings it to MNIST's convention; `plain` makes the
            picture grey and 28 by 28, no more.
        invert: Whether dark and light are exchanged; `auto` finds out (`digit`), or leaves it
            (`plain`).
        full_size: Whether boxes must be in the picture's own pixels; else a large JPEG is decoded
            smaller.

    Raises:
        ImageError: The bytes are no such picture, damaged, or too large.
    """
    return read_grey(decode(content, full_size=full_size), reader, invert)


def read_grey(grey: Pixels, reader: Reader = "digit", invert: Invert = "auto") -> ReaderStages:
    """Read a picture that is decoded: (height, width) uint8, upright; otherwise as `read_stages`."""
    if reader == "plain":
        return ReaderStages(grey, whole=_plain(grey, invert))
    if invert == "auto" and is_normalised(grey):
        return ReaderStages(grey, whole=grey)
    light = subtract_paper(shrink(grey), invert)
    if light is None:
        return ReaderStages(grey)
    return ReaderStages(grey, light, find_ink(light))


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is true, the last two exclusive; it is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _plain(grey: Pixels, invert: Invert) -> Pixels:
    if grey.shape != (SIDE, SIDE):
        grey = np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    return 255 - grey if invert == "yes" else grey


def normalise(light: Grey, mask: NDArray[np.bool_]) -> Pixels:
    """Bring ink to MNIST's convention: (28, 28) uint8.

    Args:
        light: Shape (height, width), float32: how much lighter than the paper.
        mask: Where the ink is, of the same shape.
    """
    near = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    left, top, right, bottom = _box(mask)
    strokes = np.where(near, light.clip(0, None), 0)[top:bottom, left:right]
    scaled = _resize(_thicken(_resize(strokes, FINE * BOX_SIZE)), BOX_SIZE)
    box = pad_to_box((scaled * 255).clip(0, 255).round().astype(np.uint8))
    placed: Pixels = centre_by_mass(box[None])[0]
    return placed


def _resize(strokes: Grey, side: int) -> Grey:
    """Bring the longer side to so many pixels: (height, width) float32."""
    scale = side / max(strokes.shape)
    height, width = (max(1, round(length * scale)) for length in strokes.shape)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(strokes, (width, height), interpolation=how), np.float32)


def _thicken(strokes: Grey) -> Grey:
    """Ink in 0 to 1, its full tone at 1, of a pen at least as wide as MNIST's; in FINE pixels."""
    mask = strokes > FULL_INK * strokes.max()
    strokes = (strokes / float(np.percentile(strokes[mask], 75))).clip(0, 1)
    inside = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)
    # Along the middle of a line the distance to its edge is half its width.
    missing = round(FINE * MIN_PEN_WIDTH - 2 * float(np.percentile(inside[inside > 0], 90)))
    if missing < 1:
        return strokes
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (missing + 1, missing + 1))
    return np.asarray(cv2.dilate(strokes, pen), np.float32)
