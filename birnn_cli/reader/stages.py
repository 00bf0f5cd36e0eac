"""Draw how a picture was read: the stages of the reader side by side."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from birnn_cli.reader.geometry import Pixels, resize_longer_side
from birnn_cli.reader.read import ReaderStages

STAGE_SIDE = 196  # pixels on the longer side of each stage
CAPTION_HEIGHT = 16  # pixels in height of the line below a stage that names it
GAP = 4  # pixels between two stages
BACKGROUND = 64  # grey level behind the stages, so that black and white ones have visible edges


def draw_stages(stages: ReaderStages) -> Pixels:
    """Draw the stages of reading one picture side by side, named below: (height, width) uint8."""
    pictures = {
        "picture": stages.grey,
        "sheet": None if stages.sheet is None else _stretch(stages.sheet),
        "paper subtracted": None if stages.contrast is None else _stretch(stages.contrast),
        "ink": None if stages.digits is None else _stretch(stages.digits),
        "28 by 28": stages.pixels,
    }
    absent = {"sheet": "the whole picture"} | (
        {} if stages.resized is None else dict.fromkeys(pictures, "not needed")
    )
    width = GAP + len(pictures) * (STAGE_SIDE + GAP)
    canvas = Image.new("L", (width, GAP + STAGE_SIDE + CAPTION_HEIGHT), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    for number, (name, picture) in enumerate(pictures.items()):
        left = GAP + number * (STAGE_SIDE + GAP)
        caption = name if picture is not None else f"{name}: {absent.get(name, 'none')}"
        draw.text((left, GAP + STAGE_SIDE + 2), caption, 255)
        if picture is not None:
            resized = resize_longer_side(picture, STAGE_SIDE, nearest=True)
            canvas.paste(Image.fromarray(resized), (left, GAP))
    return np.asarray(canvas)


def draw_digits(stages: ReaderStages) -> Pixels:
    """Draw the stages of reading one picture and a row for each digit in it: (height, width) uint8.

    A row shows the digit as it is in the picture, and as the network reads it; its caption gives the
    digit's number, in the order of the answer, and its box: left, top, right, bottom.
    """
    strip = draw_stages(stages)
    digits = list(stages.split_digits())
    height = STAGE_SIDE + CAPTION_HEIGHT + GAP
    canvas = Image.new("L", (strip.shape[1], len(strip) + len(digits) * height), BACKGROUND)
    canvas.paste(Image.fromarray(strip))
    draw = ImageDraw.Draw(canvas)
    for number, (box, pixels) in enumerate(digits, start=1):
        left, top, right, bottom = box
        y = len(strip) + (number - 1) * height
        draw.text((GAP, y + STAGE_SIDE + 2), f"digit {number} of {len(digits)}: box {[*box]}", 255)
        for k, picture in enumerate((stages.grey[top:bottom, left:right], pixels)):
            resized = resize_longer_side(picture, STAGE_SIDE, nearest=True)
            canvas.paste(Image.fromarray(resized), (GAP + k * (STAGE_SIDE + GAP), y))
    return np.asarray(canvas)


def _stretch(values: NDArray[Any]) -> Pixels:
    """Values of any range as grey levels, uint8: 0 and below black, the highest white."""
    positive = np.asarray(values, np.float32).clip(0, None)
    return (positive * (255 / max(float(positive.max()), 1.0))).round().astype(np.uint8)
