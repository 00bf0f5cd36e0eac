"""The whole road from a picture to 28×28 pixels: no ink, the plain reader, several digits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from birnn_cli.data import strokes
from birnn_cli.reader import decode, read
from birnn_cli.reader.geometry import bounding_box
from birnn_cli.reader.normalise import normalise
from tests.reader.pictures import encode, page


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (28, 28), (200, 200), (3, 3)])
@pytest.mark.parametrize("level", [0, 9, 128, 255])
def test_an_empty_picture_has_no_ink(shape: tuple[int, int], level: int) -> None:
    assert read.read_pixels(encode(np.full(shape, level, np.uint8))) is None


def test_a_fully_transparent_picture_has_no_ink() -> None:
    assert read.read_pixels(encode(Image.new("RGBA", (60, 60), (0, 0, 0, 0)))) is None


def test_the_plain_reader_only_resizes() -> None:
    grey = np.arange(784, dtype=np.uint8).reshape(28, 28)
    np.testing.assert_array_equal(read.read_pixels(encode(grey), "plain"), grey)
    np.testing.assert_array_equal(read.read_pixels(encode(grey), "plain", "yes"), 255 - grey)
    large = np.kron(grey, np.ones((10, 10), np.uint8))
    np.testing.assert_array_equal(read.read_pixels(encode(large), "plain"), grey)


def test_grey_levels_are_read_as_the_same_picture_in_a_file_is() -> None:
    stages = read.read_grey(decode.to_grey(Image.fromarray(page()).convert("RGB")))
    np.testing.assert_array_equal(stages.pixels, read.read_pixels(encode(page())))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32 - 1), st.integers(0, 255))
def test_any_grey_levels_give_an_image_or_no_ink(height: int, width: int, seed: int, low: int) -> None:
    levels = np.random.default_rng(seed).integers(low, 256, (height, width), dtype=np.uint8)
    found = read.read_pixels(encode(levels))
    assert found is None or found.shape == (28, 28)


def test_the_box_of_a_digit_that_touches_the_edge_ends_at_the_edge() -> None:
    """Shrunk to 640 pixels, its height is rounded from 258.56 up to 259."""
    picture = np.full((404, 1000), 250, np.uint8)
    picture[134:, 467:533] = 10
    left, top, right, bottom = read.read_stages(encode(picture), full_size=True).ink_box
    assert bottom == 404
    assert np.abs(np.array([left, top, right]) - [467, 134, 533]).max() <= 2


def test_a_black_picture_read_plainly_is_its_own_box() -> None:
    stages = read.read_stages(encode(np.zeros((40, 60), np.uint8)), "plain")
    assert stages.ink_box == (0, 0, 60, 40)
    assert stages.pixels is not None and not stages.pixels.any()


def test_ink_is_normalised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, own = [], read.normalise
    monkeypatch.setattr(read, "normalise", lambda contrast, ink: made.append(ink) or own(contrast, ink))
    stages = read.read_stages(encode(np.hstack([page(), page(), page()])))
    assert stages.num_digits == 3 and not made
    assert stages.pixels is stages.pixels
    assert len(made) == 1


@pytest.mark.parametrize("is_dark", [False, True])
def test_a_small_black_and_white_drawing_may_be_cropped_to_its_ink(is_dark: bool) -> None:
    """One of its readings has all of the ink, whatever of it touches the edges."""
    images, _ = strokes.sample("cropped", 150)
    for image in images:
        left, top, right, bottom = bounding_box(image > 100)
        crop = np.where(image[top:bottom, left:right] > 100, 255, 0).astype(np.uint8)
        if min(crop.shape) < 6:  # of a narrow 1, hardly any paper is left
            continue
        wanted = normalise(crop.astype(np.float32), crop > 0)
        first = read.read_grey(255 - crop if is_dark else crop)
        readings = [each.pixels for each in (first, first.second) if each is not None]
        differences = [np.abs(pixels.astype(int) - wanted).mean() for pixels in readings]
        assert min(differences) < 2
