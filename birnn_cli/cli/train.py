"""`birnn train`: learn to read digits, and save checkpoints along the way."""

import math
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated, Any, get_args

from birnn_cli.cli.console import note, result, show_validation, warn
from birnn_cli.cli.exits import reporting
from birnn_cli.cli.options import (
    DATA,
    RUN,
    AsJson,
    DataDir,
    Quiet,
    choice,
    flag,
    number,
    option,
    positive,
    with_recipe_values,
)
from birnn_cli.reader import Reader
from birnn_cli.runs.recipes import MAX_INT32, RECIPES, RecipeName
from birnn_cli.text import percent

if TYPE_CHECKING:
    from birnn_cli.training.loop import TrainResult

BLOCKS, SPARKLINE_WIDTH = "▁▂▃▄▅▆▇█", 40


@with_recipe_values
def train(
    recipe: Annotated[
        RecipeName | None,
        option(
            f"How to learn: {', '.join(RECIPES)}.",
            default="notebook",
            metavar="NAME",
            **choice(*RECIPES),
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    dataset: Annotated[
        str | None,
        option(
            "auto (MNIST, else strokes), mnist, fashion-mnist, kmnist, qmnist, emnist-digits, "
            "emnist-letters, strokes (digits drawn by birnn), or a folder with one subfolder of "
            "images per class.",
            default="auto",
            metavar="NAME",
            rich_help_panel=DATA,
        ),
    ] = None,
    data_dir: DataDir = None,
    reader: Annotated[
        Reader | None,
        option(
            "How a folder's pictures are read: digit, which finds the digit, or plain: 28 by 28 grey.",
            default="digit",
            metavar="NAME",
            rich_help_panel=DATA,
            **choice(*get_args(Reader)),
        ),
    ] = None,
    output: Annotated[
        Path | None,
        option("The run folder.", default="runs/RECIPE-NUMBER", metavar="DIR", rich_help_panel=RUN),
    ] = None,
    resume: Annotated[
        bool,
        flag(
            "Resume the run in --output, or the newest interrupted one.", "--resume", rich_help_panel=RUN
        ),
    ] = False,
    device: Annotated[
        str | None,
        option("auto, cpu, cuda, cuda:N or mps.", default="auto", metavar="NAME", rich_help_panel=RUN),
    ] = None,
    seed: Annotated[
        int | None,
        option(
            "Fixes first weights, order, augmentation, dropout.",
            default=0,
            metavar="N",
            parser=number(int, 0, MAX_INT32),
            rich_help_panel=RUN,
        ),
    ] = None,
    save_every: Annotated[
        float,
        option("Seconds between saves.", default=2, metavar="X", parser=positive, rich_help_panel=RUN),
    ] = 2.0,
    init: Annotated[
        Path | None,
        option(
            "A checkpoint file or a run folder to take the first weights from; the head is new where "
            "its classes are others.",
            metavar="PATH",
            rich_help_panel=RUN,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        option(
            "Threads that share every batch; the same number gives the same bits.",
            default="the cores that may be used, or OMP_NUM_THREADS",
            metavar="N",
            parser=number(int, 1, 1024),
            rich_help_panel=RUN,
        ),
    ] = None,
    deterministic: Annotated[
        bool,
        flag(
            "Give the same bits twice on a GPU too, if more slowly.",
            "--deterministic",
            rich_help_panel=RUN,
        ),
    ] = False,
    tensorboard: Annotated[
        bool,
        flag("Keep curves for TensorBoard in the run folder too.", "--tensorboard", rich_help_panel=RUN),
    ] = False,
    **values: Any,
) -> None:
    """Learn to read digits; save checkpoints along the way."""
    options = {
        "recipe": recipe,
        "dataset": dataset,
        "data_dir": data_dir,
        "reader": reader,
        "init": init,
        "output": output,
        "save_every": save_every,
        "seed": seed,
        "device": device,
        "threads": threads,
        "deterministic": deterministic,
        **{name: value for name, value in values.items() if value is not None},
    }
    with reporting("train", as_json=as_json) as results, ExitStack() as opened:
        # For who waits at a terminal; `torchrun` numbers its processes.
        if not quiet and sys.stderr.isatty() and os.environ.get("RANK", "0") == "0":
            note("loading torch, which takes some seconds")
        from birnn_cli.cli import interrupts, progress
        from birnn_cli.runs.folders import RUNS
        from birnn_cli.runs.metrics import read_metrics
        from birnn_cli.training import tensorboard as curves
        from birnn_cli.training.distributed import joined_group
        from birnn_cli.training.run import Run, RunContext

        if tensorboard:
            curves.writer_class()  # reports that it is missing before anything is begun
        group = opened.enter_context(joined_group(device))
        quiet = quiet or not group.is_leader
        with progress.download(quiet=quiet) as on_download:
            context = RunContext(group=group, warn=warn, on_download=on_download)
            run = (Run.resume if resume else Run.begin)(context=context, **options)
        if run.is_finished and group.is_leader:
            note(f"the run in {run.folder} is finished: nothing to resume")
        elif not quiet:
            threads = run.config.threads
            computed = f"{run.config.device}, {threads} thread{'s' * (threads > 1)}"
            note(f"training on {run.config.dataset}, {computed}, in {run.folder}")
        with interrupts.noted_signals(patient=group.size > 1) as stop_signal:
            steps = run.steps(stop_signal)
            if tensorboard and group.is_leader:
                steps = curves.written(steps, run.folder, run.first_step)
            progress.show_steps(run, steps, quiet=quiet)
        if not group.is_leader:
            return
        done = run.result()
        results |= asdict(done)
        if not as_json:
            show_curves(read_metrics(run.folder))
            _show(done)
        if not quiet:
            named = "" if run.folder.parent == RUNS else f" --checkpoint {run.folder}"
            note(
                f"next: `birnn eval --all{named}` scores it on the test images, "
                f"`birnn predict PICTURE{named}` reads with it"
            )


def show_curves(rows: Sequence[Mapping[str, float]]) -> None:
    """Show first value, curve and last value of each metric in the rows of `metrics.jsonl`."""
    width = max(1, min(SPARKLINE_WIDTH, get_terminal_size().columns - 40))  # beside the numbers
    for name in ("loss", "accuracy", "validation_loss", "validation_accuracy"):
        values = [row[name] for row in rows if name in row]
        if len(values) < 2:
            continue
        is_accuracy = name.endswith("accuracy")
        first, last = (percent(x) if is_accuracy else f"{x:.4f}" for x in (values[0], values[-1]))
        # a loss is drawn on a logarithmic scale
        curve = values if is_accuracy else [math.log(max(value, 1e-9)) for value in values]
        label = name.replace("_", " ")
        result(f"{label:<20}{first:>8} {sparkline(curve, width):<{width}} {last}")


def sparkline(values: Sequence[float], width: int = SPARKLINE_WIDTH) -> str:
    """Numbers in their order as blocks, the lowest ▁ and the highest █; many are averaged in groups."""
    width = min(len(values), width)
    edges = [k * len(values) // width for k in range(width + 1)]
    means = [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]
    low, span = min(means), (max(means) - min(means)) or 1.0
    return "".join(BLOCKS[round((mean - low) / span * (len(BLOCKS) - 1))] for mean in means)


def _show(done: "TrainResult") -> None:
    """Show the result of a run on stdout."""
    result(f"trained     {done.recipe} on {done.dataset}: {done.steps:,} steps, {done.samples:,} images")
    if done.train_seconds:
        seconds, rate = done.train_seconds, done.samples_per_second
        result(f"speed       {seconds:.1f} s, {rate:,.0f} images/s on {done.device}")
    if done.final:
        accuracy = percent(done.final["accuracy"])
        result(f"training    loss {done.final['loss']:.4f}, accuracy {accuracy} of the last batch")
    if done.validation:
        show_validation(done.validation)
    result(f"checkpoint  {done.checkpoint}")
