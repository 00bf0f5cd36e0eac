"""Read a picture: from a file, or from grey levels, to the 28×28 pixels of each digit in it."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from birnn_cli.reader import Reader
from birnn_cli.reader import opencv as cv2
from birnn_cli.reader.decode import decode
from birnn_cli.reader.geometry import (
    WORKING_SIDE,
    Box,
    FloatImage,
    Mask,
    Pixels,
    bounding_box,
    resize_mask,
    shrink,
)
from birnn_cli.reader.ink import StrongInk, find_ink, find_strong_ink
from birnn_cli.reader.light import (
    MIN_CONTRAST,
    Invert,
    border,
    find_polarities,
    is_drawing,
    subtract_paper,
)
from birnn_cli.reader.normalise import SIDE, is_normalised, normalise
from birnn_cli.reader.pieces import Row, find_rows
from birnn_cli.reader.rules import find_windows
from birnn_cli.reader.sheet import find_sheet

# Pixels on the longer side of the ink below which the picture is looked at again, from nearer.
SMALL_INK = 64
# What is looked at then: the ink, and on each side this fraction of its longer side.
MARGIN = 0.5


@dataclass(frozen=True)
class ReaderStages:
    """What each stage of the reader made of a picture; None for a stage that it did not pass."""

    grey: Pixels  # the grey levels as decoded, upright: (height, width)
    shrunk: FloatImage | None = None  # the same, shrunk to WORKING_SIDE
    part: Box | None = None  # where in `grey` ink was looked for
    sheet: FloatImage | None = None  # the levels of that part, 0 beside the sheet, where one was found
    # How much each pixel of the part, shrunk to WORKING_SIDE, differs from the paper, in grey levels.
    contrast: FloatImage | None = None
    strong_ink: StrongInk | None = None
    digits: NDArray[np.uint8] | None = None  # of each pixel of `contrast`: see `find_ink`
    # The whole picture at 28×28, where no ink was looked for: the reader is `plain`, or the picture
    # follows MNIST's convention already.
    resized: Pixels | None = None
    second: "ReaderStages | None" = None  # another way to read it that is plausible too

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

    @cached_property
    def rows(self) -> list[Row]:
        """The rows of digits, from top to bottom, for a whole number. Found when first used."""
        if self.contrast is None or self.strong_ink is None:
            return []
        return find_rows(self.contrast, self.strong_ink)

    @cached_property
    def in_windows(self) -> "ReaderStages | None":
        """The picture read within a counter's windows, where ink is in them. Made when first used."""
        if self.contrast is None or self.shrunk is None:
            return None
        windows = find_windows(self.shrunk)
        if windows is None:
            return None
        inside, is_light = windows
        whole: Box = (0, 0, *self.grey.shape[::-1])
        reading = _read_part(ReaderStages(self.grey, self.shrunk), whole, is_light, inside)
        return None if reading.digits is None else reading

    def in_picture(self, box: Box) -> Box:
        """A box in `contrast` in pixels of `grey`."""
        if self.contrast is None or self.part is None:
            return box
        return _enlarge(box, self.contrast.shape, self.part)

    @property
    def ink_box(self) -> Box:
        """The smallest box around all ink, in pixels of `grey`."""
        if self.digits is not None:
            return self.in_picture(bounding_box(self.digits))
        # A picture that is black all over is its own box.
        return bounding_box((self.grey > 0) | ~self.grey.any())


def _enlarge(box: Box, shape: tuple[int, ...], part: Box) -> Box:
    """A box in an image of some shape, in pixels of the picture of which that image shows a part."""
    left, top, right, bottom = part
    y, x = (bottom - top) / shape[0], (right - left) / shape[1]
    return (
        *(left + round(x * box[0]), top + round(y * box[1])),
        *(left + round(x * box[2]), top + round(y * box[3])),
    )


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
    whole: Box = (0, 0, *grey.shape[::-1])
    picture = shrink(grey)
    if min(picture.shape) < 3 or np.ptp(picture) < MIN_CONTRAST:
        return ReaderStages(grey)
    unread = ReaderStages(grey, picture)
    if invert != "auto":
        return _read_part(unread, whole, invert == "yes")
    sheet = find_sheet(picture)
    readings = []
    if sheet is not None:
        box = bounding_box(sheet)
        mask = sheet[box[1] : box[3], box[0] : box[2]]
        is_dark = find_polarities(picture[box[1] : box[3], box[0] : box[2]], mask)[0]
        readings.append(_read_part(unread, _enlarge(box, picture.shape, whole), is_dark, mask))
    polarities = find_polarities(picture)
    readings += [_read_part(unread, whole, is_dark) for is_dark in polarities[: 1 if readings else 2]]
    with_ink = [each for each in readings if each.digits is not None]
    if not with_ink:  # what seemed certain was wrong, or there is no ink
        return readings[0] if len(polarities) > 1 else _read_part(unread, whole, not polarities[0])
    first, *others = with_ink
    # Ink that is cut by a photograph's edge is not plausible beside ink that is not; a drawing may be
    # cropped to its ink.
    is_cropped = is_drawing(picture)
    if others and sheet is None and not is_cropped and _is_cut(others[0]) and not _is_cut(first):
        return first
    return replace(first, second=others[0]) if others else first


def _read_part(unread: ReaderStages, part: Box, is_dark: bool, mask: Mask | None = None) -> ReaderStages:
    """Look for ink in a part of a picture, and within a mask of that part; for small ink from nearer."""
    left, top, right, bottom = part
    levels = unread.shrunk
    if levels is None or part != (0, 0, *unread.grey.shape[::-1]):
        levels = shrink(unread.grey[top:bottom, left:right])
    mask = None if mask is None else resize_mask(mask, levels.shape)
    contrast = subtract_paper(levels, is_dark, mask)
    strong_ink = find_strong_ink(contrast)
    digits = None if strong_ink is None else find_ink(strong_ink)
    sheet = None if mask is None else np.where(mask, levels, np.float32(0))
    reading = replace(
        unread, part=part, sheet=sheet, contrast=contrast, strong_ink=strong_ink, digits=digits
    )
    if digits is None:
        return reading
    ink = bounding_box(digits)
    side = max(ink[2] - ink[0], ink[3] - ink[1])
    if side >= SMALL_INK or max(right - left, bottom - top) <= WORKING_SIDE:
        return reading
    margin = round(MARGIN * side)
    height, width = digits.shape
    box = (
        *(max(0, ink[0] - margin), max(0, ink[1] - margin)),
        *(min(width, ink[2] + margin), min(height, ink[3] + margin)),
    )
    near_mask = None if mask is None else mask[box[1] : box[3], box[0] : box[2]]
    nearer = _read_part(unread, _enlarge(box, digits.shape, part), is_dark, near_mask)
    return reading if nearer.digits is None else nearer


def _is_cut(reading: ReaderStages) -> bool:
    """Whether ink lies on the border of the part that was read."""
    return reading.digits is not None and bool(border(reading.digits).any())
