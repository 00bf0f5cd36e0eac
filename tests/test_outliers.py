"""Pictures of no digit: drawn the same each time, and taught as what to be unsure of."""

import math

import numpy as np
import torch

from birnn_cli.data import outliers, strokes
from birnn_cli.data.convention import is_placed
from birnn_cli.recipes import RECIPES
from birnn_cli.training import Training, _cross_entropy


def test_outliers_are_the_same_each_time_and_in_mnists_convention() -> None:
    drawn = outliers.draw(200)
    np.testing.assert_array_equal(drawn, outliers.draw(200))
    assert drawn.shape == (200, 28, 28) and drawn.dtype == np.uint8
    assert np.mean([is_placed(picture) for picture in drawn]) > 0.9
    assert len(np.unique(drawn, axis=0)) == 200


def test_the_loss_on_an_outlier_is_least_at_even_probabilities() -> None:
    labels = torch.tensor([3, outliers.NO_CLASS])
    even = torch.zeros(2, 10)
    even[0, 3] = 50.0
    assert math.isclose(_cross_entropy(even, labels).item(), math.log(10) / 2, rel_tol=1e-6)
    for number in range(10):
        sure = even.clone()
        sure[1, number] = 1.0
        assert _cross_entropy(sure, labels) > _cross_entropy(even, labels)


def test_the_loss_on_images_of_a_class_is_what_it_is_without_outliers() -> None:
    logits, labels = torch.randn(6, 10), torch.arange(6)
    own = torch.nn.functional.cross_entropy(logits, labels)
    torch.testing.assert_close(_cross_entropy(logits, labels), own)


def test_training_with_outliers_brings_doubt_about_others_of_their_kind() -> None:
    images, labels = strokes.draw("train", 1000)
    unseen = torch.from_numpy(outliers.draw(300)) / 255

    def surest(share: float) -> float:
        recipe = RECIPES["fast"].override({"samples": 20_000, "hidden_size": 32, "precision": "float32"})
        drawn = outliers.draw(400), np.full(400, outliers.NO_CLASS)
        training = Training(
            *(recipe.override({"mix_outliers": share}), 10, 0, torch.device("cpu")),
            *((images, labels), (images[:10], labels[:10])),
            [("outliers", share, drawn)],
        )
        for _ in training.steps():
            pass
        with torch.no_grad():
            return training.network(unseen).softmax(dim=1).amax(dim=1).mean().item()

    assert surest(0.2) < surest(0.0) - 0.1
