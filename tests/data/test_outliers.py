"""Pictures that show no digit: drawn the same each time, and read as unsure."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from birnn_cli.data import outliers, strokes
from birnn_cli.data.datasets import open_data_set
from birnn_cli.prediction import predict
from birnn_cli.reader import decode
from birnn_cli.reader.inputs import Source
from birnn_cli.reader.normalise import is_normalised
from birnn_cli.runs import checkpoint, folders
from birnn_cli.runs.recipes import RECIPES
from birnn_cli.training.loop import TrainingLoop, cross_entropy_with_outliers


def test_outliers_are_the_same_each_time_and_in_mnists_convention() -> None:
    drawn = outliers.sample(200)
    np.testing.assert_array_equal(drawn, outliers.sample(200))
    assert drawn.shape == (200, 28, 28) and drawn.dtype == np.uint8
    assert np.mean([is_normalised(picture) for picture in drawn]) > 0.9
    assert len(np.unique(drawn, axis=0)) > 195  # an inverted character may be drawn twice


def test_the_loss_on_an_outlier_is_least_at_even_probabilities() -> None:
    labels = torch.tensor([3, outliers.NO_CLASS])
    even = torch.zeros(2, 10)
    even[0, 3] = 50.0
    assert math.isclose(cross_entropy_with_outliers(even, labels).item(), math.log(10) / 2, rel_tol=1e-6)
    for number in range(10):
        sure = even.clone()
        sure[1, number] = 1.0
        assert cross_entropy_with_outliers(sure, labels) > cross_entropy_with_outliers(even, labels)


def test_the_loss_on_images_of_a_class_is_what_it_is_without_outliers() -> None:
    logits, labels = torch.randn(6, 10), torch.arange(6)
    own = torch.nn.functional.cross_entropy(logits, labels)
    torch.testing.assert_close(cross_entropy_with_outliers(logits, labels), own)


def test_training_with_outliers_makes_other_outliers_less_certain() -> None:
    images, labels = strokes.sample("train", 1000)
    unseen = torch.from_numpy(outliers.sample(300)) / 255

    def mean_certainty(fraction: float) -> float:
        recipe = RECIPES["fast"].override({"samples": 20_000, "hidden_size": 32, "precision": "float32"})
        drawn = outliers.sample(400), np.full(400, outliers.NO_CLASS)
        training = TrainingLoop(
            *(recipe.override({"mix_outliers": fraction}), 10, 0, torch.device("cpu")),
            *((images, labels), (images[:10], labels[:10])),
            [("outliers", fraction, drawn)],
        )
        for _ in training.steps():
            pass
        with torch.no_grad():
            return training.network(unseen).softmax(dim=1).amax(dim=1).mean().item()

    assert mean_certainty(0.2) < mean_certainty(0.0) - 0.1


SHIPPED = checkpoint.load(folders.SHIPPED)
SIDE, COUNT = 160, 40
Random = np.random.Generator


def fraction_ok(folder: Path, pictures: list[Image.Image]) -> float:
    """The fraction of some pictures that the shipped model reads as `ok`."""
    for number, picture in enumerate(pictures):
        picture.save(folder / f"{number}.png")
    inputs = [Source(str(folder / f"{number}.png")) for number in range(len(pictures))]
    return float(np.mean([answer.status == "ok" for answer in predict(SHIPPED, inputs)]))


def page() -> Image.Image:
    return Image.new("L", (SIDE, SIDE), 245)


def character(characters: str) -> Callable[[Random], Image.Image]:
    """Draws one of some characters in Pillow's own font, which no training has seen."""

    def draw(random: Random) -> Image.Image:
        picture, font = page(), ImageFont.load_default(float(random.integers(60, 120)))
        ImageDraw.Draw(picture).text((80, 80), str(random.choice(list(characters))), 10, font, "mm")
        return picture

    return draw


def scribble(random: Random) -> Image.Image:
    picture = page()
    points = [
        tuple(point) for point in random.integers(15, 145, (int(random.integers(12, 30)), 2)).tolist()
    ]
    ImageDraw.Draw(picture).line(points, 10, int(random.integers(3, 12)), "curve")
    return picture


def word(random: Random) -> Image.Image:
    picture, text = page(), "".join(random.choice(list("abcdefhkmnrtuvwx"), 4))
    ImageDraw.Draw(picture).text((80, 80), text, 10, ImageFont.load_default(50.0), "mm")
    return picture


def noise(random: Random) -> Image.Image:
    levels = random.normal(random.uniform(60, 200), random.uniform(2, 40), (SIDE, SIDE))
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        *((noise, 0.05), (lambda random: page(), 0.05), (scribble, 0.2), (word, 0.2)),
        *((character("AEFHKMNRWXaefhkmnwx"), 0.2), (character("&#@%?$*+="), 0.2)),
    ],
    ids=["noise", "blank", "scribble", "word", "letter", "sign"],
)
def test_the_shipped_model_is_unsure_of_pictures_that_show_no_digit(
    kind: Callable[[Random], Image.Image], most: float, tmp_path: Path
) -> None:
    random = np.random.default_rng(4)
    assert fraction_ok(tmp_path, [kind(random) for _ in range(COUNT)]) <= most


def test_the_shipped_model_is_sure_of_printed_digits(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    assert fraction_ok(tmp_path, [character("0123456789")(random) for _ in range(COUNT)]) >= 0.9


def test_the_shipped_model_is_unsure_of_at_most_one_in_a_hundred_test_images(
    real_mnist: Path, tmp_path: Path
) -> None:
    pictures, _ = open_data_set("mnist", real_mnist).load("test", 10_000)
    for number, picture in enumerate(pictures):
        (tmp_path / f"{number}.png").write_bytes(decode.encode_png(picture))
    inputs = [Source(str(tmp_path / f"{number}.png")) for number in range(len(pictures))]
    assert np.mean([answer.status != "ok" for answer in predict(SHIPPED, inputs)]) <= 0.01
