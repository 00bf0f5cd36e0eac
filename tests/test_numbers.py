"""Whole numbers are cut where they read best, and say when that is unsure."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import birnn_cli as birnn
from birnn_cli.digits import class_probabilities
from birnn_cli.numbers import ReadPiece, best_segmentation, read_numbers
from birnn_cli.reader.pieces import Piece
from birnn_cli.reader.read import ReaderStages, read_grey
from birnn_cli.runs.checkpoint import load
from tests.numbers import Pixels, counter, digit, on_paper, row

TEXTS = ["352", "9180", "4676", "205", "83", "71"]


@pytest.fixture(scope="module")
def model() -> birnn.Model:
    return birnn.load()


def piece(
    first: int, last: int, label: int, probability: float, crossed: float = 0.0, gaps: int = 0
) -> ReadPiece:
    probabilities = np.full(10, (1 - probability) / 9, np.float32)
    probabilities[label] = probability
    pixels = np.zeros((28, 28), np.uint8)
    return ReadPiece(Piece((0, 0, 1, 1), pixels, (0.6, 1.0), crossed, gaps, first, last), probabilities)


def text(pieces: list[ReadPiece]) -> str:
    return "".join(str(each.probabilities.argmax()) for each in pieces)


def test_the_ink_is_cut_in_the_most_probable_way() -> None:
    choices = [piece(0, 1, 3, 0.9), piece(1, 2, 5, 0.8), piece(0, 2, 8, 0.6)]
    assert text(best_segmentation(choices).digits) == "35"  # 0.72 against 0.6
    choices[2] = piece(0, 2, 8, 0.75)
    found = best_segmentation(choices)
    assert text(found.digits) == "8"
    assert found.certainty == pytest.approx(0.75 / (0.75 + 0.72))


def test_a_cut_through_ink_must_be_worth_it() -> None:
    clean, crossing = (
        best_segmentation([piece(0, 1, 3, 0.9, ink), piece(1, 2, 5, 0.9, ink), piece(0, 2, 8, 0.78)])
        for ink in (0.0, 0.3)
    )
    assert (text(clean.digits), text(crossing.digits)) == ("35", "8")


def test_paper_within_a_digit_must_be_worth_it() -> None:
    whole, broken = (
        best_segmentation([piece(0, 1, 1, 0.8), piece(1, 2, 0, 0.8), piece(0, 2, 6, 0.7, gaps=gaps)])
        for gaps in (0, 1)
    )
    assert (text(whole.digits), text(broken.digits)) == ("6", "10")  # 0.64 against 0.7 and 0.42


def test_two_ways_to_cut_that_give_one_text_do_not_make_it_unsure() -> None:
    choices = [piece(0, 1, 3, 0.9), piece(0, 2, 3, 0.9), piece(1, 3, 5, 0.9), piece(2, 3, 5, 0.9)]
    assert best_segmentation(choices).certainty == pytest.approx(1.0)


@pytest.mark.parametrize("number", TEXTS)
def test_digits_apart_are_read_in_their_order(number: str, model: birnn.Model) -> None:
    assert model.predict(on_paper(row(number)), several=True).label == number


@pytest.mark.parametrize("number", ["352", "4676", "71"])
def test_a_number_is_read_though_dark_and_light_are_first_taken_for_each_other(
    number: str, model: birnn.Model
) -> None:
    picture = on_paper(row(number))
    wrong, right = (read_grey(picture, invert=invert) for invert in ("no", "yes"))
    (found,) = read_numbers(
        [replace(wrong, second=right)], partial(class_probabilities, load(model.path))
    )
    assert "".join(str(each.probabilities.argmax()) for each in found.digits) == number


def test_the_other_way_to_read_is_tried_too_where_the_first_finds_no_digit(model: birnn.Model) -> None:
    right = read_grey(on_paper(row("352")), invert="yes")
    classify = partial(class_probabilities, load(model.path))
    (found,) = read_numbers([ReaderStages(right.grey, second=right)], classify)
    assert len(found.digits) == 3


def test_an_unsure_number_is_not_given_up_for_the_sure_hole_of_one_of_its_digits() -> None:
    picture = on_paper(row("9180"))
    hole, digits = (read_grey(picture, invert=invert) for invert in ("no", "yes"))
    assert hole.pixels is not None
    of_hole = hole.pixels.tobytes()

    def classify(images: Sequence[Pixels]) -> NDArray[np.float32]:
        tops = [0.99 if image.tobytes() == of_hole else 0.6 for image in images]
        return np.array([[top, 1 - top] for top in tops], np.float32).reshape(-1, 2)

    (alone,), (found,) = (
        read_numbers([each], classify) for each in (hole, replace(digits, second=hole))
    )
    assert [digit.probability for digit in alone.digits] == [pytest.approx(0.99)]
    assert len(found.digits) > 1


@pytest.mark.parametrize("number", TEXTS)
def test_a_rule_that_the_digits_stand_on_changes_nothing(number: str, model: birnn.Model) -> None:
    ink = row(number)
    bottom = int(np.flatnonzero(ink.any(axis=1))[-1])
    ink[bottom : bottom + 2] = 255
    assert model.predict(on_paper(ink), several=True).label == number


def test_numbers_whose_digits_touch_are_read_or_unsure(model: birnn.Model) -> None:
    found = [(number, model.predict(on_paper(row(number, -3)), several=True)) for number in TEXTS]
    assert sum(each.label == number for number, each in found) >= len(TEXTS) // 2
    assert all(each.label == number or each.status == "unsure" for number, each in found)


def test_rows_are_joined_by_a_line_break_and_in_text_by_a_slash(model: birnn.Model) -> None:
    found = model.predict(on_paper(np.vstack([row("352"), row("83")])), several=True)
    assert found.label == "352\n83"
    assert "352 / 83" in str(found)
    assert len(found.digits) == 5


def test_a_decimal_point_is_no_digit_and_is_not_passed_over_in_silence(model: birnn.Model) -> None:
    ink = row("352", gap=30)
    columns = np.flatnonzero(ink.any(axis=0))
    gap = int(columns[np.flatnonzero(np.diff(columns) > 20)[0]])
    ink[94:101, gap + 11 : gap + 18] = 255
    found = model.predict(on_paper(ink), several=True)
    assert found.label == "352"
    assert [(mark.kind, mark.after) for mark in found.marks] == [("point", 1)]
    assert str(found).endswith("; left out: point after 3")


@pytest.mark.parametrize("after", [0, 1])
def test_a_point_beside_a_single_digit_is_not_passed_over_either(after: int, model: birnn.Model) -> None:
    ink = row("5")
    columns = np.flatnonzero(ink.any(axis=0))
    at = columns[-1] + 25 if after else columns[0] - 32
    ink[94:101, at : at + 7] = 255
    found = model.predict(on_paper(ink), several=True)
    assert found.label == "5"
    assert [(mark.kind, mark.after) for mark in found.marks] == [("point", after)]


def test_a_faint_digit_between_strong_ones_makes_the_number_unsure(model: birnn.Model) -> None:
    ink = row("352", gap=30)
    columns = np.flatnonzero(ink.any(axis=0))
    first, second = np.flatnonzero(np.diff(columns) > 20)
    faded = slice(columns[first + 1], columns[second] + 1)
    ink[:, faded] = (ink[:, faded] * 0.2).astype(np.uint8)
    assert model.predict(on_paper(ink), several=True).status == "unsure"


@pytest.mark.parametrize("is_negative", [False, True])
def test_a_counter_s_windows_are_no_digits(is_negative: bool, model: birnn.Model) -> None:
    picture, windows = counter("3582")
    found = model.predict(255 - picture if is_negative else picture, several=True)
    assert found.label == "3582"
    assert all(
        windows[top:bottom, left:right].all()
        for left, top, right, bottom in (each.box for each in found.digits)
    )


def test_a_printed_name_before_a_field_and_the_field_s_line_are_no_digits(model: birnn.Model) -> None:
    page = Image.fromarray(on_paper(np.pad(row("352"), ((0, 0), (160, 0)))))
    draw = ImageDraw.Draw(page)
    draw.text((20, 76), "Amount:", 40, ImageFont.load_default(28))
    draw.line((220, 104, 540, 104), 40, 2)
    assert model.predict(np.asarray(page), several=True).label == "352"


def test_a_page_of_single_digits_is_read_row_by_row(model: birnn.Model) -> None:
    page = np.vstack([row(text, gap=70) for text in ("352", "918", "467")])
    assert model.predict(on_paper(page), several=True).label == "352\n918\n467"


@pytest.mark.parametrize("height", [25, 60, 110])
def test_stars_before_and_after_an_amount_are_no_digits_or_make_it_unsure(
    height: int, model: birnn.Model
) -> None:
    page = Image.fromarray(row("352"))
    draw = ImageDraw.Draw(page)
    for x in (70, 330):
        for angle in np.pi / 3 * np.arange(3):
            across, along = height / 2 * np.sin(angle), height / 2 * np.cos(angle)
            draw.line((x - across, 70 - along, x + across, 70 + along), 255, 7)
    found = model.predict(on_paper(np.asarray(page)), several=True)
    assert found.label == "352" or found.status == "unsure"


@pytest.mark.parametrize("way", ["one line", "a cross on a digit"])
def test_an_amount_that_is_crossed_out_is_unsure(way: str, model: birnn.Model) -> None:
    page = Image.fromarray(row("352"))
    draw = ImageDraw.Draw(page)
    if way == "one line":
        draw.line((90, 75, 310, 65), 255, 8)
    else:
        draw.line((170, 30, 230, 110), 255, 8)
        draw.line((170, 110, 230, 30), 255, 8)
    assert model.predict(on_paper(np.asarray(page)), several=True).status == "unsure"


@pytest.mark.parametrize("text", ["052", "252"])
def test_a_digit_of_which_the_picture_s_edge_leaves_a_narrow_part_makes_the_number_unsure(
    text: str, model: birnn.Model
) -> None:
    ink = row(text)
    last = int(np.flatnonzero(ink.any(axis=0))[0]) + digit(int(text[0])).shape[1]
    found = model.predict(on_paper(ink[:, last - 9 :]), several=True)
    assert (found.label, found.status) == ("52", "unsure")


@pytest.mark.parametrize("label", range(10))
def test_one_digit_is_read_as_without_several(label: int, model: birnn.Model) -> None:
    paper = on_paper(np.pad(digit(label), 30))
    alone, several = (model.predict(paper, several=option) for option in (False, True))
    assert (alone.label, alone.probability, alone.status) == (
        several.label,
        several.probability,
        several.status,
    )


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_dash_before_or_after_the_digits_is_named_in_text(side: str, model: birnn.Model) -> None:
    ink = row("352", gap=30)
    columns = np.flatnonzero(ink.any(axis=0))
    at = columns[0] - 45 if side == "before" else columns[-1] + 15
    ink[67:74, at : at + 30] = 255
    found = model.predict(on_paper(ink), several=True)
    assert str(found).endswith(f"%); left out: dash {side} 352")
