"""The drawing of the reader's stages."""

import numpy as np
import pytest

from birnn_cli.reader.read import read_grey
from birnn_cli.reader.stages import CAPTION_HEIGHT, GAP, STAGE_SIDE, draw_stages
from tests.reader.pictures import DIGIT, page


@pytest.mark.parametrize(
    ("grey", "drawn"),
    [
        (page(), [True, False, True, True, True]),
        (np.pad(page(), 60, constant_values=40), [True, True, True, True, True]),  # on a dark table
        (DIGIT, [True, False, False, False, True]),  # in MNIST's convention already
        (np.full((40, 60), 200, np.uint8), [True, False, False, False, False]),  # no ink
    ],
    ids=["page", "sheet", "normalised", "empty"],
)
def test_each_stage_that_was_passed_is_drawn_above_its_name(grey: np.ndarray, drawn: list[bool]) -> None:
    strip = draw_stages(read_grey(grey))
    assert strip.shape == (GAP + STAGE_SIDE + CAPTION_HEIGHT, GAP + 5 * (STAGE_SIDE + GAP))
    tiles = [strip[:, GAP + n * (STAGE_SIDE + GAP) :][:, :STAGE_SIDE] for n in range(5)]
    assert all(len(np.unique(tile[-CAPTION_HEIGHT:])) > 1 for tile in tiles)
    assert [len(np.unique(tile[:-CAPTION_HEIGHT])) > 1 for tile in tiles] == drawn
