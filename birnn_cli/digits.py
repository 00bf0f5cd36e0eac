"""What the network says that an image of one digit shows, and how sure it must be."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from birnn_cli.network import numpy_engine
from birnn_cli.network.rows import to_rows
from birnn_cli.reader.geometry import Pixels
from birnn_cli.reader.normalise import SIDE, is_normalised, narrow
from birnn_cli.runs.checkpoint import Checkpoint

Probabilities = NDArray[np.float32]  # of each class, last axis
Classify = Callable[[Sequence[Pixels]], Probabilities]  # images to probabilities: (images, classes)

SURE = 0.98  # probability from which one reading of a digit is enough
# A label less probable than this is not to be trusted. Of the shipped model's labels of MNIST's 5,000
# validation images, fewer than one in a hundred are below it.
UNSURE_BELOW = 0.85


def class_probabilities(checkpoint: Checkpoint, images: Sequence[Pixels]) -> Probabilities:
    """The probability of each class for each image, (images, classes); there may be no image."""
    rows = to_rows(np.array(images, np.uint8).reshape(-1, SIDE, SIDE))
    logits = numpy_engine.logits(checkpoint.config.architecture, checkpoint.weights, rows)
    return numpy_engine.probabilities(logits)


def read_again(
    images: Sequence[Pixels], probabilities: Probabilities, classify: Classify
) -> Probabilities:
    """The probabilities of images, averaged with those of a narrower reading where they are not sure.

    `probabilities` are those of the first reading. Some people write wide digits: how much the second
    reading helps is measured in examples/results.md.
    """
    unsure = np.flatnonzero(probabilities.max(axis=1) < SURE).tolist()
    again = [k for k in unsure if is_normalised(images[k])]  # not clothes, which fill their image
    if not again:
        return probabilities
    mean = probabilities.copy()
    mean[again] = (mean[again] + classify([narrow(images[k]) for k in again])) / 2
    return mean


def read_surest(
    pictures: Sequence[Sequence[Pixels]], classify: Classify
) -> list[tuple[int, Probabilities]]:
    """For each picture, the number of the image that is read most surely, and its probabilities.

    A picture has one image or more: those that the reader can make of it.
    """
    images = [image for ways in pictures for image in ways]
    probabilities = iter(read_again(images, classify(images), classify))
    return [
        max(enumerate([next(probabilities) for _ in ways]), key=lambda way: float(way[1].max()))
        for ways in pictures
    ]
