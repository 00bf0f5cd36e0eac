"""How an answer comes about, row by row: what parts of the picture are answered to. No torch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from birnn_cli.network import numpy_engine
from birnn_cli.network.architecture import NUM_ROWS
from birnn_cli.network.rows import to_rows
from birnn_cli.runs.checkpoint import Checkpoint


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What a network answers to a picture and to parts of it, all other rows blank (0).

    Rows are the picture's rows of pixels. A network with `columns` reads row t and column t in its step
    t: there, too, it is the pixels of a row that are blank, in whatever step they are read.

    Attributes:
        classes: The labels' names, in the order of the probabilities.
        pixels: What the network read: (28, 28) uint8.
        probabilities: Of each class, for the whole picture: (classes,) float64, their sum 1.
        downwards: Row t is the answer to rows 0 to t alone: (28, classes) float64; the last row is the
            answer to the whole.
        upwards: Row t is the answer to rows t to 27 alone: (28, classes) float64; the first row is the
            answer to the whole.
        falls: By how much the log-probability of the answer falls when row t alone is blank: (28,)
            float64, in nats. Above 0 the row speaks for the answer, below 0 against it.
    """

    classes: tuple[str, ...]
    pixels: NDArray[np.uint8]
    probabilities: NDArray[np.float64]
    downwards: NDArray[np.float64]
    upwards: NDArray[np.float64]
    falls: NDArray[np.float64]

    @property
    def answer(self) -> int:
        """The number of the likeliest class."""
        return int(self.probabilities.argmax())


def explain(network: Checkpoint, pixels: NDArray[np.uint8]) -> Explanation:
    """Have a network read a picture, and parts of it, in one pass.

    Args:
        network: What reads.
        pixels: Shape (28, 28), uint8.
    """
    config = network.config
    row, other = np.arange(NUM_ROWS)[:, None], np.arange(NUM_ROWS)
    seen = np.concatenate([other <= row, other >= row, other != row, np.ones((1, NUM_ROWS), bool)])
    logits = numpy_engine.logits(
        config.architecture, network.weights, to_rows(np.where(seen[:, :, None], pixels, 0))
    ).astype(np.float64)  # (28 + 28 + 28 + 1, classes)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_likely = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    downwards, upwards, without, whole = np.split(log_likely, [NUM_ROWS, 2 * NUM_ROWS, 3 * NUM_ROWS])
    answer = whole[0].argmax()
    return Explanation(
        classes=config.classes,
        pixels=pixels,
        probabilities=np.exp(whole[0]),
        downwards=np.exp(downwards),
        upwards=np.exp(upwards),
        falls=whole[0, answer] - without[:, answer],
    )
