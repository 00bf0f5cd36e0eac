"""The paper is subtracted: whether ink is dark or light, and whatever the light on it."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from birnn_cli.reader import read
from tests.reader.pictures import DIGIT, encode, likeness, page


@pytest.mark.parametrize(
    ("ink", "paper"), [(0, 255), (255, 0), (90, 200), (200, 90), (120, 160), (60, 0)]
)
@pytest.mark.parametrize("side", [40, 280, 900])
def test_ink_is_found_at_any_polarity_contrast_and_size(ink: int, paper: int, side: int) -> None:
    assert likeness(read.read_pixels(encode(page(ink, paper, side)))) > 0.9


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize(("ink", "paper"), [(40, 230), (220, 30)])
def test_paper_that_is_bright_near_a_lamp_alone_is_still_paper(turn: int, ink: int, paper: int) -> None:
    """The paper is bright near one corner alone; most of its border is as dark as ink is there."""
    y, x = np.mgrid[0:1:560j, 0:1:560j]
    lamp = 0.2 + 0.8 * np.exp(-2 * ((x - 0.3) ** 2 + (y - 0.2) ** 2))
    levels = (page(ink, paper) * lamp).round().astype(np.uint8)
    found = read.read_pixels(encode(np.rot90(levels, turn)))
    assert found is not None
    assert likeness(np.rot90(found, -turn)) > 0.9


def page_in_light(kind: str) -> np.ndarray:
    """Dark ink on light paper in uneven light."""
    levels = page(60, 235).astype(np.float32)
    side = len(levels)
    y, x = np.mgrid[:side, :side] / (side / 2) - 1
    light = {
        "vignette": 1 - 0.3 * (x * x + y * y),
        "from one side": 1 - 0.35 * (x + y),
        "sharp shadow": np.where(0.8 * x + y > 0.5, 0.6, 1.0),
        "desk beside the paper": np.where(x < -0.8, 0.2, 1.0),
    }[kind]
    return (levels * light).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("kind", ["vignette", "from one side", "sharp shadow", "desk beside the paper"])
def test_uneven_light_is_no_ink(kind: str, invert: bool) -> None:
    levels = page_in_light(kind)
    assert likeness(read.read_pixels(encode(255 - levels if invert else levels))) > 0.85


def shaded(where: np.ndarray, factor: float, softness: float) -> np.ndarray:
    """Dark ink on light paper, with less light where a number is above 0."""
    levels = page(60, 235) * (1 - (1 - factor) / (1 + np.exp((-where / softness).clip(-50, 50))))
    return np.asarray(levels.round(), np.uint8)


@pytest.mark.parametrize("softness", [0.01, 0.05])
@pytest.mark.parametrize("factor", [0.5, 0.7])
def test_a_shadow_over_ink_is_no_ink_however_soft(factor: float, softness: float) -> None:
    y, x = np.mgrid[0:1:560j, 0:1:560j]
    fingers = 1 - ((x - 0.8) / 0.25) ** 2 - ((y - 0.6) / 0.4) ** 2
    for where in (fingers, y - 0.15, 0.5 - x + 0.3 * y, np.abs(x + 0.4 * y - 0.6) - 0.1):
        found = read.read_grey(shaded(where, factor, softness))
        assert max(likeness(each.pixels) for each in (found, found.second) if each is not None) > 0.85


@pytest.mark.parametrize("place", [(0.2, 0.2), (0.8, 0.3), (0.6, 0.9)])
def test_glare_is_no_ink(place: tuple[float, float]) -> None:
    y, x = np.mgrid[0:1:560j, 0:1:560j]
    spot = np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 0.01)
    found = read.read_grey((page(40, 150) + 105 * spot).clip(0, 255).astype(np.uint8))
    assert max(likeness(each.pixels) for each in (found, found.second) if each is not None) > 0.9


def test_a_negative_an_enlargement_and_a_margin_leave_the_digit_as_it_is() -> None:
    own = page(30, 220, 120)
    large = np.asarray(Image.fromarray(own).resize((720, 720), Image.Resampling.BICUBIC))
    for changed in (own, 255 - own, large, np.pad(own, 90, constant_values=220)):
        assert likeness(read.read_grey(changed).pixels) > 0.9


@pytest.mark.parametrize("slope", [30, 120])
def test_an_empty_page_in_uneven_light_has_no_ink(slope: int) -> None:
    y, x = np.mgrid[:160, :160] / 160
    for levels in (90 + slope * x, 90 + slope * (x + y) / 2, 90 + slope * x * y):
        assert read.read_pixels(encode(levels.astype(np.uint8))) is None


def test_ink_may_fill_almost_half_of_a_small_picture() -> None:
    thick = np.zeros((14, 12), np.uint8)
    thick[1:13, 3:9] = 255
    found = read.read_pixels(encode(255 - thick))
    assert found is not None and found[14, 14] > 200


def test_the_option_invert_is_obeyed() -> None:
    levels = page()
    levels[:, :260] = 0  # most of the border is black now
    found = read.read_pixels(encode(levels[:, 200:]), invert="yes")
    assert found is not None
    white = read.read_pixels(encode(np.pad(DIGIT, 20)), invert="no")
    assert likeness(white) > 0.95


def test_a_bold_zero_is_read_whole_whatever_is_in_it() -> None:
    """Its counter is no ink, it is no sheet, and the slash in it does not set the width of the pen."""
    for slash in (0, 12):
        zero = Image.new("L", (200, 220), 240)
        draw = ImageDraw.Draw(zero)
        draw.rounded_rectangle((55, 60, 145, 165), 42, outline=20, width=32)
        if slash:
            draw.line((92, 130, 108, 95), fill=20, width=slash // 2)
        found = read.read_grey(np.asarray(zero)).pixels
        assert found is not None
        assert found[4:24, 6:22].mean() > 120 and found[14, [7, 20]].min() > 200
