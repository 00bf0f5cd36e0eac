"""Read a picture: from a file, or from grey levels, to the 28×28 pixels of each digit in it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from birnn_cli.reader import Reader
from birnn_cli.reader.decode import decode
from birnn_cli.reader.ink import find_ink
from birnn_cli.reader.light import MIN_CONTRAST, FloatImage, Invert, Mask, border, find_polarities, shrink, subtract_paper
from birnn_cli.reader.sheet import find_sheet
from birnn_cli.reader.normalise import SIDE, Box, Pixels, bounding_box, is_normalised, normalise


@dataclass(frozen=True)
class ReaderStages:
    """What each stage of the reader made of a picture; None for a stage that it did not pass."""

    grey: Pixels  # the grey levels as decoded, upright: (height, width)
    # How much each pixel differs from the paper, in grey levels: WORKING_SIDE pixels or less a side.
    contrast: FloatImage | None = None
    digits: NDArray[np.uint8] | None = None  # of each pixel of `contrast`: see `find_ink`
    # The whole picture at 28×28, where no ink was looked for: the reader is `plain`, or the picture
    # follows MNIST's convention already.
    resized: Pixels | None = None
    second: "ReaderStages | None" = None

    @property
    def candidates(self):
        return [s.pixels for s in (self, self.second) if s is not None]

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
        """Each digit from left to right: its box in pixels of `grey`, and its (28, 28) uint8 pixels."""
        if self.contrast is None or self.digits is None:
            if self.resized is not None:  # a picture that is black all over is its own box
                yield bounding_box((self.grey > 0) | ~self.grey.any()), self.resized
            return
        y, x = (full / used for full, used in zip(self.grey.shape, self.contrast.shape, strict=True))
        for number in range(1, self.num_digits + 1):
            ink = self.digits == number
            left, top, right, bottom = bounding_box(ink)
            box = round(x * left), round(y * top), round(x * right), round(y * bottom)
            yield box, normalise(self.contrast, ink)


def read_pixels(content: bytes, reader: Reader = "digit", invert: Invert = "auto") -> Pixels | None:
    """Read a picture file as one digit: (28, 28) uint8, or None without ink. See `read_stages`."""
    return read_stages(content, reader, invert).pixels


def read_stages(
    content: bytes, reader: Reader = "digit", invert: Invert = "auto", *, full_size: bool = False
) -> ReaderStages:
    """Read the bytes of a picture file as `read_grey` does, and keep what each stage made of it.

    With `full_size`, boxes are in the picture's own pixels; otherwise a large JPEG is decoded at a
    fraction of its size, which is faster. An ImageError says what `decode` refuses.
    """
    return read_grey(decode(content, full_size=full_size), reader, invert)


def read_grey(grey: Pixels, reader: Reader = "digit", invert: Invert = "auto") -> ReaderStages:
    """Read a picture that is decoded already, and keep what each stage made of it.

    A picture that follows MNIST's convention already keeps its pixels, bit for bit, unless `invert` is
    given. `grey` has the shape (height, width), uint8, and is upright. The reader `plain` resizes the
    whole picture to 28×28, without regard to its proportions, and does nothing else. `invert` says
    whether ink is darker than paper, so that dark and light are exchanged; `auto` finds out for the
    reader `digit`, and exchanges nothing for `plain`.
    """
    if reader == "plain":
        resized = grey
        if grey.shape != (SIDE, SIDE):
            resized = np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
        return ReaderStages(grey, resized=255 - resized if invert == "yes" else resized)
    if invert == "auto" and is_normalised(grey):
        return ReaderStages(grey, resized=grey)
    picture = shrink(grey)
    if min(picture.shape) < 3 or np.ptp(picture) < MIN_CONTRAST:
        return ReaderStages(grey)
    sheet = find_sheet(picture) if invert == "auto" else None
    readings = [] if sheet is None else [_read_region(grey, picture, sheet, True)]
    polarities = find_polarities(picture) if invert == "auto" else [invert == "yes"]
    if sheet is not None:
        polarities = polarities[:1]
    readings += [_read_region(grey, picture, None, is_dark) for is_dark in polarities]
    stages = [each for each in readings if each.digits is not None] or readings[:1]
    if len(stages) == 2 and sheet is None:
        on_border = [border(each.digits).any() for each in stages]
        if on_border == [False, True]:
            stages.pop()
    return replace(stages[0], second=stages[1] if len(stages) > 1 else None)


def _read_region(grey: Pixels, picture: FloatImage, sheet: Mask | None, is_dark: bool) -> ReaderStages:
    if sheet is None:
        contrast = subtract_paper(picture, is_dark)
        return ReaderStages(grey, contrast, find_ink(contrast))
    left, top, right, bottom = bounding_box(sheet)
    box = slice(top, bottom), slice(left, right)
    contrast, digits = np.zeros_like(picture), np.zeros(picture.shape, np.uint8)
    contrast[box] = subtract_paper(picture[box], find_polarities(picture[box], sheet[box])[0], sheet[box])
    found = find_ink(contrast[box])
    if found is None:
        return ReaderStages(grey, contrast)
    digits[box] = found
    return ReaderStages(grey, contrast, digits)
