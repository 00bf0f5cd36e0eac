"""The figure of an explanation."""

import io

import numpy as np
import pytest
from PIL import Image

from birnn_cli.explanation import Explanation
from birnn_cli.report import explanation_figure


@pytest.mark.parametrize("names", [["$_^$", "a_b^", "数字"], [f"class number {k}" for k in range(40)]])
def test_classes_of_any_name_and_number_are_drawn(names: list[str]) -> None:
    parts = np.eye(len(names))[1 + np.arange(28) % (len(names) - 1)]  # each of another class
    explanation = Explanation(
        classes=tuple(names),
        pixels=np.eye(28, dtype=np.uint8),
        probabilities=np.eye(len(names))[0],
        first_rows=parts,
        last_rows=parts,
        drops=np.linspace(-1, 2, 28),
    )
    assert explanation_figure.shown_classes(explanation)[0] == 0  # the predicted class is among them
    with Image.open(io.BytesIO(explanation_figure.draw(explanation, "$_^$ (1 %)"))) as picture:
        assert picture.width == 1210
