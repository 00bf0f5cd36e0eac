"""The sheet that a digit stands on is found, whatever lies around it, and no shadow is taken for one."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from birnn_cli.reader.geometry import shrink
from birnn_cli.reader.read import read_grey
from birnn_cli.reader.sheet import find_sheet
from tests.reader.pictures import likeness, page


def laid_on(
    table: int, angle: float, *, paper: int = 235, ink: int = 40, margin: int = 200
) -> np.ndarray:
    """A sheet with the digit, turned by an angle in degrees, on a table with some texture."""
    sheet = Image.fromarray(page(ink, paper)).convert("LA")
    turned = sheet.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    size = (turned.height + margin, turned.width + margin)
    texture = np.random.default_rng(3).normal(table, 5, size).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(texture)
    picture.paste(turned.getchannel("L"), (margin // 2, margin // 2), turned.getchannel("A"))
    return np.asarray(picture)


@pytest.mark.parametrize("table", [10, 70, 120])
@pytest.mark.parametrize("width", [6, 40, 200])
def test_a_border_all_around_is_not_read(table: int, width: int) -> None:
    bordered = np.pad(page(40, 235), width, constant_values=table)
    assert likeness(read_grey(bordered).pixels) > 0.9


@pytest.mark.parametrize("sides", [((70, 0), (0, 0)), ((0, 30), (50, 0)), ((0, 0), (25, 90))])
def test_a_border_on_some_sides_is_not_read(sides: tuple[tuple[int, int], tuple[int, int]]) -> None:
    assert likeness(read_grey(np.pad(page(40, 235), sides, constant_values=30)).pixels) > 0.9


@pytest.mark.parametrize("angle", [-12, 4, 15])
def test_a_sheet_askew_on_a_table_is_read(angle: float) -> None:
    found = read_grey(laid_on(70, angle)).pixels
    assert found is not None
    upright = Image.fromarray(found).rotate(-angle, Image.Resampling.BICUBIC)
    assert likeness(np.asarray(upright)) > 0.75


def test_a_dark_board_on_a_light_wall_is_read_with_its_light_ink() -> None:
    assert likeness(read_grey(laid_on(210, 0, paper=40, ink=220)).pixels) > 0.9


@pytest.mark.parametrize("width", [4, 14])
def test_the_border_of_a_cell_is_not_read(width: int) -> None:
    cell = Image.fromarray(page(40, 235)[:290, 120:440])
    ImageDraw.Draw(cell).rectangle((0, 0, 319, 289), outline=60, width=width)
    assert likeness(read_grey(np.asarray(cell)).pixels) > 0.9


@pytest.mark.parametrize("at", [0.12, 0.2])
@pytest.mark.parametrize("softness", [2, 12])
def test_the_lit_part_of_a_page_is_no_sheet_where_ink_crosses_its_edge(at: float, softness: int) -> None:
    levels = page(40, 235).astype(np.float32)
    y = np.arange(len(levels))[:, None] - at * len(levels)
    levels *= 1 - 0.45 / (1 + np.exp(-y / softness))
    assert find_sheet(shrink(levels.round().astype(np.uint8))) is None
    assert likeness(read_grey(levels.round().astype(np.uint8)).pixels) > 0.85


def test_the_inside_of_a_round_digit_is_no_sheet() -> None:
    zero = Image.new("L", (300, 300), 240)
    ImageDraw.Draw(zero).ellipse((70, 30, 230, 270), outline=20, width=30)
    assert find_sheet(shrink(np.asarray(zero))) is None


@pytest.mark.parametrize("lean", [0, 12])
def test_a_digit_of_broad_strokes_is_no_sheet(lean: int) -> None:
    """An 8 of straight strokes, whose last one ends early, fills its outline as a dark sheet does."""
    picture = Image.new("L", (280, 280), 255)
    left, right, top, middle, bottom = 50, 118, 46, 126, 206
    outline = [(left, bottom), (left, top), (right, top), (right + lean, bottom - 8)]
    draw = ImageDraw.Draw(picture)
    draw.line(outline, 0, 22, joint="curve")
    draw.line([(left, middle), (right, middle - 10)], 0, 22)
    draw.line([(left, bottom), (right - 14, bottom + 12)], 0, 22)
    assert find_sheet(shrink(np.asarray(picture))) is None
