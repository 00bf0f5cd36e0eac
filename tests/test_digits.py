from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from birnn_cli.data import strokes
from birnn_cli.digits import read_again, read_surest
from birnn_cli.reader.normalise import narrow


def test_what_is_not_sure_is_read_again_narrower_and_the_mean_counts() -> None:
    images = list(strokes.sample("pictures", 2)[0])
    asked: list[NDArray[np.uint8]] = []

    def classify(again: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        asked.extend(again)
        return np.array([[0.2, 0.8]] * len(again), np.float32)

    first = np.array([[0.6, 0.4], [0.99, 0.01]], np.float32)
    np.testing.assert_allclose(
        read_again(images, first, classify), [[0.4, 0.6], [0.99, 0.01]], atol=1e-6
    )
    assert len(asked) == 1 and np.array_equal(asked[0], narrow(images[0]))


def test_of_the_images_that_a_picture_may_be_the_surest_is_taken() -> None:
    images = list(strokes.sample("pictures", 3)[0])
    sure = {image.tobytes(): p for image, p in zip(images, (0.99, 0.985, 0.999), strict=True)}

    def classify(asked: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return np.array([[1 - sure[each.tobytes()], sure[each.tobytes()]] for each in asked], np.float32)

    (first, one), (second, other) = read_surest([images[:2], [images[1], images[2]]], classify)
    assert (first, second) == (0, 1)
    np.testing.assert_allclose([one, other], [[0.01, 0.99], [0.001, 0.999]], atol=1e-6)
