"""Cuts go between digits that touch, from left to right."""

from itertools import pairwise

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from birnn_cli.reader.cuts import find_cuts


def test_two_0s_that_lean_on_each_other_can_be_cut_where_they_touch() -> None:
    """Where cuts cross least ink, they go through one stroke above and one below, within a 0."""
    ink = np.zeros((93, 144), np.uint8)
    for x in (38, 104):
        cv2.ellipse(ink, (x, 46), (30, 42), 0, 0, 360, 1, 8)
    straight = [cut for cut in find_cuts(ink > 0, 85.0) if np.ptp(cut.columns) == 0]
    _, neck, _ = straight
    assert neck.columns[0] == 71 and neck.crossed == ink[:, 71].sum()  # halfway between the two


@given(
    hnp.arrays(np.bool_, st.tuples(st.integers(4, 30), st.integers(4, 60))),
    st.integers(8, 30),
)
def test_cuts_are_from_left_to_right_and_part_all_ink(ink: np.ndarray, height: int) -> None:
    cuts = find_cuts(ink, float(height))
    rows, columns = ink.shape
    assert (cuts[0].columns == 0).all() and (cuts[-1].columns == columns).all()
    for before, cut in pairwise(cuts):
        assert (before.columns <= cut.columns).all() and cut.columns.shape == (rows,)
    x = np.arange(columns)
    between = [
        ink & (x >= left.columns[:, None]) & (x < right.columns[:, None])
        for left, right in pairwise(cuts)
    ]
    np.testing.assert_array_equal(np.sum(between, axis=0), ink)  # each pixel is in one part
