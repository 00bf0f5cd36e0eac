"""Reading pictures: many files to many answers, in order, in bounded memory. No torch."""

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from birnn_cli.data import files, images
from birnn_cli.data.ink import Invert
from birnn_cli.data.rows import to_rows
from birnn_cli.errors import ImageError, OutputExistsError
from birnn_cli.files import write_atomically
from birnn_cli.network import forward
from birnn_cli.network.checkpoint import Checkpoint

Status = Literal["ok", "unsure", "no-ink", "error"]

# Files that are read ahead of the answers: enough to share among threads, few enough to stay small.
READ_AHEAD = 64
# An answer below it is not to be trusted. On MNIST's 5,000 validation images fewer than one in a
# hundred of the shipped model's answers are below.
UNSURE_BELOW = 0.6

STDIN = "-"


@dataclass(frozen=True)
class Input:
    """A picture to read.

    Attributes:
        path: As shown to the user; `-` is stdin.
        name: Where `--save-input` puts it: relative, ending in `.png`.
    """

    path: str
    name: Path


@dataclass(frozen=True)
class Choice:
    """A label and its probability, 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """The answer to one picture.

    Attributes:
        source: Which picture.
        status: `ok`; `unsure`, when the answer is not to be trusted; `no-ink`; `error`.
        top: The likeliest labels, likeliest first; empty without an answer.
        error: A code and a message, where the picture could not be read.
        pixels: What the network read: (28, 28) uint8; None without an answer.
    """

    source: Input
    status: Status
    top: tuple[Choice, ...] = ()
    error: tuple[str, str] | None = None
    pixels: NDArray[np.uint8] | None = None


def find_inputs(paths: Iterable[str]) -> Iterator[Input]:
    """Files as they are, folders as the pictures in them; a folder without any yields itself."""
    for path in paths:
        if path != STDIN and os.path.isdir(path):  # noqa: PTH112 - the text stays as it was given
            found = [
                Input(str(file), file.relative_to(path).with_suffix(".png"))
                for file in files.find_images(Path(path))
            ]
            yield from found or [Input(path, Path())]
        else:
            yield Input(path, Path("stdin.png" if path == STDIN else Path(path).stem + ".png"))


def predict(
    network: Checkpoint,
    inputs: Iterable[Input],
    *,
    top_k: int = 1,
    invert: Invert = "auto",
    jobs: int | None = None,
) -> Iterator[Prediction]:
    """Read pictures and answer in their order; a bad one is answered with its error.

    Args:
        network: What reads them.
        inputs: The pictures; taken some at a time.
        top_k: Labels to name, 1 or more.
        invert: Whether ink is darker than paper.
        jobs: Threads that read files; None takes one a core.
    """
    waiting = iter(inputs)
    reader = network.about.config.reader

    def read(source: Input) -> Prediction | NDArray[np.uint8]:
        try:
            pixels = images.read(_content(source.path), reader, invert)
        except ImageError as error:
            return Prediction(source, "error", error=(error.code, str(error)))
        return Prediction(source, "no-ink") if pixels is None else pixels

    ahead = list(islice(waiting, READ_AHEAD))
    if len(ahead) == 1:  # no threads for the one picture that most calls are about
        yield from _answer(network, ahead, [read(ahead[0])], top_k)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(jobs or os.cpu_count()) as threads:
        while ahead:
            yield from _answer(network, ahead, list(threads.map(read, ahead)), top_k)
            ahead = list(islice(waiting, READ_AHEAD))


def _answer(
    network: Checkpoint,
    sources: list[Input],
    contents: list[Prediction | NDArray[np.uint8]],
    top_k: int,
) -> Iterator[Prediction]:
    """Answers to pictures that were read, or could not be, in their order."""
    pixels = [content for content in contents if isinstance(content, np.ndarray)]
    probabilities: Iterator[NDArray[np.float32]] = iter(())
    if pixels:
        logits = forward.logits(
            network.about.config.architecture, network.weights, to_rows(np.stack(pixels))
        )
        probabilities = iter(forward.probabilities(logits))
    classes = network.about.config.classes
    for source, content in zip(sources, contents, strict=True):
        if isinstance(content, Prediction):
            yield content
            continue
        likely = next(probabilities)
        best = np.argsort(-likely, kind="stable")[:top_k]
        top = tuple(Choice(classes[label], float(likely[label])) for label in best)
        status: Status = "ok" if top[0].probability >= UNSURE_BELOW else "unsure"
        yield Prediction(source, status, top, pixels=content)


def _content(path: str) -> bytes:
    """A picture file's bytes.

    Raises:
        ImageError: It is not there, no file, unreadable, or too large.
    """
    if path == STDIN:
        if sys.stdin.isatty():
            raise ImageError("stdin is a terminal, expected a picture piped in: birnn predict - < 7.png")
        return sys.stdin.buffer.read(files.MAX_BYTES + 1)
    try:
        file = Path(path)
        if file.is_dir():
            raise ImageError(f"no pictures in this folder, expected files in {'|'.join(files.ENDINGS)}")
        if file.exists() and not file.is_file():
            raise ImageError("this is no plain file, expected a picture")
        with file.open("rb") as opened:
            return opened.read(files.MAX_BYTES + 1)
    except FileNotFoundError:
        raise ImageError("no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        raise ImageError(f"cannot be read ({getattr(error, 'strerror', error)})") from None


class InputSaver:
    """Keeps what the network read, as PNG files in a folder.

    Args:
        folder: Made when it is not there.
        force: Whether files in it may be replaced.

    Raises:
        OutputExistsError: The folder holds something already, and nothing is forced.
    """

    def __init__(self, folder: Path, *, force: bool) -> None:
        if not force and folder.exists() and any(folder.iterdir()):
            raise OutputExistsError(
                f"{folder} holds files already: name another --save-input, or add --force"
            )
        self._folder = folder
        self._taken: set[Path] = set()

    def save(self, prediction: Prediction) -> None:
        """Keep one answer's picture under its name; a name taken already gets `-2` at its end."""
        name, number = prediction.source.name, 1
        while name in self._taken:
            number += 1
            name = prediction.source.name.with_stem(f"{prediction.source.name.stem}-{number}")
        self._taken.add(name)
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert prediction.pixels is not None
        write_atomically(path, files.to_png(prediction.pixels))
