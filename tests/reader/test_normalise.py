"""Ink is brought to MNIST's convention, and what follows it already stays as it is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from birnn_cli.data import strokes
from birnn_cli.data.datasets import open_data_set
from birnn_cli.reader import read
from birnn_cli.reader.normalise import centre_by_mass, is_normalised, narrow
from tests.reader.pictures import DIGIT, encode, likeness


def test_an_image_in_mnists_convention_passes_bit_for_bit() -> None:
    for digit in strokes.sample("pictures", 200)[0]:
        for picture in (Image.fromarray(digit), Image.fromarray(digit).convert("RGB")):
            found = read.read_pixels(encode(picture))
            assert found is not None
            np.testing.assert_array_equal(found, digit)


def test_all_real_test_images_pass_bit_for_bit(real_mnist: Path) -> None:
    pictures, _ = open_data_set("mnist", real_mnist).load("test")
    assert all(is_normalised(picture) for picture in pictures)
    for picture in pictures[:200]:
        np.testing.assert_array_equal(read.read_pixels(encode(picture)), picture)


def test_a_dark_28_by_28_drawing_on_white_is_brought_to_the_convention() -> None:
    found = read.read_pixels(encode(255 - DIGIT))
    assert likeness(found) > 0.95
    assert is_normalised(found)  # type: ignore[arg-type]


@pytest.mark.parametrize("pen", [1, 3])
def test_lines_of_a_thin_pen_become_as_wide_and_dark_as_mnists(pen: int) -> None:
    canvas = np.full((1000, 1000), 255, np.uint8)
    canvas[200:800, 500 : 500 + pen] = canvas[500 : 500 + pen, 350:650] = 0  # a cross
    found = read.read_pixels(encode(canvas))
    assert found is not None
    across = found[7].astype(float)  # the upright line alone
    assert across.max() > 200
    assert 1.5 <= across.sum() / 255 <= 3


def test_the_centre_of_mass_is_brought_to_pixel_14() -> None:
    box = np.zeros((1, 20, 20), np.uint8)
    box[0, 4:16, 2:6] = 255  # centre of mass (10.0, 4.0): offsets int(15 - b) = 5 and 11, kept within 8
    placed = centre_by_mass(box)
    rows, columns = np.nonzero(placed[0])
    assert (rows.min(), columns.min()) == (4 + 5, 2 + 8)
    box = np.roll(box, 5, axis=2)  # centre of mass (10.0, 9.0): offset 6
    rows, columns = np.nonzero(centre_by_mass(box)[0])
    assert (rows.min(), columns.min()) == (9, 7 + 6)


@pytest.mark.parametrize(("height", "width"), [(20, 10), (10, 20), (16, 20)])
def test_narrowed_ink_is_four_fifths_as_wide_for_its_height_and_its_longer_side_stays(
    height: int, width: int
) -> None:
    image = np.zeros((28, 28), np.uint8)
    top, left = (28 - height) // 2, (28 - width) // 2
    image[top : top + height, left : left + width] = 255
    ink = narrow(image).astype(float) / 255
    found_height, found_width = ink.sum(axis=0).max(), ink.sum(axis=1).max()
    assert found_width / found_height == pytest.approx(0.8 * width / height, rel=0.03)
    assert max(found_height, found_width) == pytest.approx(max(height, width), rel=0.03)
    assert np.allclose(ink, ink[::-1, ::-1], atol=0.02)  # the centre stays
