"""An explanation: each part of a picture is predicted as a picture of that part alone would be."""

import re
from dataclasses import replace
from math import exp, log, tanh

import numpy as np
import pytest

from birnn_cli.data import strokes
from birnn_cli.explanation import explain
from birnn_cli.network import numpy_engine
from birnn_cli.network.architecture import Readout
from birnn_cli.network.rows import to_rows
from birnn_cli.runs import checkpoint, folders
from birnn_cli.runs.checkpoint import Checkpoint

SHIPPED = checkpoint.load(folders.SHIPPED)


def network(readout: Readout, hidden_size: int, classes: str, seed: int | None = None) -> Checkpoint:
    """A small network of one layer that reads rows alone: its weights zero, or drawn from a seed."""
    config = SHIPPED.config
    changed = {"readout": readout, "hidden_size": hidden_size, "layers": 1, "dropout": 0.0}
    recipe = replace(config.recipe, **changed, columns=False)
    config = replace(config, recipe=recipe, classes=tuple(classes))
    random = np.random.default_rng(seed)
    weights = {
        name: np.zeros(shape, np.float32) if seed is None else random.normal(0, 0.5, shape).astype("f4")
        for name, shape in config.architecture.parameter_shapes().items()
    }
    return replace(SHIPPED, metadata=replace(SHIPPED.metadata, config=config), weights=weights)


def predicted(network: Checkpoint, pixels: np.ndarray) -> np.ndarray:
    """The probabilities that a network predicts for one picture."""
    architecture = network.config.architecture
    logits = numpy_engine.logits(architecture, network.weights, to_rows(pixels[None]))
    return numpy_engine.probabilities(logits)[0]


def drawing(label: int = 3) -> np.ndarray:
    """A drawn digit, (28, 28) uint8."""
    images, labels = strokes.sample("validation", 100)
    return images[labels == label][0]


NETWORKS = [SHIPPED, *(network(readout, 6, "abcde", seed=1) for readout in ("last", "states", "pool"))]


@pytest.mark.parametrize("own", NETWORKS)
def test_each_part_is_predicted_as_a_picture_of_it_alone(own: Checkpoint) -> None:
    pixels = drawing()
    explanation = explain(own, pixels)
    whole = predicted(own, pixels)
    for likely in (explanation.probabilities, explanation.first_rows[27], explanation.last_rows[0]):
        np.testing.assert_allclose(likely, whole, atol=1e-5)
    assert explanation.predicted == whole.argmax()
    for row in (0, 9, 14, 20):
        upper, lower, without = pixels.copy(), pixels.copy(), pixels.copy()
        upper[row + 1 :] = 0
        lower[:row] = 0
        without[row] = 0
        np.testing.assert_allclose(explanation.first_rows[row], predicted(own, upper), atol=1e-5)
        np.testing.assert_allclose(explanation.last_rows[row], predicted(own, lower), atol=1e-5)
        left = predicted(own, without)[explanation.predicted]
        assert explanation.drops[row] == pytest.approx(
            log(whole[explanation.predicted]) - log(left), abs=1e-4
        )


def test_the_backward_direction_of_last_reads_the_last_row_alone_computed_by_hand() -> None:
    """One unit a direction; the head sees the backward one, whose candidate sees the first pixel."""
    own = network("last", 1, "ab")
    own.weights["layers.0.bw.weight_ih"][2, 0] = 2.0  # gates i, f, g, o
    own.weights["head.weight"][1] = (0.0, 10.0)
    explanation = explain(own, np.full((28, 28), 255, np.uint8))
    output = 0.5 * tanh(0.5 * tanh(2.0))
    p = 1 / (1 + exp(-10 * output))
    np.testing.assert_allclose(explanation.probabilities, [1 - p, p], rtol=1e-5)
    np.testing.assert_allclose(explanation.first_rows[:, 1], [0.5] * 27 + [p], rtol=1e-5)
    np.testing.assert_allclose(explanation.last_rows[:, 1], [p] * 28, rtol=1e-5)
    # Without the last row the log-probability of the prediction drops: that row speaks for it.
    np.testing.assert_allclose(explanation.drops, [0] * 27 + [log(p / 0.5)], atol=1e-5)


@pytest.mark.parametrize("readout", ["last", "states", "pool"])
def test_without_weights_all_classes_are_as_likely_and_no_row_matters(readout: Readout) -> None:
    explanation = explain(network(readout, 4, "abcd"), drawing())
    for likely in (explanation.probabilities, explanation.first_rows, explanation.last_rows):
        assert (likely == 0.25).all()
    assert not explanation.drops.any()


def test_a_row_that_is_blank_already_takes_nothing_away() -> None:
    pixels = drawing()
    blank = ~pixels.any(axis=1)
    drops = explain(SHIPPED, pixels).drops
    assert blank.any() and np.abs(drops[blank]).max() < 1e-5 < np.abs(drops[~blank]).max()


def test_its_repr_is_one_short_line() -> None:
    own = repr(explain(SHIPPED, drawing()))
    assert re.fullmatch(r"Explanation\(label='3', probability=[01]\.\d{4}\)", own)
