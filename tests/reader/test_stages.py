"""The drawing of the reader's stages."""

import numpy as np
import pytest

from birnn_cli.reader.read import read_grey
from birnn_cli.reader.stages import CAPTION_HEIGHT, GAP, STAGE_SIDE, draw_stages
from tests.reader.pictures import DIGIT, page


@pytest.mark.parametrize(
    ("grey", "drawn"),
    [
        (page(), [True, True, True, True]),
        (DIGIT, [True, False, False, True]),  # in MNIST's convention already
        (np.full((40, 60), 200, np.uint8), [True, False, False, False]),  # no ink
    ],
    ids=["page", "normalised", "empty"],
)
def test_each_stage_that_was_passed_is_drawn_below_its_name(grey: np.ndarray, drawn: list[bool]) -> None:
    strip = draw_stages(read_grey(grey))
    assert strip.shape == (CAPTION_HEIGHT + STAGE_SIDE + GAP, GAP + 4 * (STAGE_SIDE + GAP))
    tiles = [strip[:, GAP + n * (STAGE_SIDE + GAP) :][:, :STAGE_SIDE] for n in range(4)]
    assert all(len(np.unique(tile[:CAPTION_HEIGHT])) > 1 for tile in tiles)
    assert [len(np.unique(tile[CAPTION_HEIGHT:])) > 1 for tile in tiles] == drawn
