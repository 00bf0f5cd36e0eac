"""Rows of ink, and where each can be cut into digits."""

import cv2
import numpy as np
import pytest

from birnn_cli.reader.ink import find_strong_ink
from birnn_cli.reader.pieces import Row, find_rows
from tests.numbers import digit, row


def rows_of(picture: np.ndarray) -> list[Row]:
    contrast = picture.astype(np.float32)
    found = find_strong_ink(contrast)
    return [] if found is None else find_rows(contrast, found)


def test_rows_are_from_top_to_bottom_and_digits_in_them_from_left_to_right() -> None:
    rows = rows_of(np.vstack([row("352"), row("9180"), row("67")]))
    assert [len(each.groups) for each in rows] == [3, 4, 2]
    for each in rows:
        lefts = [group.box[0] for group in each.groups]
        assert lefts == sorted(lefts)
    tops = [each.groups[0].box[1] for each in rows]
    assert tops == sorted(tops)


def test_a_row_that_climbs_is_one_row() -> None:
    picture = np.zeros((300, 500), np.uint8)
    for k, label in enumerate("35286"):
        one = row(label, size=(90, 60))
        picture[200 - 25 * k : 290 - 25 * k, 40 + 80 * k : 100 + 80 * k] = one
    (only,) = rows_of(picture)
    assert [group.box[0] for group in only.groups] == sorted(group.box[0] for group in only.groups)
    assert len(only.groups) == 5


@pytest.mark.parametrize("text", ["35", "86", "90", "53"])
def test_one_of_the_cuts_of_two_digits_that_touch_is_between_them(text: str) -> None:
    alone = row(text, 12)
    joined = row(text, -2)
    middle = int(np.flatnonzero(joined.any(axis=0))[0]) + digit(int(text[0])).shape[1]
    joined[80:84, middle - 20 : middle + 20] = 255  # a stroke from one to the other
    ((group, *others),) = [each.groups for each in rows_of(joined)]
    assert not others
    columns = np.flatnonzero((alone > 90).any(axis=0))
    first_width = int(np.flatnonzero(np.diff(columns) > 5)[0]) + 1
    left = group.box[0]
    ends = [piece.box[2] - left for piece in group.pieces() if piece.first == 0]
    assert min(abs(end - first_width) for end in ends) <= 8


def test_paper_between_two_parts_of_a_piece_is_counted() -> None:
    picture = row("11", 6)
    (only,) = rows_of(picture)
    one, other = only.groups
    pieces = list(one.joined(other, only.contrast).pieces())
    gaps = {(piece.first, piece.last): piece.gaps for piece in pieces}
    last = max(end for _, end in gaps)
    assert gaps[0, last] == 1 and 0 in gaps.values()


def test_noise_of_which_little_is_strong_is_no_digit_but_is_said_to_be_left_out() -> None:
    digits = row("352", gap=30)
    picture = np.pad(digits, ((0, 0), (0, 90)))
    cloud = picture[30:110, 400:450]
    cloud[:] = 85  # there may be ink from about 65, and surely is from about 95
    cloud[40, 25] = 255
    (only,) = rows_of(picture)
    assert len(only.groups) == 3 and only.left_out


def test_what_is_too_low_for_a_digit_is_a_mark_and_says_what_it_is() -> None:
    picture = row("3705", gap=30)
    columns = np.flatnonzero(picture.any(axis=0))
    gaps = columns[np.flatnonzero(np.diff(columns) > 20)]
    picture[94:101, gaps[0] + 11 : gaps[0] + 18] = 255
    picture[68:73, gaps[2] + 8 : gaps[2] + 24] = 255
    (only,) = rows_of(picture)
    assert [mark.kind for mark in only.marks] == ["point", "dash"] and len(only.groups) == 4
    assert only.marks[0].box == pytest.approx((gaps[0] + 11, 94, gaps[0] + 18, 101), abs=2)


@pytest.mark.parametrize(("tone", "is_left_out"), [(0.3, True), (0.02, False)])
def test_a_digit_too_faint_to_be_read_is_said_to_be_left_out(tone: float, is_left_out: bool) -> None:
    picture = row("352", gap=30)
    left, right = 180, 220
    assert picture[:, left:right].any()
    columns = np.flatnonzero(picture.any(axis=0))
    first, second = np.flatnonzero(np.diff(columns) > 20)
    faded = slice(columns[first + 1], columns[second] + 1)
    picture[:, faded] = (picture[:, faded] * tone).astype(np.uint8)
    (only,) = rows_of(picture)
    assert (len(only.groups), only.left_out) == (2, is_left_out)


@pytest.mark.parametrize(("scale", "is_left_out"), [(0.3, True), (0.1, False)])
def test_a_row_of_much_lower_digits_is_said_to_be_left_out(scale: float, is_left_out: bool) -> None:
    small = cv2.resize(row("904"), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    picture = np.vstack([row("352"), np.pad(small, ((0, 10), (0, 400 - small.shape[1])))])
    (only,) = rows_of(picture)
    assert (len(only.groups), only.left_out) == (3, is_left_out)


def test_paper_without_ink_has_no_rows() -> None:
    assert rows_of(np.random.default_rng(0).normal(0, 2, (80, 120))) == []
