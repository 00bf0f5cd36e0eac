"""Ink that differs from the paper in colour alone stands out, and transparency is told from paper."""

import numpy as np
import pytest
from PIL import Image

from birnn_cli.reader.colour import to_grey
from birnn_cli.reader.read import read_grey
from tests.reader.pictures import likeness, page


def in_colours(ink: tuple[int, int, int], paper: tuple[int, int, int], noise: float = 0) -> Image.Image:
    """The page with the digit in two colours."""
    tone = page(255, 0).astype(np.float32)[..., None] / 255
    colours = np.array(paper) + tone * (np.array(ink) - np.array(paper))
    colours = colours + np.random.default_rng(2).normal(0, noise, colours.shape)
    return Image.fromarray(colours.clip(0, 255).round().astype(np.uint8))


@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        ((205, 60, 80), (60, 134, 80)),  # brightness 106 and 106
        ((60, 110, 255), (128, 107, 90)),  # 112 and 111
        ((255, 255, 0), (255, 255, 255)),
        ((200, 90, 30), (40, 130, 180)),
    ],
)
@pytest.mark.parametrize("noise", [0, 3])
def test_ink_of_the_brightness_of_paper_is_read_by_its_colour(
    ink: tuple[int, int, int], paper: tuple[int, int, int], noise: float
) -> None:
    assert likeness(read_grey(to_grey(in_colours(ink, paper, noise))).pixels) > 0.85


def test_ordinary_ink_is_read_by_its_brightness() -> None:
    for ink, paper in (((20, 20, 60), (250, 245, 230)), ((30, 60, 200), (255, 255, 255))):
        picture = in_colours(ink, paper, 3)
        assert np.array_equal(to_grey(picture), np.asarray(picture.convert("L")))


@pytest.mark.parametrize(("ink", "paper"), [(30, 240), (230, 20)])
@pytest.mark.parametrize("margin", [20, 300])
def test_an_opaque_card_on_a_transparent_canvas_is_a_sheet(ink: int, paper: int, margin: int) -> None:
    card = Image.fromarray(page(ink, paper, 200)).convert("RGBA")
    canvas = Image.new("RGBA", (400 + margin, 400 + margin))
    canvas.paste(card, (margin // 3, margin // 2))
    assert likeness(read_grey(to_grey(canvas)).pixels) > 0.9
