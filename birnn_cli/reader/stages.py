"""Draw how a picture was read: the stages of the reader side by side."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from birnn_cli.reader.light import resize_longer_side
from birnn_cli.reader.normalise import Pixels
from birnn_cli.reader.read import ReaderStages

STAGE_SIDE = 196  # pixels on the longer side of each stage
CAPTION_HEIGHT = 16  # pixels in height of the line above a stage that names it
GAP = 4  # pixels between two stages
BACKGROUND = 64  # grey level behind the stages, so that black and white ones have visible edges


def draw_stages(stages: ReaderStages) -> Pixels:
    """Draw the stages of reading one picture side by side, each with its name: (height, width) uint8."""
    pictures = {
        "picture": stages.grey,
        "paper subtracted": None if stages.contrast is None else _stretch(stages.contrast),
        "ink": None if stages.digits is None else _stretch(stages.digits),
        "28 by 28": stages.pixels,
    }
    absent = "none" if stages.resized is None else "not needed"
    width = GAP + len(pictures) * (STAGE_SIDE + GAP)
    canvas = Image.new("L", (width, CAPTION_HEIGHT + STAGE_SIDE + GAP), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    for number, (name, picture) in enumerate(pictures.items()):
        left = GAP + number * (STAGE_SIDE + GAP)
        draw.text((left, 2), name if picture is not None else f"{name}: {absent}", 255)
        if picture is not None:
            resized = resize_longer_side(picture, STAGE_SIDE, enlarge=cv2.INTER_NEAREST)
            canvas.paste(Image.fromarray(resized), (left, CAPTION_HEIGHT))
    return np.asarray(canvas)


def _stretch(values: NDArray[Any]) -> Pixels:
    """Values of any range as grey levels, uint8: 0 and below black, the highest white."""
    positive = np.asarray(values, np.float32).clip(0, None)
    return (positive * (255 / max(float(positive.max()), 1.0))).round().astype(np.uint8)
