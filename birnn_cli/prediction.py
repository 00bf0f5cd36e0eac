"""Reading pictures: many pictures to their predictions, in order, in bounded memory. No torch."""

import heapq
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from birnn_cli.errors import BirnnError, ConfigError
from birnn_cli.network import numpy_engine
from birnn_cli.network.rows import to_rows
from birnn_cli.reader import Reader, decode
from birnn_cli.reader.inputs import STDIN, Source, read_source
from birnn_cli.reader.light import Invert
from birnn_cli.reader.read import ReaderStages
from birnn_cli.runs.checkpoint import Checkpoint
from birnn_cli.text import percent

Status = Literal["ok", "unsure", "no-ink", "error"]
Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]

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
    """What the network reads in some pixels.

    Attributes:
        status: `ok`; `unsure`, when the label is not to be trusted; `no-ink`; `error`.
        top: The likeliest labels, likeliest first; empty for `no-ink` and `error`.
        pixels: What the network read: (28, 28) uint8; None for `no-ink` and `error`.
    """

    status: Status
    top: tuple[Candidate, ...] = ()
    pixels: Pixels | None = None

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

    box: Box


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Prediction(Labelled):
    """What the network reads in one picture; with several digits, a number as text.

    The probability of a number is the product of its digits'; its `pixels` are those of all digits side
    by side, (28, 28 × digits). `str` gives it as a line of text, `7.png: 7 (99.8 %)`.

    Attributes:
        source: Which picture.
        error: A code and a message, where the picture could not be read.
        num_digits: How many digits seem to stand side by side in the picture.
        num_pages: How many pages or frames its file has, of which the first is read.
        digits: From left to right, where several digits were asked for.
        stages: How the picture was read, as a picture: (height, width) uint8, where asked for.
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
    """How pictures are read.

    Attributes:
        top_k: How many of the likeliest labels to give, 1 or more.
        invert: `yes` when ink is darker than paper, `no` when it is lighter, `auto` to find out.
        several: Whether each of several digits side by side is read, or all ink as one digit.
        stages: Whether predictions show how the picture was read.

    Raises:
        ConfigError: A value is not one of these.
    """

    top_k: int = 1
    invert: Invert = "auto"
    several: bool = False
    stages: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
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

    jobs = jobs or workers.usable_cores()
    with closing(workers.in_order(work, chain(first, chunks), jobs, _lost)) as predictions:
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
    images = [pixels for _, digits in found for _, pixels in digits]
    if not images:
        return [prediction for prediction, _ in found]
    logits = numpy_engine.logits(config.architecture, checkpoint.weights, to_rows(np.stack(images)))
    probabilities = iter(numpy_engine.probabilities(logits))
    return [
        _label(prediction, digits, islice(probabilities, len(digits)), config.classes, options)
        if digits
        else prediction
        for prediction, digits in found
    ]


def _find_digits(
    reader: Reader, options: Options, source: Source
) -> tuple[Prediction, list[tuple[Box, Pixels]]]:
    """A prediction without its labels, and the digits that the network has to read, with their boxes."""
    prediction = Prediction(source=source._replace(content=None), status="no-ink")
    try:
        stages, num_pages = read_source(source, reader, options.invert, full_size=options.several)
        prediction = replace(prediction, num_pages=num_pages)
        if options.stages:
            prediction = replace(prediction, stages=_draw(stages, several=options.several))
        if options.several:
            digits = list(stages.split_digits())
        elif stages.pixels is None:
            digits = []
        else:
            digits = [((0, 0, *stages.grey.shape[::-1]), stages.pixels)]
    except BirnnError as error:
        return _failed(source, error.code, str(error)), []
    return replace(prediction, num_digits=stages.num_digits), digits


def _failed(source: Source, code: str, message: str) -> Prediction:
    return Prediction(source=source._replace(content=None), status="error", error=(code, message))


def _lost(source: Source) -> Prediction:
    """The prediction for a picture on which a process died."""
    message = "reading it ended the process: it crashed, or was killed, perhaps for want of memory"
    return _failed(source, "internal", message)


def _draw(stages: ReaderStages, *, several: bool) -> Pixels:
    # Seldom asked for, and text takes long to load.
    from birnn_cli.reader.digits_drawing import draw_digits
    from birnn_cli.reader.stages import draw_stages

    return draw_digits(stages) if several else draw_stages(stages)


def _label(
    prediction: Prediction,
    digits: list[tuple[Box, Pixels]],
    probabilities: Iterable[NDArray[np.float32]],
    classes: tuple[str, ...],
    options: Options,
) -> Prediction:
    """A prediction with its labels, given the probabilities (classes,) of each of its digits."""
    readings = []
    for (box, pixels), likely in zip(digits, probabilities, strict=True):
        best = np.argsort(-likely, kind="stable")[: options.top_k]
        top = tuple(Candidate(classes[label], float(likely[label])) for label in best)
        status: Status = "ok" if top[0].probability >= UNSURE_BELOW else "unsure"
        readings.append(DigitReading(status=status, top=top, box=box, pixels=pixels))
    is_sure = all(each.status == "ok" for each in readings)
    return replace(
        prediction,
        status="ok" if is_sure and (options.several or prediction.num_digits == 1) else "unsure",
        top=_likeliest_texts([each.top for each in readings], options.top_k),
        pixels=np.hstack([pixels for _, pixels in digits]),
        digits=tuple(readings) if options.several else (),
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
            for text in texts
            for each in candidates
        )
        texts = heapq.nlargest(count, longer, key=lambda text: text.probability)
    return tuple(texts)
