"""Reading pictures: many files to many answers, in order, in bounded memory. No torch."""

import os
import stat
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from birnn_cli.errors import ImageError, OutputExistsError
from birnn_cli.files import write_atomically
from birnn_cli.network import numpy_engine
from birnn_cli.network.rows import to_rows
from birnn_cli.reader import Reader, decode, read
from birnn_cli.reader.light import Invert
from birnn_cli.runs.checkpoint import Checkpoint

Status = Literal["ok", "unsure", "no-ink", "error"]

# Pictures that are read together: so many, or of so many bytes. Enough for the network to be efficient,
# few enough for answers to come soon.
CHUNK_FILES, CHUNK_BYTES = 128, 4 << 20
# Fewer chunks are done sooner by one process than others are started.
MIN_CHUNKS = 4
# An answer below it is not to be trusted. On MNIST's 5,000 validation images fewer than one in a
# hundred of the shipped model's answers are below.
UNSURE_BELOW = 0.55

STDIN = "-"


class Input(NamedTuple):
    """A picture to read: its path as shown to the user, `-` for stdin; the folder it was found in."""

    path: str
    folder: str | None = None

    @property
    def name(self) -> Path:
        """Where what belongs to it is saved: relative, ending in `.png`."""
        if self.folder is not None:
            return Path(self.path).relative_to(self.folder).with_suffix(".png")
        return Path("stdin.png" if self.path == STDIN else Path(self.path).stem + ".png")


@dataclass(frozen=True)
class Choice:
    """A label and its probability, 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The answer to one picture, or to one digit of it.

    Attributes:
        source: Which picture.
        status: `ok`; `unsure`, when the answer is not to be trusted; `no-ink`; `error`.
        top: The likeliest labels, likeliest first; empty without an answer.
        error: A code and a message, where the picture could not be read.
        pixels: What the network read: (28, 28) uint8; None without an answer.
        num_digits: How many digits seem to stand side by side in the picture.
        index: Of the digits one by one, which, from 0 on the left.
        box: Where that is: left, top, right, bottom in pixels of the picture, the last two exclusive.
        stages: How the picture was read: (height, width) uint8, where asked for; a picture's first
            answer has it.
    """

    source: Input
    status: Status
    top: tuple[Choice, ...] = ()
    error: tuple[str, str] | None = None
    pixels: NDArray[np.uint8] | None = None
    num_digits: int = 0
    index: int | None = None
    box: tuple[int, int, int, int] | None = None
    stages: NDArray[np.uint8] | None = None


@dataclass(frozen=True, kw_only=True)
class Options:
    """How pictures are read.

    Attributes:
        top_k: Labels to name, 1 or more.
        invert: Whether ink is darker than paper.
        several: Whether each of several digits side by side gets its own answer.
        stages: Whether answers show how the picture was read.
    """

    top_k: int = 1
    invert: Invert = "auto"
    several: bool = False
    stages: bool = False


def find_inputs(paths: Iterable[str], shard: tuple[int, int] | None = None) -> Iterator[Input]:
    """Files as they are, folders as the pictures in them; a folder without any yields itself.

    Args:
        paths: Files and folders; gone through twice for a shard.
        shard: Which of how many shares, from 1: one after the other they are the whole, in its order.
    """
    found = _find(paths)
    if shard is not None:
        total, (number, shards) = sum(1 for _ in _find(paths)), shard
        found = islice(found, total * (number - 1) // shards, total * number // shards)
    return found


def _find(paths: Iterable[str]) -> Iterator[Input]:
    for path in paths:
        empty = True
        if path != STDIN and os.path.isdir(path):  # noqa: PTH112 - the text stays as it was given
            for file in decode.find_images(path):
                empty = False
                yield Input(file, path)
        if empty:
            yield Input(path)


def predict(
    network: Checkpoint, inputs: Iterable[Input], options: Options | None = None, jobs: int | None = 1
) -> Generator[Prediction]:
    """Read pictures and answer in their order; a bad one is answered with its error.

    Args:
        network: What reads them.
        inputs: The pictures; taken some at a time.
        options: How they are read.
        jobs: Processes that many pictures are shared among, None for one a core; above 1, the caller's
            main module must be one that can be imported.
    """
    work = partial(_answer, network, options or Options())
    chunks = _chunks(inputs)
    first = list(islice(chunks, MIN_CHUNKS))
    if jobs == 1 or len(first) < MIN_CHUNKS:
        yield from chain.from_iterable(map(work, chain(first, chunks)))
        return
    from birnn_cli import workers  # not on the way to a single answer: it takes long to load

    jobs = jobs or workers.usable_cores()
    with closing(workers.in_order(work, chain(first, chunks), jobs)) as answers:
        yield from chain.from_iterable(answers)


def _chunks(inputs: Iterable[Input]) -> Iterator[list[tuple[Input, bytes | None]]]:
    """Pictures to read together, with the content of the one on stdin, which no other process has."""
    chunk: list[tuple[Input, bytes | None]] = []
    size = 0
    for source in inputs:
        content = sys.stdin.buffer.read(decode.MAX_BYTES + 1) if _is_piped(source) else None
        chunk.append((source, content))
        with suppress(OSError, ValueError):
            size += os.stat(source.path).st_size  # noqa: PTH116 - for every one of very many
        if len(chunk) == CHUNK_FILES or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _is_piped(source: Input) -> bool:
    return source.path == STDIN and not sys.stdin.isatty()


def _answer(
    network: Checkpoint, options: Options, chunk: list[tuple[Input, bytes | None]]
) -> list[Prediction]:
    """Read some pictures, and have the network answer to all of them at once."""
    answers: list[Prediction] = []
    for source, content in chunk:
        try:
            answers += _read(network.config.reader, options, source, content)
        except ImageError as error:
            answers.append(Prediction(source=source, status="error", error=(error.code, str(error))))
    pixels = [answer.pixels for answer in answers if answer.pixels is not None]
    if not pixels:
        return answers
    config = network.config
    logits = numpy_engine.logits(config.architecture, network.weights, to_rows(np.stack(pixels)))
    likely = iter(numpy_engine.probabilities(logits))
    return [
        answer if answer.pixels is None else _judge(answer, next(likely), config.classes, options)
        for answer in answers
    ]


def _read(
    reader: Reader, options: Options, source: Input, content: bytes | None
) -> Iterator[Prediction]:
    """What there is to answer to in a picture: nothing, one image, or those of several digits."""
    content = _content(source.path) if content is None else content
    reading = read.read_stages(content, reader, options.invert, full_size=options.several)
    stages = _strip(reading) if options.stages else None
    number = reading.num_digits
    first = Prediction(source=source, status="ok" if number else "no-ink", stages=stages)
    if not (number and options.several):
        yield replace(first, pixels=reading.pixels, num_digits=number)
        return
    for index, (box, pixels) in enumerate(reading.split_digits()):
        yield replace(first, pixels=pixels, num_digits=1, index=index, box=box)
        first = replace(first, stages=None)


def _strip(reading: read.ReaderStages) -> NDArray[np.uint8]:
    from birnn_cli.reader.stages import draw_stages  # seldom asked for, and text takes long to load

    return draw_stages(reading)


def _judge(
    answer: Prediction, likely: NDArray[np.float32], classes: tuple[str, ...], options: Options
) -> Prediction:
    """An answer with its labels, given the probabilities (classes,) of all."""
    best = np.argsort(-likely, kind="stable")[: options.top_k]
    top = tuple(Choice(classes[label], float(likely[label])) for label in best)
    sure = top[0].probability >= UNSURE_BELOW and answer.num_digits == 1
    return replace(answer, status="ok" if sure else "unsure", top=top)


def _content(path: str) -> bytes:
    """The bytes of a picture's file.

    Raises:
        ImageError: It is not there, no file, unreadable, or too large.
    """
    if path == STDIN:
        raise ImageError("stdin is a terminal, expected a picture piped in: birnn predict - < 7.png")
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - for every one of very many
        if stat.S_ISDIR(mode):
            os.listdir(path)  # noqa: PTH208 - says so if it may not be read
            raise ImageError(f"no pictures in this folder, expected files in {'|'.join(decode.ENDINGS)}")
        if not stat.S_ISREG(mode):
            raise ImageError("this is no plain file, expected a picture")
        with open(path, "rb") as opened:  # noqa: PTH123
            return opened.read(decode.MAX_BYTES + 1)
    except FileNotFoundError:
        raise ImageError("no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        raise ImageError(f"cannot be read ({getattr(error, 'strerror', error)})") from None


class Saver:
    """Keeps pictures that belong to answers, as PNG files in a folder.

    Args:
        folder: Made when it is not there.
        option: Which one named it.
        force: Whether files in it may be replaced.

    Raises:
        OutputExistsError: The folder holds something already, and nothing is forced.
    """

    def __init__(self, folder: Path, option: str, *, force: bool) -> None:
        if not force and folder.exists() and any(folder.iterdir()):
            raise OutputExistsError(
                f"{folder} holds files already: name another {option}, or add --force"
            )
        self._folder = folder
        self._taken: set[Path] = set()

    def save(self, source: Input, pixels: NDArray[np.uint8] | None) -> None:
        """Keep a picture, if there is one, under its source's name; a taken one gets `-2` at its end."""
        if pixels is None:
            return
        name, number = source.name, 1
        while name in self._taken:
            number += 1
            name = source.name.with_stem(f"{source.name.stem}-{number}")
        self._taken.add(name)
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, decode.encode_png(pixels))
