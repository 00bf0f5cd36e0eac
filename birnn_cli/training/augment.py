"""Augmentation: each image of a batch is shifted, turned, scaled, stretched, bent and its pen changed.

A batch is changed at once, on the device that learns. The random numbers are drawn on the CPU, so that
every device sees the same images.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from birnn_cli.reader.normalise import SIDE

# The ranges at strength 1. Each number is drawn uniformly from minus to plus its range, chosen so that a
# digit stays the digit that it is.
TURN_RADIANS = math.radians(15)
LOG_SCALE = 0.12  # natural logarithm of the factor, for width and height on their own
SHEAR = 0.2  # pixels to the side per pixel of height
SHIFT_PIXELS = 2.0
# Natural logarithm of the factor between width and height: some hands write twice as wide as others, and
# some scanners stretch. The longer side stays as long as it is.
LOG_STRETCH = 0.5
INK_ABOVE = 0.2  # a pixel's value from which it counts as ink where an image's width is measured
# A smooth random displacement (Simard, Steinkraus and Platt 2003): normal at BEND_POINTS by BEND_POINTS
# points, bicubic between them. Its standard deviation is drawn for each image, from 0 to this.
BEND_PIXELS = 1.5
BEND_POINTS = 5
# How far each pixel moves towards the maximum of the 3×3 pixels around it (a thicker pen), or towards
# their minimum (a thinner one), as a fraction of the way.
THICKER, THINNER = 0.8, 0.4
# Natural logarithm of the largest factor by which grey levels move away from PIVOT; half of the images
# keep theirs. Moved images are smoother than scanned ones, and some scans know no grey at all.
LOG_GAIN = 1.8
PIVOT = 0.35
# The fraction of the images that stay as they are, sharp as the images to be read are.
UNCHANGED = 0.2


class Changes(NamedTuple):
    """How each image of a batch changes; all are float32.

    `displacement` (batch, 2, 3 + BEND_POINTS²) says where pixels are taken from, x and y, in
    coefficients of `_basis`. The others are (batch,): `stretch` is the factor between width and height,
    `thickness` that of the pen, from -1 (thinner) to 1 (thicker), `gain` the factor on grey levels.
    """

    displacement: Tensor
    stretch: Tensor
    thickness: Tensor
    gain: Tensor


def draw(
    batch_size: int, strength: float, generator: torch.Generator, process_slice: slice = slice(None)
) -> Changes:
    """Draw the changes of the images of a batch, on the CPU, and return those of a slice of them.

    `strength`, 0 or more, multiplies every range.
    """
    drawn = torch.rand(9, batch_size, generator=generator) * 2 - 1
    drawn *= strength * (torch.rand(batch_size, generator=generator) >= UNCHANGED)
    turn, log_x, log_y, shear, right, down, thickness, stretch, gain = drawn[:, process_slice]
    cos, sin = torch.cos(turn * TURN_RADIANS), torch.sin(turn * TURN_RADIANS)
    scale_x, scale_y, shear = (log_x * LOG_SCALE).exp(), (log_y * LOG_SCALE).exp(), shear * SHEAR
    # The affine map from a pixel of the new image to where it is taken from; the image is -1 to 1.
    to_x = [cos * scale_x, (shear * cos - sin) * scale_y, right * SHIFT_PIXELS * 2 / SIDE]
    to_y = [sin * scale_x, (shear * sin + cos) * scale_y, down * SHIFT_PIXELS * 2 / SIDE]
    affine = torch.stack([*to_x, *to_y], dim=1).view(-1, 2, 3)
    bend = torch.randn(batch_size, 2, BEND_POINTS**2, generator=generator)
    bend *= torch.rand(batch_size, 1, 1, generator=generator) * strength * BEND_PIXELS * 2 / SIDE
    bend[drawn[0] == 0] = 0
    displacement = torch.cat([affine, bend[process_slice]], dim=2)
    thickness *= torch.where(thickness > 0, THICKER, THINNER)
    stretch, gain = (stretch * LOG_STRETCH).exp(), (gain.clamp(min=0) * LOG_GAIN).exp()
    return Changes(displacement, stretch, thickness.clamp(-1, 1), gain)


def augment(images: Tensor, changes: Changes) -> Tensor:
    """Change each image by its own changes: (batch, 28, 28) float32 in [0, 1], ink light on black."""
    places = (changes.displacement @ _basis(images.device)).view(-1, 2, SIDE, SIDE)
    places *= _stretch_factors(images, changes.stretch)[:, :, None, None]
    thick = _change_pen(images, changes.thickness[:, None, None])
    moved: Tensor = functional.grid_sample(
        thick[:, None], places.permute(0, 2, 3, 1), align_corners=False
    )
    sharp = (moved[:, 0] - PIVOT) * changes.gain[:, None, None] + PIVOT
    return sharp.clamp(0, 1)


def _stretch_factors(images: Tensor, stretch: Tensor) -> Tensor:
    """The factors on x and y of where pixels are taken from that make ink wider by `stretch`: (n, 2)."""
    ink = images > INK_ABOVE
    width, height = (ink.any(dim=along).sum(dim=1).clamp(min=1) for along in (1, 2))
    longer = torch.maximum(stretch * width, height) / torch.maximum(width, height)
    return torch.stack([longer / stretch, longer], dim=1)


@cache
def _basis(device: torch.device) -> Tensor:
    """What a displacement is made of, at each pixel: shape (3 + BEND_POINTS², SIDE²), float32.

    The pixel's own x and y in -1 to 1, the constant one, and the bicubic weight of each point of a bend.
    """
    identity = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
    xy = functional.affine_grid(identity, [1, 1, SIDE, SIDE], align_corners=False).view(-1, 2)
    points = torch.eye(BEND_POINTS**2).view(1, -1, BEND_POINTS, BEND_POINTS)
    weights = functional.interpolate(points, (SIDE, SIDE), mode="bicubic", align_corners=True)
    basis = torch.cat([xy.T, torch.ones(1, SIDE**2), weights.view(-1, SIDE**2)])
    return basis.to(device)


def _change_pen(images: Tensor, thickness: Tensor) -> Tensor:
    """Move images (batch, height, width) towards their local maximum, or their minimum below 0."""
    larger, smaller = _local_extreme(images, torch.maximum), _local_extreme(images, torch.minimum)
    thicker, thinner = images + thickness * (larger - images), images + thickness * (images - smaller)
    return torch.where(thickness > 0, thicker, thinner)


def _local_extreme(images: Tensor, extreme: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The extreme of the 3×3 pixels around each, in two passes: far faster than max_pool2d on a CPU."""
    wide = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    lines = extreme(extreme(wide[..., :-2], wide[..., 1:-1]), wide[..., 2:])
    return extreme(extreme(lines[:, :-2], lines[:, 1:-1]), lines[:, 2:])
