"""The digits that the program draws: the same each time, in MNIST's convention."""

import numpy as np

from birnn_cli.data import strokes
from birnn_cli.reader.normalise import is_normalised


def test_a_stroke_image_depends_on_its_split_and_number_alone() -> None:
    images, labels = strokes.sample("train", 1200)
    again, same = strokes.sample("train", 1100)
    np.testing.assert_array_equal(images[:1100], again)
    np.testing.assert_array_equal(labels[:1100], same)
    assert not np.array_equal(strokes.sample("test", 100)[0], images[:100])
    assert {image.tobytes() for image in images[:1000]}.isdisjoint(
        image.tobytes() for image in images[1000:]
    )


def test_strokes_are_in_mnists_convention_and_of_all_digits() -> None:
    images, labels = strokes.sample("train", 1000)
    assert (images.shape, images.dtype) == ((1000, 28, 28), np.uint8)
    assert all(is_normalised(image) for image in images)
    assert np.bincount(labels, minlength=10).min() > 60
