"""Whole numbers: of all ways to cut rows of ink into digits, the one that reads best.

The network reads every plausible piece, and is unsure of parts of digits and of several at once. Source
of the idea: LeCun and others, "Gradient-based learning applied to document recognition" (1998).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from birnn_cli.digits import UNSURE_BELOW, Classify, Probabilities, read_again, read_surest
from birnn_cli.reader.geometry import Box, Pixels
from birnn_cli.reader.pieces import MAX_WIDTH, InkGroup, MarkKind, Piece, Row
from birnn_cli.reader.read import ReaderStages

CLEAR = 0.95  # probability from which ink that stands alone is a digit, and is not cut
USUAL_WIDTH = 1.2  # width of the widest usual digit, in heights of the row
# What a digit loses in log-probability, in nats: for each height of the row that it is wider than
# USUAL_WIDTH, for each that its cuts go through ink, and for each gap of paper within it.
WIDTH_COST, CROSSED_COST, GAP_COST = 3.0, 0.3, 0.5
MAX_TEXTS = 8  # the likeliest beginnings of a number that are kept at each cut


@dataclass(frozen=True, eq=False)
class ReadPiece:
    """A piece of ink, and what the network says that it is."""

    piece: Piece
    probabilities: Probabilities


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Digits from left to right, and how probable it is that the ink is cut rightly."""

    digits: list[ReadPiece]
    certainty: float


@dataclass(frozen=True, eq=False)
class Digit:
    """A digit of a number; its box is in pixels of the picture."""

    row: int  # from 0, from top to bottom
    box: Box
    pixels: Pixels
    probabilities: Probabilities

    @property
    def probability(self) -> float:
        """The probability of its likeliest label."""
        return float(self.probabilities.max())


@dataclass(frozen=True)
class Mark:
    """Ink of a number that is no digit, such as a decimal point; its box is in pixels of the picture."""

    kind: MarkKind
    box: Box
    after: int  # how many digits stand before it


@dataclass(frozen=True, eq=False)
class Number:
    """The digits in a picture, row by row."""

    stages: ReaderStages  # how the picture was read
    digits: list[Digit]
    marks: tuple[Mark, ...] = ()
    certainty: float = 1.0  # how probable it is that the ink is cut rightly
    left_out: bool = False  # whether ink that could be a digit is in none of them

    @property
    def probability(self) -> float:
        """The probability of its likeliest text; 0 without digits."""
        return (
            bool(self.digits)
            * self.certainty
            * float(np.prod([digit.probability for digit in self.digits]))
        )


def read_as_one(pictures: Sequence[ReaderStages], classify: Classify) -> list[Number]:
    """Each picture read as one digit, with all of its ink: of two ways to read it, the surer."""
    ways = [_ways(stages) for stages in pictures]
    surest = iter(read_surest([[pixels for _, pixels in each] for each in ways if each], classify))
    numbers = []
    for stages, each in zip(pictures, ways, strict=True):
        if not each:
            numbers.append(Number(stages, []))
            continue
        chosen, probabilities = next(surest)
        way, pixels = each[chosen]
        numbers.append(Number(way, [Digit(0, way.ink_box, pixels, probabilities)]))
    return numbers


def _ways(stages: ReaderStages) -> list[tuple[ReaderStages, Pixels]]:
    """The ways to read a picture as one digit, each with the digit's image."""
    both = (stages, stages.second)
    return [(each, each.pixels) for each in both if each and each.pixels is not None]


def read_numbers(pictures: Sequence[ReaderStages], classify: Classify) -> list[Number]:
    """The number in each picture, given what the reader made of it.

    Where it is not sure, the other way to read the picture is tried. That must be surer, and find no
    fewer digits: the paper within digits can look like fewer of them.
    """
    classify = _cached(classify)
    numbers = _read_numbers([stages.in_windows or stages for stages in pictures], classify)
    unsure = [
        (k, number.stages.second)
        for k, number in enumerate(numbers)
        if number.stages.second and number.probability < UNSURE_BELOW
    ]
    others = _read_numbers([stages for _, stages in unsure], classify)
    for (k, _), other in zip(unsure, others, strict=True):
        is_surer = other.probability > numbers[k].probability
        if is_surer and len(other.digits) >= len(numbers[k].digits):
            numbers[k] = other
    return numbers


def _read_numbers(pictures: Sequence[ReaderStages], classify: Classify) -> list[Number]:
    """The number in each picture, as the reader sees it first."""
    one_digit = [stages for stages in pictures if _may_be_one(stages)]
    rows = [row for stages in pictures for row in stages.rows]
    # The network takes less time for one large batch than for two small ones: what will be asked for is
    # computed together, and is known then.
    images = [pixels for stages in one_digit for _, pixels in _ways(stages)]
    classify([*images, *(group.whole.pixels for row in rows for group in row.groups)])
    cut_rows = read_rows(rows, classify)
    images += [digit.piece.pixels for row in cut_rows for digit in row.digits]
    read_again(images, classify(images), classify)
    as_one = iter(read_as_one(one_digit, classify))
    read = iter(_read_unsure_again(cut_rows, classify))
    numbers = []
    for stages in pictures:
        number = _number(stages, [next(read) for _ in stages.rows])
        numbers.append(_surer(number, next(as_one)) if _may_be_one(stages) else number)
    return numbers


def _may_be_one(stages: ReaderStages) -> bool:
    """Whether all ink of a picture may be one digit."""
    left, top, right, bottom = stages.ink_box
    return stages.num_digits == 1 and right - left <= MAX_WIDTH * (bottom - top)


def _read_unsure_again(rows: list[Segmentation], classify: Classify) -> list[Segmentation]:
    """The digits of rows, of which those that are not sure are read again, narrower."""
    pixels = [digit.piece.pixels for row in rows for digit in row.digits]
    probabilities = iter(read_again(pixels, classify(pixels), classify))
    return [
        replace(row, digits=[replace(digit, probabilities=next(probabilities)) for digit in row.digits])
        for row in rows
    ]


def _cached(classify: Classify) -> Classify:
    """The same reading, computed once for each image, however often it is asked for."""
    known: dict[bytes, Probabilities] = {}

    def look_up(images: Sequence[Pixels]) -> Probabilities:
        if not images:
            return classify(images)
        names = [image.tobytes() for image in images]
        new = {name: image for name, image in zip(names, images, strict=True) if name not in known}
        if new:
            known.update(zip(new, classify(list(new.values())), strict=True))
        return np.array([known[name] for name in names], np.float32)

    return look_up


def _number(stages: ReaderStages, cut_rows: list[Segmentation]) -> Number:
    """The number in a picture, given how each of its rows is cut."""
    digits = [
        Digit(k, stages.in_picture(each.piece.box), each.piece.pixels, each.probabilities)
        for k, cut_row in enumerate(cut_rows)
        for each in cut_row.digits
    ]
    marks = []
    for k, row in enumerate(stages.rows):
        for mark in row.marks:
            box = stages.in_picture(mark.box)
            after = sum(each.row < k or (each.row == k and each.box[0] < box[0]) for each in digits)
            marks.append(Mark(mark.kind, box, after))
    certainty = float(np.prod([cut_row.certainty for cut_row in cut_rows]))
    return Number(stages, digits, tuple(marks), certainty, any(row.left_out for row in stages.rows))


def _surer(number: Number, as_one: Number) -> Number:
    """A number, or all ink of its picture as one digit, where that is surer or the number has one too.

    No clear digit is left out; a mark beside that ink is kept.
    """
    left, top, right, bottom = number.stages.ink_box
    beside: list[float] = []
    within: list[float] = []
    for digit in number.digits:
        x, y = (digit.box[0] + digit.box[2]) / 2, (digit.box[1] + digit.box[3]) / 2
        (within if left <= x <= right and top <= y <= bottom else beside).append(digit.probability)
    if any(probability >= UNSURE_BELOW for probability in beside):
        return number
    least = max(UNSURE_BELOW, number.certainty * float(np.prod(within)))
    if len(within) > 1 and as_one.digits[0].probability < least:
        return number
    marks = [
        replace(mark, after=int(mark.box[0] >= right))
        for mark in number.marks
        if mark.box[2] <= left or mark.box[0] >= right
    ]
    return replace(as_one, marks=tuple(marks), left_out=bool(beside) or number.left_out)


def read_rows(rows: Sequence[Row], classify: Classify) -> list[Segmentation]:
    """The digits in each row, of which all pieces are read together."""
    groups = [group for row in rows for group in row.groups]
    wholes = [group.whole for group in groups]
    probabilities = iter(classify([whole.pixels for whole in wholes]))
    known = {
        id(group): ReadPiece(whole, next(probabilities))
        for group, whole in zip(groups, wholes, strict=True)
    }
    runs = [_runs(row, known) for row in rows]
    pieces = [[] if isinstance(run, ReadPiece) else list(run.pieces()) for each in runs for run in each]
    probabilities = iter(classify([piece.pixels for each in pieces for piece in each]))
    choices = iter([[ReadPiece(piece, next(probabilities)) for piece in each] for each in pieces])
    cut_rows = []
    for each in runs:
        parts = []
        for run in each:
            found = next(choices)
            if isinstance(run, ReadPiece):
                parts.append(Segmentation([run], 1.0))
            else:
                parts.append(best_segmentation(found))
        digits = [digit for part in parts for digit in part.digits]
        cut_rows.append(Segmentation(digits, float(np.prod([part.certainty for part in parts]))))
    return cut_rows


def _runs(row: Row, known: dict[int, ReadPiece]) -> list[ReadPiece | InkGroup]:
    """A row from left to right: digits that are clear, and ink that is to be cut."""
    runs: list[ReadPiece | InkGroup] = []
    for group in row.groups:
        whole = known[id(group)]
        if whole.probabilities.max() >= CLEAR and whole.piece.size[0] <= USUAL_WIDTH:
            runs.append(whole)
        elif runs and isinstance(before := runs[-1], InkGroup) and before.is_near(group):
            runs[-1] = before.joined(group, row.contrast)
        else:
            runs.append(group)
    return runs


@dataclass(frozen=True, eq=False)
class _Text:
    """A text that ends at some cut: its most probable way of cutting, and all ways that give it."""

    score: float  # the logarithm of that way's probability
    total: float  # the logarithm of the sum over all of them
    digits: tuple[ReadPiece, ...]


def best_segmentation(choices: Sequence[ReadPiece]) -> Segmentation:
    """The most probable way from first cut to last; how probable its text is among all texts."""
    last = max(each.piece.last for each in choices)
    ends: list[dict[tuple[int, ...], _Text]] = [{} for _ in range(last + 1)]
    ends[0] = {(): _Text(0.0, 0.0, ())}
    for each in sorted(choices, key=lambda each: (each.piece.first, each.piece.last)):
        label = int(each.probabilities.argmax())
        piece = each.piece
        cost = WIDTH_COST * max(0.0, piece.size[0] - USUAL_WIDTH)
        cost += CROSSED_COST * piece.crossed + GAP_COST * piece.gaps
        gain = float(np.log(each.probabilities[label])) - cost
        start, end = ends[piece.first], ends[piece.last]
        for text in sorted(start, key=lambda text: -start[text].score)[:MAX_TEXTS]:
            before, longer = start[text], (*text, label)
            total = before.total + gain
            known = end.get(longer)
            if known is not None:
                total = float(np.logaddexp(total, known.total))
            if known is not None and known.score >= before.score + gain:
                end[longer] = replace(known, total=total)
            else:
                end[longer] = _Text(before.score + gain, total, (*before.digits, each))
    texts = sorted(ends[last].values(), key=lambda text: -text.score)
    certainty = 1 / sum(float(np.exp(text.total - texts[0].total)) for text in texts)
    return Segmentation(list(texts[0].digits), certainty)
