"""Ruled lines and boxes are taken out of the ink of a number; digits stay whole."""

from itertools import pairwise

import numpy as np
import pytest

from birnn_cli.reader.rules import find_windows, remove_ruled_lines, remove_rules
from tests.numbers import counter, digit, row


def ink(text: str = "3582", gap: int = 12) -> np.ndarray:
    return (row(text, gap) > 90).astype(np.uint8)


@pytest.mark.parametrize("climb", [-12, 0, 9])
@pytest.mark.parametrize("below", [-3, 0, 9], ids=["crossing", "touching", "apart"])
def test_a_rule_below_the_digits_is_removed_and_they_stay(climb: int, below: int) -> None:
    digits = ink()
    ruled = digits.copy()
    bottom = int(np.flatnonzero(digits.any(axis=1))[-1]) + 1 + below
    xs = np.arange(ruled.shape[1])
    for thickness in (0, 1):
        ruled[bottom + thickness + np.round(climb * (xs / xs[-1] - 0.5)).astype(int), xs] = 1
    found = remove_rules(ruled)
    assert found[:, :60].sum() == 0 and found[:, -60:].sum() == 0  # where the rule was alone
    assert (found & digits).sum() >= 0.93 * digits.sum()
    assert (found & ~digits & 1).sum() <= 0.04 * digits.sum()


def test_strokes_from_edge_to_edge_of_a_picture_cropped_to_its_digit_stay() -> None:
    """A 7 whose bar is as long as the picture is wide, and thin."""
    seven = np.zeros((200, 140), np.uint8)
    seven[3:6, 2:138] = 1
    for y in range(3, 198):
        x = 135 - (y - 3) * 90 // 195
        seven[y, x : x + 3] = 1
    assert np.array_equal(remove_ruled_lines(seven), seven)


@pytest.mark.parametrize("speck", [False, True])
def test_lines_of_ruled_paper_go_though_other_ink_is_at_the_edge(speck: bool) -> None:
    page = np.zeros((300, 240), np.uint8)
    page[90:210, 100:106] = 1  # a 1
    ruled = page.copy()
    for y in range(45, 300, 60):
        ruled[y : y + 2] = 1
    if speck:
        ruled[150:154, 0:3] = 1
    found = remove_ruled_lines(ruled)
    assert (found & page).sum() >= 0.97 * page.sum()
    assert (found & ~page & 1).sum() <= 0.05 * page.sum()


@pytest.mark.parametrize("apart", [False, True])
def test_boxes_around_digits_are_removed(apart: bool) -> None:
    digits = ink(gap=30)
    boxed = digits.copy()
    columns = np.flatnonzero(digits.any(axis=0))
    ends = np.flatnonzero(np.diff(columns) > 5)
    edges = [columns[0] - 14, *((columns[ends] + columns[ends + 1]) // 2), columns[-1] + 15]
    top, bottom = 22, 118
    for left, right in pairwise(edges):
        left, right = left + 4 * apart, right - 4 * apart
        boxed[top, left : right + 1] = boxed[bottom, left : right + 1] = 1
        boxed[top : bottom + 1, left] = boxed[top : bottom + 1, right] = 1
    np.testing.assert_array_equal(remove_rules(boxed), digits)


def test_of_an_empty_box_nothing_is_left() -> None:
    box = np.zeros((90, 120), np.uint8)
    box[20:70, 30:100] = 1
    box[22:68, 32:98] = 0
    assert not remove_rules(box).any()


@pytest.mark.parametrize("text", ["1", "7", "2", "4", "77", "22", "1111", "8080"])
@pytest.mark.parametrize("gap", [12, -2])
def test_no_stroke_of_a_digit_is_taken_for_a_rule(text: str, gap: int) -> None:
    digits = ink(text, gap)
    rows, columns = np.flatnonzero(digits.any(axis=1)), np.flatnonzero(digits.any(axis=0))
    cropped = digits[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    for mask in (digits, cropped):
        np.testing.assert_array_equal(remove_rules(mask), mask)


def test_a_field_is_ruled_whatever_is_printed_before_it() -> None:
    digits = np.pad(ink(), ((0, 0), (120, 0)))
    digits[80:100, 10:130:12] = digits[80:84, 10:130] = 1  # a printed name
    ruled = digits.copy()
    bottom = int(np.flatnonzero(digits[:, 150:].any(axis=1))[-1])
    ruled[bottom : bottom + 2, 200:-60] = 1
    found = remove_rules(ruled)
    assert (found != digits).sum() <= 0.04 * digits.sum()


@pytest.mark.parametrize("side", [0, 1])
def test_a_line_across_a_picture_at_its_side_is_no_1(side: int) -> None:
    one = np.pad((digit(2) > 90).astype(np.uint8), 25)
    lined = one.copy()
    lined[:, 3:6] = 1
    if side:
        one, lined = (np.ascontiguousarray(each[:, ::-1]) for each in (one, lined))
    np.testing.assert_array_equal(remove_rules(lined), one)


@pytest.mark.parametrize("is_light", [False, True])
def test_the_windows_of_a_counter_are_found(is_light: bool) -> None:
    picture, windows = counter("3582")
    found = find_windows((255 - picture if is_light else picture).astype(np.float32))
    assert found is not None and found[1] == is_light
    assert not (found[0] & ~windows).any() and found[0].sum() >= 0.7 * windows.sum()


@pytest.mark.parametrize("text", ["11", "77", "1111", "8080"])
def test_digits_are_no_windows(text: str) -> None:
    assert find_windows(235 - 200.0 * ink(text).astype(np.float32)) is None
