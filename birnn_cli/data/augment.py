"""Batches of images, each shifted, turned, scaled, bent and its pen changed in its own way.

A batch at a time, on the device that learns; what is drawn is drawn on the CPU, so that every device
sees the same images.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

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


def augment(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Change each image of a batch a little, each in its own way.

    Args:
        images: Shape (batch, height, width), float32 in [0, 1], ink light on black.
        strength: Multiplies every range, 0 or more; 0 changes nothing.
        generator: Where the changes are drawn from; on the CPU.

    Returns:
        The same shape, dtype, range and device.
    """
    batch, height, width = images.shape
    drawn = torch.rand(7, batch, generator=generator) * 2 - 1
    turn, log_x, log_y, shear, right, down, thickness = drawn * strength
    cos, sin = torch.cos(turn * TURN_RADIANS), torch.sin(turn * TURN_RADIANS)
    scale_x, scale_y, shear = (log_x * LOG_SCALE).exp(), (log_y * LOG_SCALE).exp(), shear * SHEAR
    # Where each pixel of the new image is taken from; the picture reaches from -1 to 1.
    top = [cos * scale_x, (shear * cos - sin) * scale_y, right * SHIFT_PIXELS * 2 / width]
    bottom = [sin * scale_x, (shear * sin + cos) * scale_y, down * SHIFT_PIXELS * 2 / height]
    affine = torch.stack([torch.stack(top, 1), torch.stack(bottom, 1)], 1)  # (batch, 2, 3)
    bend = torch.randn(batch, 2, BEND_POINTS, BEND_POINTS, generator=generator)
    bend *= torch.rand(batch, 1, 1, 1, generator=generator) * strength * BEND_PIXELS * 2 / width
    affine, bend, thickness = (each.to(images.device) for each in (affine, bend, thickness))
    places = functional.affine_grid(affine, [batch, 1, height, width], align_corners=False)
    places = places + functional.interpolate(
        bend, (height, width), mode="bicubic", align_corners=True
    ).permute(0, 2, 3, 1)
    thickness = (thickness * THICKNESS).clamp(-1, 1)
    thick = _thicken(images[:, None], thickness[:, None, None, None])
    moved: Tensor = functional.grid_sample(thick, places, align_corners=False)
    return moved[:, 0]


def _thicken(images: Tensor, share: Tensor) -> Tensor:
    """Images (batch, 1, height, width) towards the maximum around each pixel, or the minimum below 0."""
    larger = functional.max_pool2d(images, 3, 1, 1)
    smaller = -functional.max_pool2d(-images, 3, 1, 1)
    return torch.where(
        share > 0, images + share * (larger - images), images + share * (images - smaller)
    )
