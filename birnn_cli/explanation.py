"""Which rows of a picture a prediction came from. No torch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from birnn_cli.network import numpy_engine
from birnn_cli.network.architecture import NUM_ROWS
from birnn_cli.network.rows import to_rows
from birnn_cli.runs.checkpoint import Checkpoint


@dataclass(frozen=True, kw_only=True, repr=False)
class Explanation:
    """What a network predicts for a picture and for parts of it, with all other rows blank (0).

    A row is a row of pixels. A network with `columns` reads row t and column t in its step t; here, too,
    a row is left out by making its pixels blank, so the columns of that network lose them as well.

    Attributes:
        classes: The labels' names, in the order of the probabilities.
        pixels: What the network read: (28, 28) uint8.
        probabilities: Of each class, for the whole picture: (classes,) float64, their sum 1.
        first_rows: Row t holds those from rows 0 to t alone: (28, classes). Row 27: the whole picture.
        last_rows: Row t holds those from rows t to 27 alone: (28, classes). Row 0: the whole picture.
        drops: By how much the log-probability of the predicted class drops when row t alone is blank:
            (28,), in nats. Above 0 the row speaks for the prediction, below 0 against it.
    """

    classes: tuple[str, ...]
    pixels: NDArray[np.uint8]
    probabilities: NDArray[np.float64]
    first_rows: NDArray[np.float64]
    last_rows: NDArray[np.float64]
    drops: NDArray[np.float64]

    @property
    def predicted(self) -> int:
        """The index of the likeliest class."""
        return int(self.probabilities.argmax())

    @property
    def label(self) -> str:
        """The name of the likeliest class."""
        return self.classes[self.predicted]

    def __repr__(self) -> str:
        """The prediction alone: the arrays would fill a screen."""
        return f"Explanation(label={self.label!r}, probability={self.probabilities.max():.4f})"


def explain(checkpoint: Checkpoint, pixels: NDArray[np.uint8]) -> Explanation:
    """Predict a picture, (28, 28) uint8, and parts of it, in one pass of the network."""
    config = checkpoint.config
    t, row = np.arange(NUM_ROWS)[:, None], np.arange(NUM_ROWS)
    whole_picture = np.ones((1, NUM_ROWS), bool)
    kept = np.concatenate([row <= t, row >= t, row != t, whole_picture])  # (28 + 28 + 28 + 1, rows)
    parts = np.where(kept[:, :, None], pixels, 0)
    logits = numpy_engine.logits(config.architecture, checkpoint.weights, to_rows(parts))
    first_rows, last_rows, without_row, (whole,) = np.split(
        numpy_engine.log_probabilities(logits), [NUM_ROWS, 2 * NUM_ROWS, 3 * NUM_ROWS]
    )
    predicted = whole.argmax()
    return Explanation(
        classes=config.classes,
        pixels=pixels,
        probabilities=np.exp(whole),
        first_rows=np.exp(first_rows),
        last_rows=np.exp(last_rows),
        drops=whole[predicted] - without_row[:, predicted],
    )
