"""What people see while they wait: live on a terminal, a plain row now and then elsewhere; on stderr."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from birnn_cli.cli.console import note, result
from birnn_cli.text import percent, printable

if TYPE_CHECKING:
    from rich.progress import Progress

    from birnn_cli.data.download import Report
    from birnn_cli.training.loop import StepResult
    from birnn_cli.training.run import Session

# Seconds between two pictures of a live display: at a few milliseconds each, well under 2 % of the time.
LIVE_SECONDS = 0.4
# Where no live display is possible, seconds between two plain rows: no fewer than the first, and no less
# than the second's share of the time so far, so that a run of hours does not fill a log.
ROW_SECONDS, ROW_SHARE = 2.0, 0.05
# So many pictures take long enough for their progress to be shown.
MIN_PROGRESS = 100


@contextmanager
def _live(*columns: Any, quiet: bool = False, **settings: Any) -> "Iterator[Progress | None]":
    """A live display on stderr; None when quiet, or where there is no terminal to draw it on."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True, highlight=False)
    if quiet or not console.is_terminal or console.is_dumb_terminal:
        yield None
        return
    with Progress(*columns, console=console, **settings) as progress:
        yield progress


@contextmanager
def download(*, quiet: bool) -> "Iterator[Report]":
    """A display of a download, which appears with its first bytes."""
    from rich.progress import BarColumn, DownloadColumn, TransferSpeedColumn

    columns = ("downloading", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with _live(*columns, quiet=quiet, transient=True) as progress:
        if progress is None:
            yield lambda done, total: None
        else:
            task = progress.add_task("", visible=False)
            yield lambda done, total: progress.update(
                task, completed=done, total=total, visible=done > 0
            )


@contextmanager
def counting(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A live count of images read; gives a function to be told how many are, of how many."""
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

    columns = ("reading", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    with _live(*columns, quiet=quiet, transient=True) as progress:
        if progress is None:
            yield lambda done, total: None
        else:
            task = progress.add_task("")
            yield lambda done, total: progress.update(task, completed=done, total=total)


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
            elif progress is None and now - shown_at >= max(ROW_SECONDS, ROW_SHARE * (now - started)):
                rate = done / (now - started)
                note(f"{done:,}/{total:,}  {rate:,.0f} files/s  {(total - done) / rate:.0f} s left")
                shown_at = now

        try:
            yield show
        finally:
            refresh()


def show_steps(session: "Session", steps: "Iterable[StepResult]", *, quiet: bool) -> None:
    """Take a session's steps to their end: live on a terminal, now and then a row elsewhere."""
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("step {task.completed:,.0f}/{task.total:,.0f}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(compact=True),
        "left",
    )
    total, first, figures = session.total_steps, session.first_step, ""
    # Drawn by hand, not by a thread of Rich's: what it costs is then part of what showing costs.
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
                    f"{rate * session.config.recipe.batch_size:,.0f} images/s"
                )
            if progress is not None:
                if now - shown_at >= LIVE_SECONDS or step.step == total:
                    progress.update(progress.task_ids[0], completed=step.step, figures=figures)
                    progress.refresh()
                    shown_at = now
                if step.validation is not None:
                    progress.console.print(_validation(step))
            elif not quiet and step.validation is not None:
                note(_validation(step))
            elif (
                not quiet
                and step.batch is not None
                and now - shown_at >= max(ROW_SECONDS, ROW_SHARE * (now - started))
            ):
                note(f"step {step.step:,}/{total:,}  {figures}  {(total - step.step) / rate:.0f} s left")
                shown_at = now


def _validation(step: "StepResult") -> str:
    scores = step.validation
    assert scores is not None
    return (
        f"step {step.step:,}: on {scores.n:,} images held out, loss {scores.loss:.4f}, "
        f"accuracy {percent(scores.accuracy, 2)}"
    )
