"""Reading pictures: many pictures to their predictions, in order, in bounded memory. No torch."""

import heapq
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice, product
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from birnn_cli.cores import usable_cores
from birnn_cli.errors import BirnnError, ConfigError
from birnn_cli.network import numpy_engine
from birnn_cli.network.rows import to_rows
from birnn_cli.reader import Reader, decode
from birnn_cli.reader.geometry import Box
from birnn_cli.reader.inputs import STDIN, Source, read_source
from birnn_cli.reader.light import Invert
from birnn_cli.reader.normalise import SIDE
from birnn_cli.runs.checkpoint import Checkpoint
from birnn_cli.text import percent

Status = Literal["ok", "unsure", "no-ink", "error"]
Pixels = NDArray[np.uint8]

# Pictures that are read together: at most so many files, of about so many bytes. Enough for the network
# to be efficient, few enough for the first predictions to come soon.
CHUNK_FILES, CHUNK_BYTES = 128, 4 << 20
# One process reads fewer chunks than these sooner than others are started.
MIN_CHUNKS = 4
# A label less probable than this is not to be trusted. On MNIST's 5,000 validation images, fewer than
# one in a hundred of the shipped model's labels are.
UNSURE_BELOW = 0.55


@dataclass(frozen=True)
class Candidate:
    """A label and its probability, 0 to 1; with several digits, a number as text."""

    label: str
    probability: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """What the network reads in some pixels; for `no-ink` and `error`, no labels and no pixels."""

    status: Status  # `unsure` when the label is not to be trusted
    top: tuple[Candidate, ...] = ()  # the likeliest labels, likeliest first
    pixels: Pixels | None = None  # what the network read: (28, 28) uint8

    @property
    def label(self) -> str | None:
        """The likeliest label."""
        return self.top[0].label if self.top else None

    @property
    def probability(self) -> float | None:
        """The probability of the label, 0 to 1."""
        return self.top[0].probability if self.top else None


@dataclass(frozen=True, kw_only=True, eq=False)
class DigitReading(Labelled):
    """One of several digits; `box` is left, top, right, bottom in pixels, the last two exclusive."""

    pixels: Pixels
    box: Box


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Prediction(Labelled):
    """What the network reads in one picture; with several digits, a number as text.

    The probability of a number is the product of its digits'; its `pixels` are those of all digits side
    by side, (28, 28 × digits). `str` gives it as a line of text, `7.png: 7 (99.8 %)`. `error` is a code
    and a message, where the picture could not be read; `num_digits`, how many digits seem to stand side
    by side in it; `num_pages`, how many pages or frames its file has, of which the first is read;
    `digits`, each from left to right, where several were asked for; `stages`, how the picture was read,
    as a picture (height, width) uint8, where asked for.
    """

    source: Source
    error: tuple[str, str] | None = None
    num_digits: int = 0
    num_pages: int = 1
    digits: tuple[DigitReading, ...] = ()
    stages: Pixels | None = None

    def __str__(self) -> str:
        if self.error is not None:
            return f"{self.source.path}: error: {self.error[1]}"
        if not self.top:
            return f"{self.source.path}: no ink"
        doubt = "?" if self.status == "unsure" else ""
        best, *others = self.top
        line = f"{self.source.path}: {best.label}{doubt} ({percent(best.probability)})"
        return line + "".join(f", {other.label} ({percent(other.probability)})" for other in others)

    def __repr__(self) -> str:
        return f"<Prediction {self}>"

    def _repr_html_(self) -> str:
        """For a notebook: the text, and the pixels four times as large."""
        from base64 import b64encode
        from html import escape

        text = f"<p>{escape(str(self))}</p>"
        if self.pixels is None:
            return text
        png = b64encode(decode.encode_png(self.pixels)).decode()
        size = f'height="112" width="{4 * self.pixels.shape[1]}" style="image-rendering: pixelated"'
        return f'<img alt="what the network read" src="data:image/png;base64,{png}" {size}>{text}'


@dataclass(frozen=True, kw_only=True)
class Options:
    """How pictures are read; a ConfigError where a value is not one of these."""

    top_k: int = 1  # how many of the likeliest labels to give, 1 or more
    invert: Invert = "auto"  # `yes`: ink is darker than paper; `no`: it is lighter; `auto`: find out
    several: bool = False  # whether each of several digits side by side is read, or all ink as one
    stages: bool = False  # whether predictions show how the picture was read

    def __post_init__(self) -> None:
        if not isinstance(self.top_k, int) or self.top_k < 1:
            raise ConfigError(f"top_k is {self.top_k!r}, expected a whole number from 1")
        if self.invert not in get_args(Invert):
            raise ConfigError(f"invert is {self.invert!r}, expected {', '.join(get_args(Invert))}")


def predict(
    checkpoint: Checkpoint,
    sources: Iterable[Source],
    options: Options | None = None,
    jobs: int | None = 1,
) -> Generator[Prediction]:
    """Read pictures, some at a time, and yield a prediction for each in their order.

    `jobs` is the number of processes that share the work of many pictures, None for one per core; above
    1, it must be possible to import the caller's main module.

    Raises:
        OSError: The processes cannot be started.
    """
    work = partial(_predict_chunk, checkpoint, options or Options())
    chunks = _chunks(sources)
    first = list(islice(chunks, MIN_CHUNKS))
    if jobs == 1 or len(first) < MIN_CHUNKS:
        yield from chain.from_iterable(map(work, chain(first, chunks)))
        return
    from birnn_cli import workers  # takes long to load, and one picture needs none

    jobs = jobs or usable_cores()
    message = "reading it ended the process: it crashed, or was killed, perhaps for want of memory"
    lost = partial(_failed, code="internal", message=message)
    with closing(workers.in_order(work, chain(first, chunks), jobs, lost)) as predictions:
        yield from chain.from_iterable(predictions)


def _chunks(sources: Iterable[Source]) -> Iterator[list[Source]]:
    """Pictures to read together, with the content of the one on stdin, which no other process has."""
    chunk: list[Source] = []
    size = 0
    for source in sources:
        if source.path == STDIN and not sys.stdin.isatty():
            source = source._replace(content=sys.stdin.buffer.read(decode.MAX_BYTES + 1))
        chunk.append(source)
        size += source.num_bytes
        if len(chunk) == CHUNK_FILES or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _predict_chunk(checkpoint: Checkpoint, options: Options, chunk: list[Source]) -> list[Prediction]:
    """Read some pictures together; where that fails, one by one, so that one fault is one error."""
    try:
        return _predict_together(checkpoint, options, chunk)
    except Exception as error:
        if len(chunk) == 1:
            return [_failed(chunk[0], "internal", f"it cannot be read: {error!r}")]
        return [each for source in chunk for each in _predict_chunk(checkpoint, options, [source])]


def _predict_together(checkpoint: Checkpoint, options: Options, chunk: list[Source]) -> list[Prediction]:
    """Read some pictures, and have the network read all of their digits at once."""
    config = checkpoint.config
    found = [_find_digits(config.reader, options, source) for source in chunk]
    images = [pixels for readings in found for _, digits in readings for _, pixels in digits]
    rows = to_rows(np.array(images, np.uint8).reshape(-1, SIDE, SIDE))  # perhaps of no image
    logits = numpy_engine.logits(config.architecture, checkpoint.weights, rows)
    likely = iter(numpy_engine.probabilities(logits))
    read = partial(_read_digit, config.classes, options.top_k)
    labelled = [
        [
            _label(prediction, [read(next(likely), box, pixels) for box, pixels in digits], options)
            for prediction, digits in readings
        ]
        for readings in found
    ]
    return [max(each, key=lambda reading: reading.probability or 0.0) for each in labelled]


def _find_digits(
    reader: Reader, options: Options, source: Source
) -> list[tuple[Prediction, list[tuple[Box, Pixels]]]]:
    """A prediction without its labels, and the digits that the network has to read, with their boxes.

    A second such pair is another way to read one digit that is plausible too: the surer one is taken.
    """
    blank = Prediction(source=source._replace(content=None), status="no-ink")
    found = []
    try:
        stages, num_pages = read_source(source, reader, options.invert, full_size=options.several)
        for each in (stages, None if options.several else stages.second):
            if each is None:
                continue
            prediction = replace(blank, num_digits=each.num_digits, num_pages=num_pages)
            if options.stages:
                from birnn_cli.reader.stages import draw_digits, draw_stages  # text takes long to load

                draw = draw_digits if options.several else draw_stages
                prediction = replace(prediction, stages=draw(each))
            if options.several:
                digits = list(each.split_digits())
            else:
                whole = (0, 0, *each.grey.shape[::-1])
                digits = [] if each.pixels is None else [(whole, each.pixels)]
            found.append((prediction, digits))
    except BirnnError as error:
        return [(_failed(source, error.code, str(error)), [])]
    return found


def _failed(source: Source, code: str, message: str) -> Prediction:
    return Prediction(source=source._replace(content=None), status="error", error=(code, message))


def _read_digit(
    classes: tuple[str, ...], top_k: int, likely: NDArray[np.float32], box: Box, pixels: Pixels
) -> DigitReading:
    """A digit with its labels, given the probability of each class, (classes,)."""
    best = np.argsort(-likely, kind="stable")[:top_k]
    top = tuple(Candidate(classes[label], float(likely[label])) for label in best)
    status: Status = "ok" if top[0].probability >= UNSURE_BELOW else "unsure"
    return DigitReading(status=status, top=top, box=box, pixels=pixels)


def _label(prediction: Prediction, digits: list[DigitReading], options: Options) -> Prediction:
    """A prediction with the labels of its digits, or as it is if there are none."""
    if not digits:
        return prediction
    is_sure = all(each.status == "ok" for each in digits)
    return replace(
        prediction,
        status="ok" if is_sure and (options.several or prediction.num_digits == 1) else "unsure",
        top=_likeliest_texts([each.top for each in digits], options.top_k),
        pixels=np.hstack([each.pixels for each in digits]),
        digits=tuple(digits) if options.several else (),
    )


def _likeliest_texts(digits: list[tuple[Candidate, ...]], count: int) -> tuple[Candidate, ...]:
    """The most probable texts that the digits' candidates make up, from left to right.

    A text's probability is the product of its digits'. A likely text begins with a likely one, so no
    more than `count` beginnings need to be kept.
    """
    texts = [Candidate("", 1.0)]
    for candidates in digits:
        longer = (
            Candidate(text.label + each.label, text.probability * each.probability)
            for text, each in product(texts, candidates)
        )
        texts = heapq.nlargest(count, longer, key=lambda text: text.probability)
    return tuple(texts)
