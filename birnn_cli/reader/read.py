"""Read a picture: from a file, or from grey levels, to the 28×28 pixels of each digit in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from birnn_cli.reader import Reader
from birnn_cli.reader.decode import decode
from birnn_cli.reader.geometry import Box, bounding_box
from birnn_cli.reader.ink import find_ink
from birnn_cli.reader.light import FloatImage, Invert, shrink, subtract_paper
from birnn_cli.reader.normalise import SIDE, Pixels, is_normalised, normalise


@dataclass(frozen=True)
class ReaderStages:
    """What each stage of the reader made of a picture; None for a stage that it did not pass.

    Attributes:
        grey: The grey levels as decoded, upright: (height, width) uint8.
        contrast: How much each pixel differs from the paper, in grey levels: float32, with at most
            WORKING_SIDE pixels on the longer side.
        digits: Which digit each pixel belongs to, of that shape, uint8: 0 is paper, 1 the leftmost
            digit's ink, 2 the next one's, and so on.
        resized: The whole picture at 28×28, uint8, where no ink was looked for: the reader is `plain`,
            or the picture follows MNIST's convention already.
    """

    grey: Pixels
    contrast: FloatImage | None = None
    digits: NDArray[np.uint8] | None = None
    resized: Pixels | None = None

    @cached_property
    def pixels(self) -> Pixels | None:
        """All of the ink as one digit: (28, 28) uint8, or None without ink. Made when first used."""
        if self.contrast is None or self.digits is None:
            return self.resized
        return normalise(self.contrast, self.digits > 0)

    @property
    def num_digits(self) -> int:
        """How many digits seem to stand side by side; 0 without ink."""
        if self.digits is not None:
            return int(self.digits.max())
        return 0 if self.resized is None else 1

    def split_digits(self) -> Iterator[tuple[Box, Pixels]]:
        """Each digit on its own, from left to right.

        Yields:
            Its box, left, top, right and bottom in pixels of `grey`, right and bottom exclusive; and its
            (28, 28) uint8 pixels.
        """
        if self.contrast is None or self.digits is None:
            if self.resized is not None:  # a picture that is black all over is its own box
                yield bounding_box((self.grey > 0) | ~self.grey.any()), self.resized
            return
        scale_y = self.grey.shape[0] / self.contrast.shape[0]
        scale_x = self.grey.shape[1] / self.contrast.shape[1]
        for number in range(1, self.num_digits + 1):
            ink = self.digits == number
            left, top, right, bottom = bounding_box(ink)
            box = (
                *(round(scale_x * left), round(scale_y * top)),
                *(round(scale_x * right), round(scale_y * bottom)),
            )
            yield box, normalise(self.contrast, ink)


def read_pixels(content: bytes, reader: Reader = "digit", invert: Invert = "auto") -> Pixels | None:
    """Read a picture file as one digit: (28, 28) uint8, or None without ink. See `read_stages`."""
    return read_stages(content, reader, invert).pixels


def read_stages(
    content: bytes, reader: Reader = "digit", invert: Invert = "auto", *, full_size: bool = False
) -> ReaderStages:
    """Read a picture file, and keep what each stage made of it.

    Args:
        content: The file's bytes: PNG, JPEG, BMP, GIF (first frame), WebP or TIFF (first page).
        reader: See `read_grey`.
        invert: See `read_grey`.
        full_size: Whether boxes must be in the picture's own pixels; otherwise a large JPEG is decoded
            at a fraction of its size, which is faster.

    Raises:
        ImageError: The bytes are no such picture, damaged, or too large.
    """
    return read_grey(decode(content, full_size=full_size), reader, invert)


def read_grey(grey: Pixels, reader: Reader = "digit", invert: Invert = "auto") -> ReaderStages:
    """Read a picture that is decoded already, and keep what each stage made of it.

    A picture that follows MNIST's convention already keeps its pixels, bit for bit, unless `invert` is
    given.

    Args:
        grey: Grey levels, upright: (height, width) uint8.
        reader: `digit` finds the ink and brings it to MNIST's convention; `plain` resizes the whole
            picture to 28×28 and does nothing else.
        invert: Whether ink is darker than paper, so that dark and light are exchanged. `auto` finds out
            for the reader `digit`, and exchanges nothing for `plain`.
    """
    if reader == "plain":
        return ReaderStages(grey, resized=_resize_plainly(grey, invert))
    if invert == "auto" and is_normalised(grey):
        return ReaderStages(grey, resized=grey)
    contrast = subtract_paper(shrink(grey), invert)
    if contrast is None:
        return ReaderStages(grey)
    return ReaderStages(grey, contrast, find_ink(contrast))


def _resize_plainly(grey: Pixels, invert: Invert) -> Pixels:
    """The whole picture at 28×28, uint8, without regard to its proportions."""
    if grey.shape != (SIDE, SIDE):
        grey = np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    return 255 - grey if invert == "yes" else grey
