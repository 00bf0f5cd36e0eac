"""Scores by hand: accuracy, Wilson's interval, loss, calibration, confusion."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import birnn_cli as birnn
from birnn_cli.data import strokes
from birnn_cli.data.datasets import DataSet
from birnn_cli.evaluation import calibration_error, read_images, score, wilson_interval
from birnn_cli.network import numpy_engine
from birnn_cli.network.rows import to_rows
from birnn_cli.runs import checkpoint, folders


def test_scores_by_hand() -> None:
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.5, 0.3]], np.float32))
    scores = score(logits, np.array([0, 1, 2]), ("a", "b", "c"))
    assert (scores.n, scores.correct, scores.accuracy) == (3, 2, 2 / 3)
    assert scores.loss == pytest.approx(-np.log([0.7, 0.6, 0.3]).mean(), rel=1e-6)
    assert scores.confusion == ((1, 0, 0), (0, 1, 0), (0, 1, 0))
    assert [each.accuracy for each in scores.per_class] == [1.0, 1.0, 0.0]
    # Confidences 0.7, 0.6 and 0.5 are in three bins of a fifteenth each.
    assert scores.ece == pytest.approx((0.3 + 0.4 + 0.5) / 3, rel=1e-6)


def test_a_class_without_images_has_no_accuracy() -> None:
    scores = score(np.zeros((2, 3), np.float32), np.array([1, 1]), ("a", "b", "c"))
    assert [each.accuracy for each in scores.per_class] == [None, 0.0, None]


def test_wilsons_interval_by_hand() -> None:
    # 128 of 128: [n / (n + z^2), 1].
    low, high = wilson_interval(128, 128)
    assert low == pytest.approx(128 / (128 + 1.959964**2), abs=1e-6)
    assert high == pytest.approx(1.0)
    # Brown, Cai and DasGupta's formula at 8 of 10.
    assert wilson_interval(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_the_interval_holds_the_accuracy_and_stays_in_0_to_1(n: int, fraction: float) -> None:
    correct = round(fraction * n)
    low, high = wilson_interval(correct, n)
    assert 0 <= low <= correct / n + 1e-12
    assert correct / n - 1e-12 <= high <= 1


def test_calibration_by_hand() -> None:
    # Two at 0.9, one of them right, and two at 0.5, both right: (2 * 0.4 + 2 * 0.5) / 4.
    confidence = np.array([0.9, 0.9, 0.5, 0.5], np.float32)
    assert calibration_error(confidence, np.array([True, False, True, True])) == pytest.approx(0.45)
    assert calibration_error(np.ones(5, np.float32), np.ones(5, bool)) == 0.0


def test_a_perfectly_calibrated_network_has_a_small_error() -> None:
    random = np.random.default_rng(0)
    confidence = random.uniform(0.1, 1, 200_000).astype(np.float32)
    right = random.uniform(size=200_000) < confidence
    assert calibration_error(confidence, right) < 0.01


def test_huge_logits_do_not_overflow() -> None:
    scores = score(np.array([[1e30, -1e30], [3e38, 0]], np.float32), np.array([0, 0]), ("a", "b"))
    assert scores.loss == 0.0
    assert scores.accuracy == 1.0


def test_a_notebook_shows_accuracy_interval_and_number_of_images() -> None:
    scores = score(np.eye(2, dtype=np.float32).repeat(500, axis=0), np.zeros(1000, np.int64), ("a", "b"))
    assert repr(scores) == (
        "<Evaluation: accuracy 50.00 % on 1,000 images (95 % interval 46.91 % to 53.09 %)>"
    )
    assert set(asdict(scores)) >= {"n", "accuracy", "ci95", "confusion"}


def test_of_two_readings_of_an_image_the_surer_one_is_scored() -> None:
    """A digit, and a speck: whichever is given first, the digit is taken."""
    shipped = checkpoint.load(folders.SHIPPED)
    digit = np.zeros((28, 28), np.uint8)
    digit[4:24, 13:16] = 255
    speck = np.zeros((28, 28), np.uint8)
    speck[10:18, 10:18] = 255
    first, second = np.stack([digit, speck, digit]), np.stack([speck, digit, digit])
    data = DataSet(
        name="pictures",
        classes=shipped.config.classes,
        reader="digit",
        size=lambda split: 3,
        read=lambda split, samples, mixed: (first, np.ones(3, np.int64)),
        second_readings=lambda split, samples: second,
    )
    read = read_images(shipped, data, "test")
    assert np.array_equal(read.images, np.stack([digit] * 3))
    expected = numpy_engine.logits(shipped.config.architecture, shipped.weights, to_rows(read.images))
    likely = numpy_engine.probabilities(read.logits)
    assert np.allclose(likely, numpy_engine.probabilities(expected), atol=1e-5)


def test_the_images_of_a_folder_are_scored_as_predict_reads_them() -> None:
    """Also those that are not sure, which are read once more."""
    model = birnn.load()
    images, labels = strokes.sample("pictures", 200)
    data = DataSet(
        name="pictures",
        classes=model.classes,
        reader="digit",
        size=lambda split: 200,
        read=lambda split, samples, mixed: (images, labels),
        second_readings=lambda split, samples: images,
    )
    read = read_images(checkpoint.load(folders.SHIPPED), data, "test")
    likely = numpy_engine.probabilities(read.logits).max(axis=1)
    assert (likely < 0.9).any()
    predicted = [float(each.probability or 0) for each in model.predict(list(images))]
    assert np.allclose(likely, predicted, atol=1e-4)
