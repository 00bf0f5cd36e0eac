"""Draw how several digits were read: the stages of the picture, and each digit by its number."""

import cv2
import numpy as np
from PIL import Image, ImageDraw

from birnn_cli.reader.light import resize_longer_side
from birnn_cli.reader.normalise import Pixels
from birnn_cli.reader.read import ReaderStages
from birnn_cli.reader.stages import BACKGROUND, CAPTION_HEIGHT, GAP, STAGE_SIDE, draw_stages


def draw_digits(stages: ReaderStages) -> Pixels:
    """Draw the stages of reading one picture and a row for each digit in it: (height, width) uint8.

    A row shows the digit as it is in the picture, and as the network reads it; its caption gives the
    digit's number, in the order of the answer, and its box: left, top, right, bottom.
    """
    strip = draw_stages(stages)
    digits = list(stages.split_digits())
    height = CAPTION_HEIGHT + STAGE_SIDE + GAP
    canvas = Image.new("L", (strip.shape[1], len(strip) + len(digits) * height), BACKGROUND)
    canvas.paste(Image.fromarray(strip))
    draw = ImageDraw.Draw(canvas)
    for number, (box, pixels) in enumerate(digits, start=1):
        left, top, right, bottom = box
        y = len(strip) + (number - 1) * height
        draw.text((GAP, y + 2), f"digit {number} of {len(digits)}: box {[*box]}", 255)
        for k, picture in enumerate((stages.grey[top:bottom, left:right], pixels)):
            resized = resize_longer_side(picture, STAGE_SIDE, enlarge=cv2.INTER_NEAREST)
            canvas.paste(Image.fromarray(resized), (GAP + k * (STAGE_SIDE + GAP), y + CAPTION_HEIGHT))
    return np.asarray(canvas)
