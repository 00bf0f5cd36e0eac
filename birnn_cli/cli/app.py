"""The command line: parse, call, render, exit codes. What a command does is elsewhere."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from birnn_cli import __version__
from birnn_cli.cli.exits import reporting
from birnn_cli.cli.options import (
    AsJson,
    CheckpointPath,
    DataDir,
    Quiet,
    Shard,
    option,
    parse_shard,
    positive,
    with_recipe_values,
)
from birnn_cli.errors import BelowMinimumError, ExitCode
from birnn_cli.runs.recipes import LARGEST, Reader, RecipeName

if TYPE_CHECKING:
    from birnn_cli.runs.checkpoint import Checkpoint

app = typer.Typer(
    help="A bidirectional LSTM reads an image of a digit row by row and says which digit it is.",
    epilog="Examples:  birnn train  ·  birnn eval --all  ·  birnn predict digit.png  ·  "
    "birnn predict scans/ --json",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)

DEFAULT_EVAL_SAMPLES = 128  # as the notebook does


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"birnn {__version__}")
        raise typer.Exit


@app.callback()
def birnn(
    version: Annotated[
        bool, option("Show the version.", "--version", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """A bidirectional LSTM reads an image of a digit row by row and says which digit it is."""


@app.command()
@with_recipe_values
def train(
    recipe: Annotated[RecipeName | None, option("How to learn.", default="notebook")] = None,
    dataset: Annotated[
        str | None,
        option(
            "auto (MNIST, else strokes), mnist, fashion-mnist, kmnist, qmnist, emnist-digits, "
            "emnist-letters, strokes (drawn by birnn itself), or a folder with one subfolder of "
            "images a class.",
            default="auto",
        ),
    ] = None,
    data_dir: DataDir = None,
    reader: Annotated[
        Reader | None,
        option("A folder's pictures: find the digit, or plain grey 28 by 28.", default="digit"),
    ] = None,
    init: Annotated[
        Path | None,
        option(
            "A checkpoint file or a run folder to take the first weights from; the head is new where "
            "its classes are others.",
            default="drawn anew",
        ),
    ] = None,
    output: Annotated[Path | None, option("The run folder.", default="runs/<recipe>-<number>")] = None,
    resume: Annotated[
        bool, option("Go on with the run in --output, or the newest interrupted one.", "--resume")
    ] = False,
    save_every: Annotated[float, option("Seconds between saves.", callback=positive)] = 2.0,
    seed: Annotated[
        int | None,
        option("Fixes weights, order, dropout.", default="0", metavar="N", min=0, max=LARGEST),
    ] = None,
    device: Annotated[str | None, option("auto, cpu, cuda, cuda:N or mps.", default="auto")] = None,
    deterministic: Annotated[
        bool, option("The same bits twice on a GPU too, if more slowly.", "--deterministic")
    ] = False,
    tensorboard: Annotated[
        bool, option("Keep curves for TensorBoard in the run folder too.", "--tensorboard")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    **values: Any,
) -> None:
    """Learn to read digits; save checkpoints as it goes."""
    with reporting("train", as_json=as_json), ExitStack() as opened:
        from birnn_cli.cli import console, progress
        from birnn_cli.runs import folders
        from birnn_cli.training import tensorboard as curves
        from birnn_cli.training.distributed import joined
        from birnn_cli.training.options import TrainOptions, open_session
        from birnn_cli.training.run import Session

        request = TrainOptions(
            recipe=recipe,
            overrides={name: value for name, value in values.items() if value is not None},
            dataset=dataset,
            data_dir=data_dir,
            reader=reader,
            init=init,
            output=output,
            resume=resume,
            seed=seed,
            device=device,
            deterministic=deterministic,
            save_every=save_every,
        )
        if tensorboard:
            curves.writer_class()  # says that it is missing before anything is begun
        group = opened.enter_context(joined(device))
        quiet = quiet or not group.is_leader
        with progress.download(quiet=quiet) as report:
            run = open_session(request, report, console.warn, group)
        if isinstance(run, Session):
            if not quiet:
                console.note(f"training on {run.config.dataset}, {run.config.device}, in {run.folder}")
            steps = run.steps()
            if tensorboard and group.is_leader:
                steps = curves.drawn(steps, run.folder, run.first_step)
            progress.show_steps(run, steps, quiet=quiet)
            done = run.result()
        else:
            done = run
            if group.is_leader:
                console.note(f"the run in {run.run} is finished: nothing to resume")
        if not group.is_leader:
            return
        if as_json:
            console.result_json({"command": "train", "status": "ok", **asdict(done)})
        else:
            console.show_curves(folders.read_metrics(Path(done.run)))
            console.show_training(done)


@app.command("eval")
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
        from birnn_cli.training.distributed import joined

        group = opened.enter_context(joined("cpu"))
        quiet = quiet or not group.is_leader

        def find() -> "tuple[Path, Checkpoint, datasets.DataSet]":
            path, network = folders.find_checkpoint(checkpoint, _silent if quiet else console.note)
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
            samples = min(DEFAULT_EVAL_SAMPLES, group.run_on_all(lambda: data.size(split)))
        started = time.perf_counter()
        with progress.counting(quiet=quiet) as count:
            reading = evaluation.read(network, data, split, samples, count, group)
        if not group.is_leader:
            return
        scores = evaluation.evaluate(reading.logits, reading.labels, reading.classes)
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
            subject = findings.Subject(path, network.metadata, data.name, split, reading, scores)
            known["report"] = str(page.write(report_dir, subject))
            if not quiet:
                console.note(f"the report is {known['report']}")
        if min_accuracy is not None and scores.accuracy < min_accuracy:
            raise BelowMinimumError(
                f"the accuracy {scores.accuracy} is below --min-accuracy {min_accuracy}"
            )
        if as_json:
            console.result_json({"command": "eval", "status": "ok", **known})


@app.command()
def predict(
    paths: Annotated[
        list[str],
        typer.Argument(help="Pictures, folders of them, or - for one on stdin.", metavar="PATH..."),
    ],
    top_k: Annotated[int, option("How many labels to name.", metavar="N", min=1)] = 1,
    invert: Annotated[
        Literal["auto", "yes", "no"], option("Ink is darker than paper (yes), lighter (no).")
    ] = "auto",
    preview: Annotated[bool, option("Show what the network reads, 28 by 28.", "--preview")] = False,
    save_input: Annotated[
        Path | None, option("A folder for what the network reads, as PNG.", default=False)
    ] = None,
    save_stages: Annotated[
        Path | None, option("A folder for how each was read, stage by stage, as PNG.", default=False)
    ] = None,
    explain: Annotated[
        Path | None,
        option(
            "A PNG file for how the answer to one picture comes about, row by row; - shows it here.",
            default=False,
            metavar="FILE",
        ),
    ] = None,
    several: Annotated[
        bool, option("Answer to each digit of a picture, from left to right.", "--several")
    ] = False,
    output: Annotated[
        Path | None, option("A file for the answers as JSON Lines.", default=False)
    ] = None,
    force: Annotated[bool, option("Write into outputs that exist already.", "--force")] = False,
    skip_existing: Annotated[
        bool, option("Go on with --output: pass over what it answers.", "--skip-existing")
    ] = False,
    shard: Annotated[
        Shard | None,
        option("Read the I-th of N shares alone.", default=False, metavar="I/N", parser=parse_shard),
    ] = None,
    jobs: Annotated[
        int | None,
        option("Processes that read files.", default="the cores", metavar="N", min=1, max=1024),
    ] = None,
    checkpoint: CheckpointPath = None,
    as_json: Annotated[bool, option("Print JSON Lines: an object a picture.", "--json")] = False,
    quiet: Annotated[bool, option("Print no notes.", "--quiet", "-q")] = False,
) -> None:
    """Say which digit each picture shows."""
    if skip_existing and output is None:
        raise typer.BadParameter("--skip-existing is about the file that --output names.")
    if save_input is not None and save_input == save_stages:
        raise typer.BadParameter("--save-input and --save-stages need a folder each.")
    failed, num_several = False, 0
    with reporting("predict", as_json=as_json), ExitStack() as opened:
        from birnn_cli import prediction
        from birnn_cli.cli import console, progress
        from birnn_cli.runs import folders

        if explain is not None:
            from birnn_cli.report import explanation_figure

            explanation_figure.check(explain, paths, several=several, force=force)
        _, network = folders.find_checkpoint(checkpoint, _silent if quiet else console.note)
        options = prediction.Options(
            top_k=top_k, invert=invert, several=several, stages=save_stages is not None
        )
        inputs = prediction.Saver(save_input, "--save-input", force=force) if save_input else None
        stages = prediction.Saver(save_stages, "--save-stages", force=force) if save_stages else None
        lines, done = None, set[str]()
        if output is not None:
            from birnn_cli.cli.outputs import Answers

            lines = opened.enter_context(
                Answers(output, paths, force=force, skip_existing=skip_existing)
            )
            failed, done = lines.any_failed, lines.done

        def to_read() -> Iterator[prediction.Input]:
            return (each for each in prediction.find_inputs(paths, shard) if each.path not in done)

        show = opened.enter_context(progress.answers(0 if quiet else sum(1 for _ in to_read())))
        answers = prediction.predict(network, to_read(), options, jobs)
        for answer in opened.enter_context(closing(answers)):
            failed |= answer.status == "error"
            num_several += answer.num_digits > 1
            values = console.prediction_json(answer, several=several)
            line = json.dumps(values)
            if lines is not None:
                lines.add(line, answer.index)
            show(line if as_json else console.prediction_line(answer), not answer.index)
            if inputs is not None:
                inputs.save(answer.source, answer.pixels)
            if stages is not None:
                stages.save(answer.source, answer.stages)
            if answer.pixels is not None and preview:
                console.show_preview(answer.source.path, answer.pixels)
            if answer.pixels is not None and explain is not None:
                explanation_figure.view(explain, network, answer)
    if num_several and not quiet:
        console.note(f"several digits in {num_several:,}: --several reads each of them")
    if failed:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def info(checkpoint: CheckpointPath = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Say what a checkpoint is: its network, how and on what it learned, how good it is."""
    with reporting("info", as_json=as_json):
        from birnn_cli.cli import console
        from birnn_cli.runs import folders
        from birnn_cli.runs.checkpoint import describe

        values = describe(*folders.find_checkpoint(checkpoint, _silent if quiet else console.note))
        if as_json:
            console.result_json({"command": "info", "status": "ok", **values})
        else:
            console.show_info(values)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="The file to make.", metavar="FILE")],
    file_format: Annotated[
        Literal["onnx", "html"] | None,
        option(
            "onnx, for other programs; html, a page to draw on.", "--format", default="the file's ending"
        ),
    ] = None,
    force: Annotated[bool, option("Replace the file if it exists.", "--force")] = False,
    checkpoint: CheckpointPath = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a file of a network that works without birnn."""
    with reporting("export", as_json=as_json):
        from birnn_cli.cli import console
        from birnn_cli.export.formats import export as make
        from birnn_cli.runs import folders

        path, network = folders.find_checkpoint(checkpoint, _silent if quiet else console.note)
        made = make(network, file, file_format, force=force)
        values = {"file": str(file), "format": made, "bytes": file.stat().st_size}
        if as_json:
            checkpoint_name = {"checkpoint": str(path)}
            console.result_json({"command": "export", "status": "ok", **checkpoint_name, **values})
        else:
            console.result(f"{file}: {made}, {values['bytes']:,} bytes")


def _silent(_: str) -> None:
    """Say nothing."""
