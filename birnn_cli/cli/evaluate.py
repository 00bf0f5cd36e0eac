"""`birnn eval`: score a network on labelled images."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from birnn_cli.cli.console import note_unless, result, warn
from birnn_cli.cli.exits import reporting
from birnn_cli.cli.options import (
    AsJson,
    CheckpointPath,
    DataDir,
    Quiet,
    Threads,
    choice,
    flag,
    number,
    option,
)
from birnn_cli.cores import limit_reading_threads
from birnn_cli.data import DEFAULT_SAMPLES
from birnn_cli.errors import BelowMinimumError
from birnn_cli.optional import require
from birnn_cli.text import percent, printable

if TYPE_CHECKING:
    from birnn_cli.data.folders import LabelledFolder, Split
    from birnn_cli.evaluation import Evaluation

# A confusion matrix of more classes does not fit 80 columns: the most frequent confusions are listed.
MAX_TABLE_CLASSES = 12
MAX_LISTED_CONFUSIONS = 10


def evaluate(
    samples: Annotated[
        int | None,
        option(
            "Score the first N images.",
            "--samples",
            "-n",
            default=DEFAULT_SAMPLES,
            metavar="N",
            parser=number(int, 1),
        ),
    ] = None,
    whole: Annotated[bool, flag("Score all images of the split.", "--all")] = False,
    split: Annotated[
        Literal["test", "validation", "all"],
        option(
            "Which images to score: test, validation, or all that a folder holds.",
            default="test",
            metavar="NAME",
            **choice("test", "validation", "all"),
        ),
    ] = "test",
    dataset: Annotated[
        str | None,
        option(
            "The data set: a name or a folder, as for train.",
            default="what it was trained on",
            metavar="NAME",
        ),
    ] = None,
    data_dir: DataDir = None,
    min_accuracy: Annotated[
        float | None,
        option(
            "Exit with code 3 if the accuracy is below X (0 to 1).",
            metavar="X",
            parser=number(float, 0, 1),
        ),
    ] = None,
    report_dir: Annotated[
        Path | None,
        option("Write a page with pictures of the result to this folder.", "--report", metavar="DIR"),
    ] = None,
    force: Annotated[
        bool, flag("Let --report write to a folder that holds files already.", "--force")
    ] = False,
    threads: Threads = None,
    checkpoint: CheckpointPath = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Score a network on the first images of the test set, or on all of them."""
    if whole and samples is not None:
        raise typer.BadParameter("--all and --samples exclude each other: leave one of them out")
    if split == "all" and samples is not None:
        raise typer.BadParameter("--split all and --samples exclude each other: leave one of them out")
    limit_reading_threads(threads)
    with reporting("eval", as_json=as_json) as results:
        from birnn_cli import evaluation
        from birnn_cli.cli import progress
        from birnn_cli.data import datasets
        from birnn_cli.files import check_output
        from birnn_cli.runs import folders

        note = note_unless(quiet)
        if report_dir is not None:
            for library in ("matplotlib", "jinja2"):
                require(library, "report")
            check_output(report_dir, "--report", force=force, folder=True)
            from birnn_cli.report import page
            from birnn_cli.report.findings import Findings
        path, network = folders.find_checkpoint(checkpoint, note)
        name = dataset or network.config.dataset
        if report_dir is not None:
            inputs = [path] if name in datasets.NAMES else [path, Path(name)]
            check_output(report_dir, "--report", force=True, inputs=inputs, folder=True)
        reader = None if name in datasets.NAMES else network.config.reader
        with progress.download(quiet=quiet) as show_download:
            where = data_dir or datasets.default_data_dir(note)
            data = datasets.open_data_set(name, where, reader, show_download)
        if data.folder is not None:
            _show_folder(data.folder, split, note)
        if samples is None and not whole and split != "all":
            samples = min(DEFAULT_SAMPLES, data.size(split))
        started = time.perf_counter()
        with progress.counting(quiet=quiet) as show_count:
            read = evaluation.read_images(network, data, split, samples, show_count)
        scores = evaluation.score(read.logits, read.labels, read.classes)
        results |= {"checkpoint": str(path), "dataset": data.name, "split": split, **asdict(scores)}
        results["seconds"] = time.perf_counter() - started
        if not as_json:
            show_scores(scores, f"{path} on {data.name}, {split} images")
        if report_dir is not None:
            report = Findings(path, network.metadata, data.name, split, read, scores)
            results["report"] = str(page.write(report_dir, report))
            note(f"the report is {results['report']}")
        if min_accuracy is not None and scores.accuracy < min_accuracy:
            raise BelowMinimumError(
                f"the accuracy {scores.accuracy} is below --min-accuracy {min_accuracy}"
            )


def _show_folder(folder: "LabelledFolder", split: "Split", note: Callable[[str], None]) -> None:
    """Say which of a folder's images are scored, and what in it is not read."""
    for line in folder.left_out:
        warn(line)
    if empty := folder.without_images("all"):
        note(f"no images in the class folders {', '.join(empty)} of {folder.root}")
    if split != "all" and split not in folder.own_splits:
        note(
            f"{folder.root} has no folder {split}: scoring the {split} tenth of its images, "
            f"{len(folder.split(split)):,} of {len(folder.split('all')):,}; --split all scores them all"
        )


def show_scores(scores: "Evaluation", heading: str) -> None:
    """Show scores on stdout, with a confusion matrix where it fits the terminal."""
    low, high = scores.ci95
    result(heading)
    result(
        f"accuracy    {percent(scores.accuracy, 2)}: {scores.correct:,} of {scores.n:,} right "
        f"(95 % interval {percent(low)} to {percent(high)})"
    )
    result(f"loss        {scores.loss:.4f} nats per image, calibration error {percent(scores.ece, 2)}")
    if len(scores.per_class) <= MAX_TABLE_CLASSES and _show_confusion(scores):
        return
    for each in scores.per_class:
        accuracy = "–" if each.accuracy is None else percent(each.accuracy)
        result(f"{each.label:>10}  {each.correct:,} of {each.n:,} right, {accuracy}")
    confusions = (
        (n, i, j) for i, row in enumerate(scores.confusion) for j, n in enumerate(row) if n and i != j
    )
    for n, i, j in sorted(confusions, reverse=True)[:MAX_LISTED_CONFUSIONS]:
        result(f"{n:>6,} × {scores.per_class[i].label} read as {scores.per_class[j].label}")


def _show_confusion(scores: "Evaluation") -> bool:
    """Show the confusion matrix where it fits the width there is; returns whether it did."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    title = "rows: true, columns: predicted"
    table = Table(box=box.SIMPLE, padding=(0, 0, 0, 1), title=title, title_style="")
    table.add_column("", justify="right", max_width=11)
    for each in scores.per_class:
        table.add_column(Text(printable(each.label)[:4]), justify="right", no_wrap=True)
    table.add_column("right", justify="right", no_wrap=True)
    for i, (each, row) in enumerate(zip(scores.per_class, scores.confusion, strict=True)):
        cells = [
            Text(str(n) if n else "·", "bold" if i == j else "red" if n else "dim")
            for j, n in enumerate(row)
        ]
        accuracy = "–" if each.accuracy is None else percent(each.accuracy)
        table.add_row(Text(printable(each.label)), *cells, accuracy)
    console = Console()
    if console.measure(table, options=console.options.update(width=1000)).maximum > console.width:
        return False
    console.print(table)
    return True
