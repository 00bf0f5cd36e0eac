"""Grey levels of a picture of any mode, such that its ink stands out."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from birnn_cli.reader import opencv as cv2
from birnn_cli.reader.geometry import Pixels

LUMA = (0.299, 0.587, 0.114)  # how bright red, green and blue are (ITU-R BT.601), as Pillow weighs them
COLOUR_SIDE = 240  # pixels on the longer side, at most, on which colours are compared
SURROUNDINGS = (
    0.35  # side of the square with whose mean a pixel is compared, as a fraction of the longer
)
# Times the variance of the brightness from which the variance along another mixture of colours counts.
MIN_COLOUR_ADVANTAGE = 3.0


def to_grey(picture: Image.Image) -> Pixels:
    """The grey levels of an upright Pillow picture: (height, width) uint8.

    They are its brightness unless ink differs from paper in colour much more than in brightness.
    Transparent pixels become paper, so that ink on a transparent background is read as ink.
    """
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        levels = np.asarray(picture, np.float64)
        # Pillow's own conversion would cut such levels off at 255. They are 16 bits deep, unless none of
        # them is above 255; floats may also go from 0 to 1.
        highest = levels.max(initial=0)
        white = 65535 if highest > 255 else 1 if picture.mode == "F" and highest <= 1 else 255
        return (levels * (255 / white)).clip(0, 255).round().astype(np.uint8)
    if picture.mode == "LAB":  # Pillow converts it to no other mode; its first channel is the lightness
        return np.asarray(picture.getchannel(0))
    if picture.has_transparency_data:
        picture = _lay_on_paper(picture)
    if picture.mode in ("1", "L"):
        return np.asarray(picture.convert("L"))
    picture = picture.convert("RGB")
    mixture = _mixture_with_ink(np.asarray(picture))
    if mixture is None:
        return np.asarray(picture.convert("L"))
    levels = np.asarray(picture) @ mixture - 255 * mixture.clip(None, 0).sum()
    return np.asarray(levels.round(), np.uint8)


def _lay_on_paper(picture: Image.Image) -> Image.Image:
    """A picture without transparency, in RGB: paper shows through where it was transparent."""
    picture = picture.convert("RGBA")
    few = np.asarray(picture)[:: _step(picture.size), :: _step(picture.size)]
    opaque = few[few[..., 3] > 127, :3]
    if 8 * len(opaque) > few.size:  # more than half of the pixels: the rest continues the paper
        paper = tuple(np.median(opaque, axis=0).astype(int).tolist())
    else:  # mostly transparent: what is opaque stands out, so that paper is dark only under light ink
        is_light = len(opaque) > 0 and float((opaque @ LUMA).mean()) >= 128
        paper = (0, 0, 0) if is_light else (255, 255, 255)
    return Image.alpha_composite(Image.new("RGBA", picture.size, paper), picture).convert("RGB")


def _step(size: tuple[int, ...]) -> int:
    """Of how many pixels along each side one is enough to compare colours."""
    return -(-max(size) // COLOUR_SIDE)


def _mixture_with_ink(rgb: Pixels) -> NDArray[np.float32] | None:
    """The mixture of red, green and blue in which ink stands out; None where brightness does.

    It is the first principal component of how the pixels of (height, width, 3) differ from their
    surroundings, scaled so that the absolute values of its three weights sum to 1.
    """
    few = rgb[:: _step(rgb.shape), :: _step(rgb.shape)].astype(np.float32)
    side = round(SURROUNDINGS * max(few.shape)) | 1
    difference = (few - cv2.blur(few, (side, side), borderType=cv2.BORDER_REPLICATE)).reshape(-1, 3)
    covariance = difference.T @ difference / len(difference)
    component = np.linalg.eigh(covariance)[1][:, -1]
    component = component / np.abs(component).sum()
    luma = np.array(LUMA, np.float32)
    advantage = component @ covariance @ component - MIN_COLOUR_ADVANTAGE * (luma @ covariance @ luma)
    return np.asarray(component, np.float32) if advantage > 0 else None
