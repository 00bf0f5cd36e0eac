"""What people see: progress and notes on stderr, results on stdout as text or JSON."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from birnn_cli.data.download import Report
from birnn_cli.evaluation import Evaluation
from birnn_cli.prediction import Prediction

if TYPE_CHECKING:  # the rest of torch's side stays out of `predict`
    from birnn_cli.session import Session, TrainResult
    from birnn_cli.training import StepResult

# Seconds between two plain rows, where no live display is possible.
ROW_SECONDS = 2.0
# Confusion matrices of more classes would not fit 80 columns: their largest confusions are listed.
MAX_TABLE_CLASSES = 12
MAX_LISTED_CONFUSIONS = 10


def note(message: str) -> None:
    """A line for people, on stderr."""
    sys.stderr.write(f"{printable(message)}\n")
    sys.stderr.flush()


def warn(message: str) -> None:
    """A line that should be read, on stderr."""
    note(f"warning: {message}")


def result(text: str) -> None:
    """A line of the result, on stdout, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def result_json(values: dict[str, Any]) -> None:
    """One JSON object on a line of stdout, at once."""
    result(json.dumps(values, allow_nan=False))


def printable(text: str) -> str:
    """Text that stays on one line and cannot steer the terminal: the rest as escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def percent(share: float, digits: int = 1) -> str:
    """0.998 as `99.8 %`."""
    return f"{share * 100:.{digits}f} %"


def _live() -> bool:
    """Whether a live display can be shown on stderr."""
    from rich.console import Console

    return Console(stderr=True).is_terminal and not Console(stderr=True).is_dumb_terminal


@contextmanager
def download_progress(*, quiet: bool) -> Iterator[Report]:
    """A display of a download, which appears with its first bytes."""
    if quiet or not _live():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = ("downloading", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", visible=False)
        yield lambda done, total: progress.update(task, completed=done, total=total, visible=done > 0)


class TrainDisplay:
    """Shows a training: live on a terminal, now and then a row elsewhere, nothing when quiet."""

    def __init__(self, session: "Session", *, quiet: bool) -> None:
        self._session, self._quiet = session, quiet
        self._started = self._shown_at = time.perf_counter()
        self._figures = ""

    def show(self, steps: "Iterator[StepResult]") -> None:
        """Run the steps to their end, showing each."""
        if self._quiet:
            for _ in steps:
                pass
        elif _live():
            self._show_live(steps)
        else:
            for result in steps:
                self._show_row(result)

    def _show_live(self, steps: "Iterator[StepResult]") -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("step {task.completed:,.0f}/{task.total:,.0f}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(compact=True),
            "left",
        )
        console = Console(stderr=True)
        with Progress(*columns, console=console, refresh_per_second=5, expand=True) as progress:
            session = self._session
            task = progress.add_task(
                "", total=session.total_steps, completed=session.first_step, figures=""
            )
            for result in steps:
                if result.batch is not None or result.validation is not None:
                    self._note_figures(result)
                progress.update(task, completed=result.step, figures=self._figures)
                if result.validation is not None:
                    progress.console.print(_validation(result), highlight=False)

    def _show_row(self, result: "StepResult") -> None:
        now = time.perf_counter()
        if result.validation is not None:
            note(_validation(result))
        elif result.batch is not None and now - self._shown_at >= ROW_SECONDS:
            self._shown_at = now
            self._note_figures(result)
            total = self._session.total_steps
            seconds = (total - result.step) / max(self._rate(result.step), 1e-9)
            note(f"step {result.step:,}/{total:,}  {self._figures}  {seconds:.0f} s left")

    def _note_figures(self, result: "StepResult") -> None:
        rate = self._rate(result.step) * self._session.config.recipe.batch_size
        if result.batch is not None:
            self._figures = (
                f"loss {result.batch.loss:.3f}  accuracy {percent(result.batch.accuracy)}  "
                f"{rate:,.0f} images/s"
            )

    def _rate(self, step: int) -> float:
        """Steps a second of this process."""
        seconds = time.perf_counter() - self._started
        return (step - self._session.first_step) / seconds if seconds else 0.0


def _validation(result: "StepResult") -> str:
    scores = result.validation
    assert scores is not None
    return (
        f"step {result.step:,}: on {scores.n:,} images held out, loss {scores.loss:.4f}, "
        f"accuracy {percent(scores.accuracy, 2)}"
    )


def show_training(done: "TrainResult") -> None:
    """A run in words, on stdout."""
    rate = ""
    if done.train_seconds:
        rate = f" in {done.train_seconds:.1f} s, {done.samples_per_second:,.0f} images/s"
    result(
        f"trained     {done.recipe} on {printable(done.dataset)}: {done.steps:,} steps, "
        f"{done.samples:,} images{rate} on {done.device}"
    )
    if done.final:
        result(f"last batch  loss {done.final['loss']:.4f}, accuracy {percent(done.final['accuracy'])}")
    if done.validation:
        result(
            f"held out    loss {done.validation['loss']:.4f}, accuracy "
            f"{percent(done.validation['accuracy'], 2)} of {done.validation['n']:,} images"
        )
    result(f"checkpoint  {printable(done.checkpoint)}")


@contextmanager
def counting(total: int, what: str, *, quiet: bool) -> Iterator[Any]:
    """A live count up to `total` on a terminal; gives a function that is told how many are done."""
    if quiet or not _live():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (what, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)


def show_evaluation(scores: Evaluation, heading: str) -> None:
    """Scores in words and tables, on stdout, readable at 80 columns."""
    from rich.console import Console

    console = Console(highlight=False)
    low, high = scores.ci95
    console.print(printable(heading), markup=False)
    console.print(
        f"accuracy    {percent(scores.accuracy, 2)}: {scores.correct:,} of {scores.n:,} right "
        f"(95 % interval {percent(low)} to {percent(high)})"
    )
    console.print(
        f"loss        {scores.loss:.4f} nats an image, calibration error {percent(scores.ece, 2)}"
    )
    if len(scores.per_class) <= MAX_TABLE_CLASSES:
        console.print(_confusion_table(scores))
        return
    named = [(count, i, j) for i, row in enumerate(scores.confusion) for j, count in enumerate(row)]
    wrong = sorted((entry for entry in named if entry[0] and entry[1] != entry[2]), reverse=True)
    for count, i, j in wrong[:MAX_LISTED_CONFUSIONS]:
        true, answer = scores.per_class[i].label, scores.per_class[j].label
        console.print(f"{count:>6,} times {true} read as {answer}", markup=False)


def _confusion_table(scores: Evaluation) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE,
        padding=(0, 0, 0, 1),
        title="true labels down, answers across",
        title_style="",
    )
    table.add_column("", justify="right", max_width=11)
    for column in scores.per_class:
        table.add_column(Text(column.label[:4]), justify="right", no_wrap=True)
    table.add_column("right", justify="right", no_wrap=True)
    for k, row in enumerate(scores.confusion):
        cells = [
            Text(str(count) if count else "·", "bold" if j == k else "red" if count else "dim")
            for j, count in enumerate(row)
        ]
        accuracy = scores.per_class[k].accuracy
        share = "–" if accuracy is None else percent(accuracy)
        table.add_row(Text(scores.per_class[k].label), *cells, share)
    return table


def prediction_line(prediction: Prediction) -> str:
    """An answer in words: `digit.png: 7 (99.8 %)`."""
    path = printable(prediction.source.path)
    if prediction.error is not None:
        return f"{path}: error: {printable(prediction.error[1])}"
    if not prediction.top:
        return f"{path}: no ink"
    doubt = "?" if prediction.status == "unsure" else ""
    best, *others = prediction.top
    line = f"{path}: {best.label}{doubt} ({percent(best.probability)})"
    return line + "".join(f", {other.label} ({percent(other.probability)})" for other in others)


def prediction_json(prediction: Prediction) -> dict[str, Any]:
    """An answer as the JSON object that `birnn predict --json` prints."""
    best = prediction.top[0] if prediction.top else None
    error = prediction.error
    return {
        "path": prediction.source.path,
        "status": prediction.status,
        "label": best.label if best else None,
        "probability": best.probability if best else None,
        "top": [asdict(choice) for choice in prediction.top],
        "error": {"code": error[0], "message": error[1]} if error else None,
    }


def show_preview(path: str, pixels: NDArray[np.uint8]) -> None:
    """What the network reads, (28, 28) uint8, on stderr: two rows of pixels a line of half blocks."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    console.print(Text(printable(Path(path).name)))
    if console.color_system is None:  # a pipe, or NO_COLOR: two characters a pixel, darker is fuller
        shades = " .:-=+*#%@"
        for row in pixels:
            console.print(Text("".join(2 * shades[int(level) * 9 // 255] for level in row).rstrip()))
        return
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        line = Text()
        for top, bottom in zip(upper.tolist(), lower.tolist(), strict=True):
            line.append("▀", f"rgb({top},{top},{top}) on rgb({bottom},{bottom},{bottom})")
        console.print(line)
