"""Draw how a picture was read: the stages of the reader side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from birnn_cli.reader.geometry import Box, Pixels, resize_longer_side
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


def draw_number(stages: ReaderStages, boxes: Sequence[Box]) -> Pixels:
    """Draw the stages of reading a picture and, below, all of it with a numbered box around each digit.

    The boxes are in pixels of the picture, in the order of the answer; the result is uint8.
    """
    strip = draw_stages(stages)
    height, width = stages.grey.shape
    most = strip.shape[1] - 2 * GAP
    scale = most / max(height, width)
    picture = Image.fromarray(resize_longer_side(stages.grey, most))
    canvas = Image.new("L", (strip.shape[1], len(strip) + GAP + picture.height + GAP), BACKGROUND)
    canvas.paste(Image.fromarray(strip))
    canvas.paste(picture, (GAP, len(strip) + GAP))
    draw = ImageDraw.Draw(canvas)
    for number, box in enumerate(boxes, start=1):
        left, top, right, bottom = (round(scale * edge) for edge in box)
        corner = (GAP + left, len(strip) + GAP + top)
        for inset, level in ((0, 0), (1, 255)):  # visible on any paper
            draw.rectangle(
                (
                    corner[0] + inset,
                    corner[1] + inset,
                    GAP + right - inset,
                    len(strip) + GAP + bottom - inset,
                ),
                outline=level,
            )
        draw.text((corner[0] + 4, corner[1] + 2), f"{number}", 255, stroke_width=1, stroke_fill=0)
    return np.asarray(canvas)


def _stretch(values: NDArray[Any]) -> Pixels:
    """Values of any range as grey levels, uint8: 0 and below black, the highest white."""
    positive = np.asarray(values, np.float32).clip(0, None)
    return (positive * (255 / max(float(positive.max()), 1.0))).round().astype(np.uint8)
