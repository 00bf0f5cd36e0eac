"""Cuts go between digits that touch, from left to right."""

import cv2
import numpy as np

from birnn_cli.reader.cuts import find_cuts


def test_two_0s_that_lean_on_each_other_can_be_cut_where_they_touch() -> None:
    """Where cuts cross least ink, they go through one stroke above and one below, within a 0."""
    ink = np.zeros((93, 144), np.uint8)
    for x in (38, 104):
        cv2.ellipse(ink, (x, 46), (30, 42), 0, 0, 360, 1, 8)
    straight = [cut for cut in find_cuts(ink > 0, 85.0) if np.ptp(cut.columns) == 0]
    _, neck, _ = straight
    assert neck.columns[0] == 71 and neck.crossed == ink[:, 71].sum()  # halfway between the two


def test_cuts_are_from_left_to_right_and_never_cross() -> None:
    """Of strokes at random: in a few of these pictures ways of two cuts would cross each other."""
    rng = np.random.default_rng(0)
    for _ in range(120):
        ink = np.zeros((60, 110), np.uint8)
        for _ in range(rng.integers(2, 7)):
            start, end = (tuple(int(v) for v in rng.integers(0, [110, 60])) for _ in range(2))
            cv2.line(ink, start, end, 1, int(rng.integers(2, 8)))
        columns = np.stack([cut.columns for cut in find_cuts(ink > 0, 50.0)])  # (cuts, 60)
        assert (columns[0] == 0).all() and (columns[-1] == 110).all()
        assert (np.diff(columns, axis=0) >= 0).all()
