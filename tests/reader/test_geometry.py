"""Connected parts and percentiles are those of OpenCV and NumPy, computed faster."""

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from birnn_cli.reader.geometry import find_parts, median, percentile

masks = hnp.arrays(
    np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20), elements=st.integers(0, 1)
)
values = hnp.arrays(
    st.sampled_from([np.uint8, np.float32]), st.integers(1, 40), elements=st.integers(0, 255)
)


@given(masks)
def test_the_parts_of_a_mask_are_those_of_opencv_in_some_order(mask: np.ndarray) -> None:
    parts, stats = find_parts(mask)
    count, expected, expected_stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    assert len(stats) == count and (parts[mask == 0] == 0).all()
    for part in range(1, count):
        (number,) = np.unique(parts[expected == part])
        np.testing.assert_array_equal(stats[number], expected_stats[part])
    assert stats[0].tolist() == [0, 0, *mask.shape[::-1], (mask == 0).sum()]


def test_a_mask_may_have_more_parts_than_16_bits_can_number() -> None:
    dots = np.zeros((640, 640), np.uint8)
    dots[::2, ::2] = 1
    parts, stats = find_parts(dots)
    assert len(stats) == dots.sum() + 1 == len(np.unique(parts)) and (stats[1:, 4] == 1).all()


@given(values, st.floats(0, 100))
def test_a_percentile_is_that_of_numpy(values: np.ndarray, percent: float) -> None:
    expected = np.percentile(values.astype(np.float64), percent)
    np.testing.assert_allclose(percentile(values, percent), expected, rtol=1e-6)
    assert median(values) == np.median(values)


def test_there_is_no_median_of_nothing() -> None:
    assert np.isnan(median(np.zeros(0, np.float32)))
