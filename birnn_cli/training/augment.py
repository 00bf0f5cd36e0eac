"""Batches of images, each shifted, turned, scaled, bent and its pen changed in its own way.

A batch at a time, on the device that learns; what is drawn is drawn on the CPU, so that every device
sees the same images.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from birnn_cli.reader.normalise import SIDE

# The ranges at strength 1, each drawn uniformly: what leaves a digit the digit that it is.
TURN_RADIANS = math.radians(15)
LOG_SCALE = 0.12
SHEAR = 0.2
SHIFT_PIXELS = 2.0
# Spread of the smooth displacement (Simard, Steinkraus and Platt 2003): normal at BEND_POINTS by
# BEND_POINTS places, bicubic between them, by a share of it that is drawn for each image.
BEND_PIXELS = 1.5
BEND_POINTS = 5
# Share of the way to the image's maximum over 3 by 3 pixels (thicker), or to its minimum (thinner).
THICKNESS = 0.4


class Changes(NamedTuple):
    """How each image of a batch changes.

    Attributes:
        by: What moves the places that pixels are taken from, times `_basis`: shape
            (batch, 2, 3 + BEND_POINTS²), float32.
        thickness: Of the pen: shape (batch,), float32 in -1 (thinner) to 1.
    """

    by: Tensor
    thickness: Tensor


def draw(total: int, strength: float, generator: torch.Generator, share: slice = slice(None)) -> Changes:
    """Draw changes for the images of a batch, on the CPU.

    Args:
        total: Images in the whole batch.
        strength: Multiplies every range, 0 or more; 0 changes nothing.
        generator: Where they are drawn from; on the CPU.
        share: The images whose changes are wanted.
    """
    drawn = torch.rand(7, total, generator=generator) * 2 - 1
    turn, log_x, log_y, shear, right, down, thickness = (drawn * strength)[:, share]
    cos, sin = torch.cos(turn * TURN_RADIANS), torch.sin(turn * TURN_RADIANS)
    scale_x, scale_y, shear = (log_x * LOG_SCALE).exp(), (log_y * LOG_SCALE).exp(), shear * SHEAR
    # Where each pixel of the new image is taken from; the picture reaches from -1 to 1.
    to_x = [cos * scale_x, (shear * cos - sin) * scale_y, right * SHIFT_PIXELS * 2 / SIDE]
    to_y = [sin * scale_x, (shear * sin + cos) * scale_y, down * SHIFT_PIXELS * 2 / SIDE]
    affine = torch.stack([*to_x, *to_y], dim=1).view(-1, 2, 3)
    bend = torch.randn(total, 2, BEND_POINTS**2, generator=generator)
    bend *= torch.rand(total, 1, 1, generator=generator) * strength * BEND_PIXELS * 2 / SIDE
    return Changes(torch.cat([affine, bend[share]], dim=2), (thickness * THICKNESS).clamp(-1, 1))


def augment(images: Tensor, changes: Changes) -> Tensor:
    """Change each image of a batch a little, each in its own way.

    Args:
        images: Shape (batch, 28, 28), float32 in [0, 1], ink light on black.
        changes: One for each, on the same device.

    Returns:
        The same shape, dtype, range and device.
    """
    places = (changes.by @ _basis(images.device)).view(-1, 2, SIDE, SIDE).permute(0, 2, 3, 1)
    thick = _thicken(images, changes.thickness[:, None, None])
    moved: Tensor = functional.grid_sample(thick[:, None], places, align_corners=False)
    return moved[:, 0]


@cache
def _basis(device: torch.device) -> Tensor:
    """What moves pixels, at each of them: shape (3 + BEND_POINTS², SIDE²), float32.

    Its own x and y in -1 to 1, one, and the bicubic weight of each point of a bend.
    """
    whole = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
    xy = functional.affine_grid(whole, [1, 1, SIDE, SIDE], align_corners=False).view(-1, 2)
    points = torch.eye(BEND_POINTS**2).view(1, -1, BEND_POINTS, BEND_POINTS)
    weights = functional.interpolate(points, (SIDE, SIDE), mode="bicubic", align_corners=True)
    basis = torch.cat([xy.T, torch.ones(1, SIDE**2), weights.view(-1, SIDE**2)])
    return basis.to(device)


def _thicken(images: Tensor, share: Tensor) -> Tensor:
    """Images (batch, height, width) towards the maximum around each pixel, or the minimum below 0."""
    larger, smaller = _around(images, torch.maximum), _around(images, torch.minimum)
    return torch.where(
        share > 0, images + share * (larger - images), images + share * (images - smaller)
    )


def _around(images: Tensor, extreme: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The extreme of 3 by 3 pixels around each: two chains, far faster than max_pool2d on a CPU."""
    wide = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    lines = extreme(extreme(wide[..., :-2], wide[..., 1:-1]), wide[..., 2:])
    return extreme(extreme(lines[:, :-2], lines[:, 1:-1]), lines[:, 2:])
