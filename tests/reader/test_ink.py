"""Ink is found; noise, specks, ruled lines, frames and form fields are left out."""

import numpy as np
import pytest

from birnn_cli.reader import read
from tests.reader.pictures import encode, likeness, page


def test_uneven_light_specks_and_a_frame_are_left_out() -> None:
    levels = page(60, 220).astype(float)
    levels -= np.linspace(0, 60, levels.shape[1])
    levels[20:24, 30:34] = 40
    levels[:4] = levels[-4:] = 30
    levels[:, :4] = levels[:, -4:] = 30
    assert likeness(read.read_pixels(encode(levels.clip(0, 255).astype(np.uint8)))) > 0.9


def ruled_page(step: int, grey: int, *, columns: bool) -> np.ndarray:
    """A page of ruled or ruled_page paper with the digit on it."""
    levels = page(20, 240)
    lines = np.full_like(levels, 240)
    lines[7::step] = lines[8::step] = grey
    if columns:
        lines[:, 9::step] = lines[:, 10::step] = grey
    return np.minimum(levels, lines)


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("grey", [90, 150, 200])
@pytest.mark.parametrize("step", [28, 75])
def test_ruled_lines_are_no_ink(step: int, grey: int, columns: bool) -> None:
    assert likeness(read.read_pixels(encode(ruled_page(step, grey, columns=columns)))) > 0.85


def test_one_line_from_edge_to_edge_is_no_ink_but_a_digit_that_fills_its_picture_is_ink() -> None:
    levels = page(20, 240)
    levels[400:403] = 60
    assert likeness(read.read_pixels(encode(levels))) > 0.85
    seven = np.full((200, 120), 240, np.uint8)
    seven[:3] = 20  # its bar goes from edge to edge, and thin
    for y in range(200):
        seven[y, 117 - y // 2 :][:3] = 20
    found = read.read_pixels(encode(seven))
    assert found is not None and found[4:8].max() > 100 and found[18:24].max() > 100


@pytest.mark.parametrize("width", [2, 5])
@pytest.mark.parametrize("at", [-30, -4, 0])
def test_a_rule_that_a_digit_crosses_or_stands_on_is_no_ink(width: int, at: int) -> None:
    levels = page(20, 240)
    foot = int(np.flatnonzero((levels < 120).any(axis=1))[-1])
    levels[foot + at :][:width] = np.minimum(levels[foot + at :][:width], 130)
    assert likeness(read.read_pixels(encode(levels))) > 0.85


@pytest.mark.parametrize("spread", [3, 12, 25])
def test_ink_is_found_in_noise_and_none_in_noise_alone(spread: int) -> None:
    noise = np.random.default_rng(1).normal(0, spread, page().shape)
    found = read.read_pixels(encode((page(130, 200) + noise).clip(0, 255).astype(np.uint8)))
    assert likeness(found) > 0.85
    assert read.read_pixels(encode((170 + noise).clip(0, 255).astype(np.uint8))) is None


def test_a_form_field_around_the_digit_is_no_ink() -> None:
    levels = page(20, 240)
    rows, columns = np.flatnonzero((levels < 128).any(1)), np.flatnonzero((levels < 128).any(0))
    top, bottom = rows[0] - 20, rows[-1] + 20
    left, right = columns[0] - 25, columns[-1] + 25
    for edge in (np.s_[top : top + 3, left:right], np.s_[bottom : bottom + 3, left:right]):
        levels[edge] = 60
    for edge in (np.s_[top:bottom, left : left + 3], np.s_[top : bottom + 3, right : right + 3]):
        levels[edge] = 60
    assert likeness(read.read_pixels(encode(levels))) > 0.9
