"""`birnn train`: learn to read digits, and save checkpoints along the way."""

import os
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, get_args

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
        from birnn_cli.cli import console, interrupts, progress

        # For who waits at a terminal; `torchrun` numbers its processes.
        if not quiet and sys.stderr.isatty() and os.environ.get("RANK", "0") == "0":
            console.note("loading torch, which takes some seconds")
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
            context = RunContext(group=group, warn=console.warn, on_download=on_download)
            run = (Run.resume if resume else Run.begin)(context=context, **options)
        if run.is_finished and group.is_leader:
            console.note(f"the run in {run.folder} is finished: nothing to resume")
        elif not quiet:
            threads = run.config.threads
            computed = f"{run.config.device}, {threads} thread{'s' * (threads > 1)}"
            console.note(f"training on {run.config.dataset}, {computed}, in {run.folder}")
        with interrupts.noted_signals(patient=group.size > 1) as stop:
            steps = run.steps(stop)
            if tensorboard and group.is_leader:
                steps = curves.written(steps, run.folder, run.first_step)
            progress.show_steps(run, steps, quiet=quiet)
        if not group.is_leader:
            return
        result = run.result()
        results |= asdict(result)
        if not as_json:
            console.show_curves(read_metrics(run.folder))
            console.show_training(result)
        if not quiet:
            named = "" if run.folder.parent == RUNS else f" --checkpoint {run.folder}"
            console.note(
                f"next: `birnn eval --all{named}` scores it on the test images, "
                f"`birnn predict PICTURE{named}` reads with it"
            )
