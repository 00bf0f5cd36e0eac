"""Progress on stderr: a live display on a terminal, elsewhere a plain row now and then."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Column

from birnn_cli.cli.console import note, result
from birnn_cli.text import percent, printable

if TYPE_CHECKING:
    from birnn_cli.data.download import ProgressCallback
    from birnn_cli.training.loop import StepResult
    from birnn_cli.training.run import Run

# Seconds between two updates of a live display; one takes milliseconds, well under 2 % of the time.
LIVE_SECONDS = 0.4
# Between two plain rows pass at least so many seconds, and at least this fraction of the time so far, so
# that a run of hours does not fill a log.
ROW_SECONDS, ROW_FRACTION = 2.0, 0.05
COUNT = "{task.completed:,.0f}/{task.total:,.0f}"  # a column


class _Clock:
    """How fast a task goes since its beginning, and when its progress is to be shown again."""

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._started = self._shown_at = time.perf_counter()

    def rate(self, done: int) -> float:
        """How many a second make `done` since the task began."""
        return done / (time.perf_counter() - self._started)

    def is_due(self) -> bool:
        """Whether to show progress now, long enough after the last time that this was true."""
        now = time.perf_counter()
        pause = LIVE_SECONDS if self._live else max(ROW_SECONDS, ROW_FRACTION * (now - self._started))
        if now - self._shown_at < pause:
            return False
        self._shown_at = now
        return True


@contextmanager
def _display(name: str, *columns: Any, quiet: bool = False, **settings: Any) -> Iterator[Progress]:
    """A live display on stderr, disabled if it is to be quiet or there is no terminal to draw it on.

    It shows a name, a bar, and columns: Rich's own, or texts to be formatted.
    """
    console = Console(stderr=True, highlight=False)
    hidden = quiet or not console.is_terminal or console.is_dumb_terminal
    columns = (name, BarColumn(bar_width=None), *columns)
    progress = Progress(*columns, console=console, disable=hidden, **settings)
    with nullcontext() if hidden else progress:
        yield progress


@contextmanager
def _bar(*columns: Any, quiet: bool) -> "Iterator[ProgressCallback]":
    """A live display, visible from the first count on; yields a function to update it."""
    with _display(*columns, quiet=quiet, transient=True) as progress:
        task = progress.add_task("", visible=False)
        yield lambda done, total: progress.update(task, completed=done, total=total, visible=done > 0)


def download(*, quiet: bool) -> "AbstractContextManager[ProgressCallback]":
    """A live display of a download; its function takes bytes done, and in all."""
    return _bar("downloading", DownloadColumn(), TransferSpeedColumn(), quiet=quiet)


def counting(*, quiet: bool) -> "AbstractContextManager[ProgressCallback]":
    """A live count of images read; its function takes images done, and in all."""
    return _bar("reading", COUNT, _time_left(), quiet=quiet)


def _time_left() -> TimeRemainingColumn:
    """The time that a task still takes, which a narrow terminal does not squeeze out."""
    return TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True))


@contextmanager
def predictions(total: int) -> Iterator[Callable[[str], None]]:
    """Show predictions as they come, on stdout, and on stderr how many of `total` pictures are read.

    Yields what is to be called with each prediction's text.
    """
    columns = ("reading", COUNT, "{task.fields[rate]:,.0f} files/s", _time_left(), "left")
    waiting: list[str] = []
    done = 0
    with _display(*columns, auto_refresh=False, redirect_stdout=False, transient=True) as progress:
        live = not progress.disable
        clock = _Clock(live=live)
        # Predictions on the terminal that shows the progress go above it, some at a time.
        show_text = waiting.append if live and sys.stdout.isatty() else result
        task = progress.add_task("", total=total, rate=0.0)

        def refresh() -> None:
            if waiting:
                progress.console.out("\n".join(map(printable, waiting)), highlight=False)
                waiting.clear()
            progress.update(task, completed=done, rate=clock.rate(done), refresh=True)

        def show(text: str) -> None:
            nonlocal done
            done += 1
            show_text(text)
            if not clock.is_due():
                return
            if live:
                refresh()
            else:
                rate = clock.rate(done)
                note(f"{done:,}/{total:,}  {rate:,.0f} files/s  {(total - done) / rate:.0f} s left")

        try:
            yield show
        finally:
            refresh()


def show_steps(run: "Run", steps: "Iterable[StepResult]", *, quiet: bool) -> None:
    """Take all steps of a run, and show how far it is."""
    columns = (f"step {COUNT}", "{task.fields[figures]}", _time_left(), "left")
    total, first, figures = run.total_steps, run.first_step, ""
    # Refreshed here, not by a thread of Rich's that would compete with the training.
    with _display(*columns, quiet=quiet, expand=True, auto_refresh=False) as progress:
        live = not progress.disable
        task = progress.add_task("", total=total, completed=first, figures="")
        clock = _Clock(live=live)
        for step in steps:
            if quiet:
                continue
            if step.batch is not None:
                rate = clock.rate(step.step - first)
                figures = f"loss {step.batch.loss:.3f}  accuracy {percent(step.batch.accuracy)}"
                if not live or progress.console.width >= 80:
                    figures += f"  {rate * run.config.recipe.batch_size:,.0f} images/s"
            if live and (clock.is_due() or step.step == total):
                progress.update(task, completed=step.step, figures=figures, refresh=True)
            if step.validation is not None:
                scores = step.validation
                (progress.console.print if live else note)(
                    f"step {step.step:,}: loss {scores.loss:.4f}, "
                    f"accuracy {percent(scores.accuracy, 2)} on {scores.n:,} validation images"
                )
            elif not live and step.batch is not None and clock.is_due():
                note(f"step {step.step:,}/{total:,}  {figures}  {(total - step.step) / rate:.0f} s left")
