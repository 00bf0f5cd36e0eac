"""How a picture was read, for people: its stages side by side."""

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from birnn_cli.reader.light import Grey
from birnn_cli.reader.read import ReaderStages

Pixels = NDArray[np.uint8]

# In pixels: the longer side of each stage, the line above that names it, the gap between.
STAGE_SIDE, CAPTION_HEIGHT, GAP, GAP_GREY = 196, 16, 4, 64


def strip(reading: ReaderStages) -> Pixels:
    """The stages of a reading side by side, each with its name: (height, width) uint8."""
    stages = {
        "grey": reading.grey,
        "light": reading.light,
        "ink": reading.digits,
        "read": reading.pixels,
    }
    width = GAP + len(stages) * (STAGE_SIDE + GAP)
    canvas = Image.new("L", (width, CAPTION_HEIGHT + STAGE_SIDE + GAP), GAP_GREY)
    text = ImageDraw.Draw(canvas)
    for number, (name, stage) in enumerate(stages.items()):
        left = GAP + number * (STAGE_SIDE + GAP)
        text.text((left, 2), name if stage is not None else f"no {name}", 255)
        if stage is not None:
            shown = _fit(np.asarray(stage, np.float32), whole_range=name in ("light", "ink"))
            canvas.paste(Image.fromarray(shown), (left, CAPTION_HEIGHT))
    return np.asarray(canvas)


def _fit(stage: Grey, *, whole_range: bool) -> Pixels:
    """A stage, its longer side STAGE_SIDE; what is not grey levels, from black to white."""
    if whole_range:
        stage = stage.clip(0, None) * np.float32(255 / max(float(stage.max()), 1.0))
    scale = STAGE_SIDE / max(stage.shape)
    height, width = (max(1, round(side * scale)) for side in stage.shape)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(stage, (width, height), interpolation=how).round(), np.uint8)
