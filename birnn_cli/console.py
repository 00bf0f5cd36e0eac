"""What people see: progress and notes on stderr, results on stdout as text or JSON."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it shows what others make, and must not load torch for `predict`
    import numpy as np
    from numpy.typing import NDArray
    from rich.progress import Progress

    from birnn_cli.data.download import Report
    from birnn_cli.evaluation import Evaluation
    from birnn_cli.prediction import Prediction
    from birnn_cli.session import Session, TrainResult
    from birnn_cli.training import StepResult

# Seconds between two pictures of a live display: at a few milliseconds each, well under 2 % of the time.
LIVE_SECONDS = 0.4
# Where no live display is possible, seconds between two plain rows: no fewer than the first, and no less
# than the second's share of the time so far, so that a run of hours does not fill a log.
ROW_SECONDS, ROW_SHARE = 2.0, 0.05
# So many pictures take long enough for their progress to be shown.
MIN_PROGRESS = 100
# Confusion matrices of more classes do not fit 80 columns: their largest confusions are listed.
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
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()


def result_json(values: dict[str, Any]) -> None:
    """One JSON object on a line of stdout, at once."""
    result(json.dumps(values, allow_nan=False))


def printable(text: str) -> str:
    """Text that stays on its line and cannot steer the terminal: the rest as escapes."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def percent(share: float, digits: int = 1) -> str:
    """0.998 as `99.8 %`."""
    return f"{share * 100:.{digits}f} %"


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
def download_progress(*, quiet: bool) -> "Iterator[Report]":
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
def answers(total: int) -> Iterator[Callable[[str, bool], None]]:
    """How to show answers as they come; of many pictures, how far they are is shown on stderr.

    What it gives is told an answer's text, and whether it is the picture's first.

    Args:
        total: How many pictures there are; 0 shows no progress.
    """
    if total < MIN_PROGRESS:
        yield lambda text, _: result(text)
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
        # Answers on the terminal that shows the progress go above it, some at a time.
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

        def show(text: str, is_first: bool) -> None:
            nonlocal done, shown_at
            done += is_first
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


def show_steps(session: "Session", *, quiet: bool) -> None:
    """Run a session's steps to their end: live on a terminal, now and then a row elsewhere."""
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
        for step in session.steps():
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


def show_training(done: "TrainResult") -> None:
    """A run in words, on stdout."""
    result(f"trained     {done.recipe} on {done.dataset}: {done.steps:,} steps, {done.samples:,} images")
    if done.train_seconds:
        seconds, rate = done.train_seconds, done.samples_per_second
        saving, showing = (percent(part / seconds) for part in (done.save_seconds, done.display_seconds))
        result(f"speed       {seconds:.1f} s, {rate:,.0f} images/s on {done.device}")
        result(f"of it       {saving} saving, {showing} showing")
    if done.final:
        result(f"last batch  loss {done.final['loss']:.4f}, accuracy {percent(done.final['accuracy'])}")
    if done.validation:
        result(
            f"held out    loss {done.validation['loss']:.4f}, accuracy "
            f"{percent(done.validation['accuracy'], 2)} of {done.validation['n']:,} images"
        )
    result(f"checkpoint  {done.checkpoint}")


def show_evaluation(scores: "Evaluation", heading: str) -> None:
    """Scores in words and a table, on stdout, readable at 80 columns."""
    low, high = scores.ci95
    result(heading)
    result(
        f"accuracy    {percent(scores.accuracy, 2)}: {scores.correct:,} of {scores.n:,} right "
        f"(95 % interval {percent(low)} to {percent(high)})"
    )
    result(f"loss        {scores.loss:.4f} nats an image, calibration error {percent(scores.ece, 2)}")
    if len(scores.per_class) <= MAX_TABLE_CLASSES:
        _show_confusion(scores)
        return
    for each in scores.per_class:
        share = "–" if each.accuracy is None else percent(each.accuracy)
        result(f"{each.label:>10}  {each.correct:,} of {each.n:,} right, {share}")
    wrong = [(n, i, j) for i, row in enumerate(scores.confusion) for j, n in enumerate(row) if i != j]
    for n, i, j in sorted(wrong, reverse=True)[:MAX_LISTED_CONFUSIONS]:
        if n:
            result(f"{n:>6,} × {scores.per_class[i].label} read as {scores.per_class[j].label}")


def _show_confusion(scores: "Evaluation") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    title = "true labels down, answers across"
    table = Table(box=box.SIMPLE, padding=(0, 0, 0, 1), title=title, title_style="")
    table.add_column("", justify="right", max_width=11)
    for each in scores.per_class:
        table.add_column(Text(each.label[:4]), justify="right", no_wrap=True)
    table.add_column("right", justify="right", no_wrap=True)
    for i, (each, row) in enumerate(zip(scores.per_class, scores.confusion, strict=True)):
        cells = [
            Text(str(n) if n else "·", "bold" if i == j else "red" if n else "dim")
            for j, n in enumerate(row)
        ]
        share = "–" if each.accuracy is None else percent(each.accuracy)
        table.add_row(Text(each.label), *cells, share)
    Console().print(table)


def prediction_line(prediction: "Prediction") -> str:
    """An answer in words: `digit.png: 7 (99.8 %)`."""
    path = prediction.source.path
    if prediction.index is not None:
        path = f"{path}[{prediction.index}]"
    if prediction.error is not None:
        return f"{path}: error: {prediction.error[1]}"
    if not prediction.top:
        return f"{path}: no ink"
    doubt = "?" if prediction.status == "unsure" else ""
    best, *others = prediction.top
    line = f"{path}: {best.label}{doubt} ({percent(best.probability)})"
    return line + "".join(f", {other.label} ({percent(other.probability)})" for other in others)


def prediction_json(prediction: "Prediction", *, several: bool = False) -> dict[str, Any]:
    """An answer as the JSON object that `birnn predict --json` prints, with its place if of several."""
    best = prediction.top[0] if prediction.top else None
    error = prediction.error
    return {
        "path": prediction.source.path,
        "status": prediction.status,
        "label": best.label if best else None,
        "probability": best.probability if best else None,
        "top": [{"label": each.label, "probability": each.probability} for each in prediction.top],
        "error": {"code": error[0], "message": error[1]} if error else None,
        **({"index": prediction.index, "box": prediction.box} if several else {}),
    }


def show_preview(path: str, pixels: "NDArray[np.uint8]") -> None:
    """What the network reads, (28, 28) uint8, on stderr: two rows of pixels a line of blocks."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    note(Path(path).name)
    if console.color_system is None:  # a pipe, or NO_COLOR: two characters a pixel, fuller is lighter
        for row in pixels:
            note("".join(2 * " .:-=+*#%@"[int(level) * 9 // 255] for level in row).rstrip())
        return
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        line = Text()
        for top, bottom in zip(upper.tolist(), lower.tolist(), strict=True):
            line.append("▀", f"rgb({top},{top},{top}) on rgb({bottom},{bottom},{bottom})")
        console.print(line)
