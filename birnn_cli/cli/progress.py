"""Progress on stderr: a live display on a terminal, elsewhere a plain row now and then."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from birnn_cli.cli.console import note, result
from birnn_cli.text import percent, printable

if TYPE_CHECKING:
    from rich.progress import Progress

    from birnn_cli.data.download import Report
    from birnn_cli.training.loop import Scores, StepResult
    from birnn_cli.training.run import Run

# Seconds between two updates of a live display; one takes milliseconds, well under 2 % of the time.
LIVE_SECONDS = 0.4
# Between two plain rows pass at least so many seconds, and at least this fraction of the time so far, so
# that a run of hours does not fill a log.
ROW_SECONDS, ROW_FRACTION = 2.0, 0.05
# Progress is shown from so many pictures on: fewer are read in no time.
MIN_PROGRESS = 100


def _is_row_due(now: float, shown_at: float, started: float) -> bool:
    return now - shown_at >= max(ROW_SECONDS, ROW_FRACTION * (now - started))


@contextmanager
def _live(*columns: Any, quiet: bool = False, **settings: Any) -> "Iterator[Progress | None]":
    """A live display on stderr; None if it is to be quiet, or there is no terminal to draw it on."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True, highlight=False)
    if quiet or not console.is_terminal or console.is_dumb_terminal:
        yield None
        return
    with Progress(*columns, console=console, **settings) as progress:
        yield progress


@contextmanager
def _bar(*columns: Any, quiet: bool) -> "Iterator[Report]":
    """A live display, visible from the first count on; yields a function to update it."""
    with _live(*columns, quiet=quiet, transient=True) as progress:
        if progress is None:
            yield lambda done, total: None
        else:
            task = progress.add_task("", visible=False)
            yield lambda done, total: progress.update(
                task, completed=done, total=total, visible=done > 0
            )


def download(*, quiet: bool) -> "AbstractContextManager[Report]":
    """A live display of a download; its function takes bytes done, and in all."""
    from rich.progress import BarColumn, DownloadColumn, TransferSpeedColumn

    return _bar("downloading", BarColumn(), DownloadColumn(), TransferSpeedColumn(), quiet=quiet)


def counting(*, quiet: bool) -> "AbstractContextManager[Report]":
    """A live count of images read; its function takes images done, and in all."""
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

    left = TimeRemainingColumn(compact=True)
    return _bar("reading", BarColumn(), MofNCompleteColumn(), left, quiet=quiet)


@contextmanager
def answers(total: int) -> Iterator[Callable[[str], None]]:
    """Show predictions as they come, on stdout; with many pictures, how many are read on stderr.

    Args:
        total: How many pictures there are; 0 shows no progress.

    Yields:
        What is called with each prediction's text.
    """
    if total < MIN_PROGRESS:
        yield result
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = (
        *("reading", BarColumn(), MofNCompleteColumn()),
        TextColumn("{task.fields[rate]:,.0f} files/s"),
        *(TimeRemainingColumn(compact=True), "left"),
    )
    settings = {"auto_refresh": False, "redirect_stdout": False, "transient": True}
    started = shown_at = time.perf_counter()
    waiting: list[str] = []
    done = 0
    with _live(*columns, **settings) as progress:
        # Predictions on the terminal that shows the progress go above it, some at a time.
        above = progress if sys.stdout.isatty() else None
        task = None if progress is None else progress.add_task("", total=total, rate=0.0)

        def refresh() -> None:
            if above is not None and waiting:
                above.console.out("\n".join(map(printable, waiting)), highlight=False)
                waiting.clear()
            if progress is not None and task is not None:
                rate = done / (time.perf_counter() - started)
                progress.update(task, completed=done, rate=rate)
                progress.refresh()

        def show(text: str) -> None:
            nonlocal done, shown_at
            done += 1
            now = time.perf_counter()
            if above is None:
                result(text)
            else:
                waiting.append(text)
            if progress is not None and now - shown_at >= LIVE_SECONDS:
                refresh()
                shown_at = now
            elif progress is None and _is_row_due(now, shown_at, started):
                rate = done / (now - started)
                note(f"{done:,}/{total:,}  {rate:,.0f} files/s  {(total - done) / rate:.0f} s left")
                shown_at = now

        try:
            yield show
        finally:
            refresh()


def show_steps(run: "Run", steps: "Iterable[StepResult]", *, quiet: bool) -> None:
    """Take all steps of a run, and show how far it is."""
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("step {task.completed:,.0f}/{task.total:,.0f}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(compact=True),
        "left",
    )
    total, first, figures = run.total_steps, run.first_step, ""
    # Refreshed here, not by a thread of Rich's that would compete with the training.
    with _live(*columns, quiet=quiet, expand=True, auto_refresh=False) as progress:
        if progress is not None:
            progress.add_task("", total=total, completed=first, figures="")
        started = shown_at = time.perf_counter()
        for step in steps:
            now = time.perf_counter()
            if step.batch is not None:
                rate = (step.step - first) / (now - started)
                figures = (
                    f"loss {step.batch.loss:.3f}  accuracy {percent(step.batch.accuracy)}  "
                    f"{rate * run.config.recipe.batch_size:,.0f} images/s"
                )
            if progress is not None:
                if now - shown_at >= LIVE_SECONDS or step.step == total:
                    progress.update(progress.task_ids[0], completed=step.step, figures=figures)
                    progress.refresh()
                    shown_at = now
                if step.validation is not None:
                    progress.console.print(_validation_row(step.step, step.validation))
            elif quiet:
                continue
            elif step.validation is not None:
                note(_validation_row(step.step, step.validation))
            elif step.batch is not None and _is_row_due(now, shown_at, started):
                note(f"step {step.step:,}/{total:,}  {figures}  {(total - step.step) / rate:.0f} s left")
                shown_at = now


def _validation_row(step: int, scores: "Scores") -> str:
    return (
        f"step {step:,}: loss {scores.loss:.4f}, accuracy {percent(scores.accuracy, 2)} "
        f"on {scores.n:,} validation images"
    )
