"""`birnn eval`: score a network on labelled images."""

import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from birnn_cli.cli.exits import reporting
from birnn_cli.cli.options import (
    AsJson,
    CheckpointPath,
    DataDir,
    Quiet,
    option,
    silent,
)
from birnn_cli.errors import BelowMinimumError

if TYPE_CHECKING:
    from birnn_cli.runs.checkpoint import Checkpoint

DEFAULT_SAMPLES = 128  # as the notebook does


def evaluate(
    samples: Annotated[
        int | None,
        option("How many of the first images.", "--samples", "-n", default="128", metavar="N", min=1),
    ] = None,
    whole: Annotated[bool, option("All images of the split.", "--all")] = False,
    split: Annotated[Literal["test", "validation"], option("Which images.")] = "test",
    dataset: Annotated[
        str | None, option("Another data set than it was trained on.", default="the run's")
    ] = None,
    data_dir: DataDir = None,
    min_accuracy: Annotated[
        float | None, option("Exit with 3 below it.", default=False, metavar="X", min=0, max=1)
    ] = None,
    report_dir: Annotated[
        Path | None,
        option("A folder for a page and pictures of the result.", "--report", default=False),
    ] = None,
    force: Annotated[bool, option("Write into a --report folder that holds files.", "--force")] = False,
    checkpoint: CheckpointPath = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Score a network on the first images of the test set, or on all of them."""
    if whole and samples is not None:
        raise typer.BadParameter("--all and --samples exclude each other.")
    with reporting("eval", as_json=as_json) as known, ExitStack() as opened:
        from birnn_cli import evaluation
        from birnn_cli.cli import console, progress
        from birnn_cli.data import datasets
        from birnn_cli.runs import folders
        from birnn_cli.training.distributed import joined_group as joined

        group = opened.enter_context(joined("cpu"))
        quiet = quiet or not group.is_leader

        def find() -> "tuple[Path, Checkpoint, datasets.DataSet]":
            path, network = folders.find_checkpoint(checkpoint, silent if quiet else console.note)
            config = network.config
            name, where = dataset or config.dataset, data_dir or datasets.default_data_dir()
            own_reader = None if name in datasets.NAMES else config.reader
            with progress.download(quiet=quiet) as report:
                return path, network, datasets.open_data_set(name, where, own_reader, report)

        if report_dir is not None and group.is_leader:
            from birnn_cli.report import findings, page

            page.prepare(report_dir, force=force)
        path, network, data = group.run_on_all(find)
        if samples is None and not whole:
            samples = min(DEFAULT_SAMPLES, group.run_on_all(lambda: data.size(split)))
        started = time.perf_counter()
        with progress.counting(quiet=quiet) as count:
            outputs = evaluation.read_images(network, data, split, samples, count, group)
        if not group.is_leader:
            return
        scores = evaluation.score(outputs.logits, outputs.labels, outputs.classes)
        known |= {
            "checkpoint": str(path),
            "dataset": data.name,
            "split": split,
            **asdict(scores),
            "seconds": time.perf_counter() - started,
        }
        if not as_json:
            console.show_evaluation(scores, f"{path} on {data.name}, {split} images")
        if report_dir is not None:
            report = findings.ReportInput(path, network.metadata, data.name, split, outputs, scores)
            known["report"] = str(page.write(report_dir, report))
            if not quiet:
                console.note(f"the report is {known['report']}")
        if min_accuracy is not None and scores.accuracy < min_accuracy:
            raise BelowMinimumError(
                f"the accuracy {scores.accuracy} is below --min-accuracy {min_accuracy}"
            )
        if as_json:
            console.result_json({"command": "eval", "status": "ok", **known})
