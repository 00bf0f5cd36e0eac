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

from birnn_cli.cores import usable_cores
from birnn_cli.digits import UNSURE_BELOW, class_probabilities
from birnn_cli.errors import BirnnError, ConfigError
from birnn_cli.numbers import Digit, Mark, Number, read_as_one, read_numbers
from birnn_cli.reader import Reader, decode
from birnn_cli.reader.geometry import Box, Pixels
from birnn_cli.reader.inputs import STDIN, Source, read_source
from birnn_cli.reader.light import Invert
from birnn_cli.reader.read import ReaderStages
from birnn_cli.runs.checkpoint import Checkpoint
from birnn_cli.text import percent

Status = Literal["ok", "unsure", "no-ink", "error"]

# Pictures that are read together: at most so many files, of about so many bytes. Enough for the network
# to be efficient, few enough for the first predictions to come soon.
CHUNK_FILES, CHUNK_BYTES = 128, 4 << 20
# One process reads fewer chunks than these sooner than others are started.
MIN_CHUNKS = 4


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

    The rows of a number are joined by a line break. Its probability is the product of its digits' and of
    how probable it is that they are cut rightly; its `pixels` are those of all digits side by side,
    (28, 28 × digits). `str` gives it as a line of text, `7.png: 7 (99.8 %)`. `error` is a code
    and a message, where the picture could not be read; `num_digits`, how many digits seem to stand side
    by side in it; `num_pages`, how many pages or frames its file has, of which the first is read;
    `digits`, row by row, where several were asked for; `marks`, what is left out of the number, such as
    a decimal point; `stages`, how the picture was read, as a picture (height, width) uint8, where asked
    for.
    """

    source: Source
    error: tuple[str, str] | None = None
    num_digits: int = 0
    num_pages: int = 1
    digits: tuple[DigitReading, ...] = ()
    marks: tuple[Mark, ...] = ()
    stages: Pixels | None = None

    def __str__(self) -> str:
        if self.error is not None:
            return f"{self.source.path}: error: {self.error[1]}"
        if not self.top:
            return f"{self.source.path}: no ink"
        doubt = "?" if self.status == "unsure" else ""
        best, *others = self.top
        line = f"{self.source.path}: {_in_a_line(best.label)}{doubt} ({percent(best.probability)})"
        line += "".join(
            f", {_in_a_line(other.label)} ({percent(other.probability)})" for other in others
        )
        digits = best.label.replace("\n", "")
        left_out = [
            f"{mark.kind} after {digits[: mark.after]}" if mark.after else f"{mark.kind} before {digits}"
            for mark in self.marks
        ]
        return line + (f"; left out: {', '.join(left_out)}" if left_out else "")

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


def _in_a_line(label: str) -> str:
    """A number's rows side by side."""
    return label.replace("\n", " / ")


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
    found = [_read(checkpoint.config.reader, options, source) for source in chunk]
    stages = [each for _, each in found if each is not None]
    find = read_numbers if options.several else read_as_one
    numbers = iter(find(stages, partial(class_probabilities, checkpoint)))
    label = partial(_label, checkpoint.config.classes, options)
    return [
        prediction if each is None else label(prediction, next(numbers)) for prediction, each in found
    ]


def _read(reader: Reader, options: Options, source: Source) -> tuple[Prediction, ReaderStages | None]:
    """A prediction without its labels, and what the reader made of the picture; None if it failed."""
    try:
        stages, num_pages = read_source(source, reader, options.invert, full_size=options.several)
    except BirnnError as error:
        return _failed(source, error.code, str(error)), None
    blank = Prediction(source=source._replace(content=None), status="no-ink", num_pages=num_pages)
    return blank, stages


def _failed(source: Source, code: str, message: str) -> Prediction:
    return Prediction(source=source._replace(content=None), status="error", error=(code, message))


def _read_digit(classes: tuple[str, ...], top_k: int, digit: Digit) -> DigitReading:
    """A digit with its labels."""
    best = np.argsort(-digit.probabilities, kind="stable")[:top_k]
    top = tuple(Candidate(classes[label], float(digit.probabilities[label])) for label in best)
    status: Status = "ok" if top[0].probability >= UNSURE_BELOW else "unsure"
    return DigitReading(status=status, top=top, box=digit.box, pixels=digit.pixels)


def _label(
    classes: tuple[str, ...], options: Options, prediction: Prediction, number: Number
) -> Prediction:
    """A prediction with the labels of its digits, or without any if there are none."""
    prediction = replace(prediction, num_digits=number.stages.num_digits)
    if options.stages:
        from birnn_cli.reader.stages import draw_number, draw_stages  # text takes long to load

        boxes = [digit.box for digit in number.digits]
        drawn = draw_number(number.stages, boxes) if options.several else draw_stages(number.stages)
        prediction = replace(prediction, stages=drawn)
    if not number.digits:
        return prediction
    digits = [_read_digit(classes, options.top_k, digit) for digit in number.digits]
    is_whole = not number.left_out if options.several else prediction.num_digits == 1
    tops: list[tuple[Candidate, ...]] = [(Candidate("", number.certainty),)]
    for k, each in enumerate(digits):
        if k and number.digits[k].row != number.digits[k - 1].row:
            tops.append((Candidate("\n", 1.0),))
        tops.append(each.top)
    top = _likeliest_texts(tops, options.top_k)
    return replace(
        prediction,
        status="ok" if is_whole and top[0].probability >= UNSURE_BELOW else "unsure",
        top=top,
        pixels=np.hstack([each.pixels for each in digits]),
        digits=tuple(digits) if options.several else (),
        marks=number.marks,
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
