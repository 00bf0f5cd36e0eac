"""The command line: parse, call, render, exit codes. What a command does is elsewhere."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TextIO

import typer

from birnn_cli import __version__
from birnn_cli.errors import BirnnError, ExitCode, InterruptedRunError, OutputExistsError
from birnn_cli.network.architecture import LIMITS, Readout
from birnn_cli.recipes import Reader, Recipe, RecipeName

app = typer.Typer(
    help="A bidirectional LSTM reads an image of a digit row by row and says which digit it is.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    epilog=(
        "Examples:  birnn train  ·  birnn eval --all  ·  birnn predict digit.png  ·  "
        "birnn predict scans/ --json"
    ),
)

DataDir = Annotated[
    Path | None,
    typer.Option(
        envvar="BIRNN_DATA_DIR",
        help="Where data sets live or are downloaded to (torchvision's layout).",
        show_default="the user's cache folder",
    ),
]
CheckpointPath = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        help="A checkpoint file or a run folder.",
        show_default="the newest complete run under runs/, else the model that ships",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]

LARGEST = 2**31 - 1
DEFAULT_EVAL_SAMPLES = 128  # as the notebook does


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"birnn {__version__}")
        raise typer.Exit


@app.callback()
def birnn(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """A bidirectional LSTM reads an image of a digit row by row and says which digit it is."""


class _Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def _terminate(*_: object) -> NoReturn:
    raise _Terminated


@contextmanager
def _reporting(command: str, *, as_json: bool) -> Iterator[None]:
    """Turn what goes wrong into one line on stderr, JSON on stdout where asked for, and an exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except InterruptedRunError as error:
        code = 128 + error.signal_number
        _fail(command, "interrupted", error.code, str(error), code, as_json=as_json)
    except KeyboardInterrupt as error:
        code = ExitCode.TERMINATED if isinstance(error, _Terminated) else ExitCode.INTERRUPTED
        _fail(command, "interrupted", "interrupted", "stopped", code, as_json=as_json)
    except BrokenPipeError:
        # Nobody reads stdout any more (`| head`): end quietly, and keep Python from flushing into it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(ExitCode.FAILED) from None
    except BirnnError as error:
        _fail(command, "error", error.code, str(error), ExitCode.FAILED, as_json=as_json)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        message = f"{where}{error.strerror or error}"
        _fail(command, "error", "os", message, ExitCode.FAILED, as_json=as_json)


def _fail(
    command: str, status: str, code: str, message: str, exit_code: int, *, as_json: bool
) -> NoReturn:
    from birnn_cli import console

    console.note(f"birnn {command}: {message}")
    if as_json:
        error = {"code": code, "message": message}
        console.result_json({"command": command, "status": status, "error": error})
    raise typer.Exit(exit_code)


def _finite(value: float | None) -> float | None:
    """Refuse what a comparison lets through: not-a-number and infinity."""
    if value is not None and not abs(value) < float("inf"):
        raise typer.BadParameter(f"{value} is not a finite number.")
    return value


def _positive(value: float | None) -> float | None:
    if value is not None and not 0 < value < float("inf"):
        raise typer.BadParameter(f"{value} is not a finite number above 0.")
    return value


def _value(help_text: str, **limits: Any) -> Any:
    """An option that overrides one of the recipe's values."""
    return typer.Option(
        help=help_text, show_default=False, rich_help_panel="In place of the recipe's", **limits
    )


@app.command()
def train(
    recipe: Annotated[
        RecipeName | None,
        typer.Option(help="How to learn.", show_default="notebook"),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="auto (MNIST, else strokes), mnist, fashion-mnist, kmnist, qmnist, emnist-digits, "
            "emnist-letters, strokes (drawn by birnn itself), or a folder with one subfolder of "
            "images a class.",
            show_default="auto",
        ),
    ] = None,
    data_dir: DataDir = None,
    reader: Annotated[
        Reader | None,
        typer.Option(
            help="How a folder's pictures are read: digit finds the ink, plain makes them grey and "
            "28 by 28.",
            show_default="digit",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="The run folder.", show_default="runs/<recipe>-<number>"),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run in --output, or with the newest interrupted one under runs/.",
        ),
    ] = False,
    save_every: Annotated[float, typer.Option(help="Seconds between saves.", callback=_positive)] = 2.0,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Fixes first weights, order and dropout.", min=0, max=LARGEST, show_default="0"
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="auto, cpu, cuda, cuda:N or mps.", show_default="auto"),
    ] = None,
    samples: Annotated[
        int | None,
        _value("Go on while step × batch size is below it: images seen.", min=1, max=10**12),
    ] = None,
    batch_size: Annotated[int | None, _value("Images a step.", min=1, max=1_000_000)] = None,
    learning_rate: Annotated[float | None, _value("Adam's.", callback=_positive)] = None,
    beta1: Annotated[float | None, _value("Adam's decay of the mean.", min=0, max=0.999999)] = None,
    beta2: Annotated[
        float | None, _value("Adam's decay of the mean square.", min=0, max=0.999999)
    ] = None,
    epsilon: Annotated[
        float | None, _value("Adam's, where TensorFlow adds it.", callback=_positive)
    ] = None,
    hidden_size: Annotated[
        int | None, _value("Units of each direction.", min=1, max=LIMITS["hidden_size"])
    ] = None,
    layers: Annotated[
        int | None, _value("Bidirectional layers.", min=1, max=LIMITS["num_layers"])
    ] = None,
    readout: Annotated[
        Readout | None,
        _value("last (the last row), states (both final states), pool (mean and max of all rows)."),
    ] = None,
    dropout: Annotated[
        float | None, _value("Share of units dropped between layers.", min=0, max=0.99)
    ] = None,
    forget_bias: Annotated[float | None, _value("Added to the forget gate.", callback=_finite)] = None,
    head_std: Annotated[
        float | None, _value("Spread of the head's first weights.", callback=_positive)
    ] = None,
    display_step: Annotated[
        int | None, _value("Steps between rows of metrics.", min=1, max=LARGEST)
    ] = None,
    validate_step: Annotated[
        int | None, _value("Steps between validations; 0: at the end.", min=0, max=LARGEST)
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Learn to read digits; save checkpoints as it goes."""
    given = locals()
    overrides = {
        field.name: given[field.name] for field in fields(Recipe) if given[field.name] is not None
    }
    with _reporting("train", as_json=as_json):
        from birnn_cli import console, session

        request = session.Request(
            recipe=recipe,
            overrides=overrides,
            dataset=dataset,
            data_dir=data_dir,
            reader=reader,
            output=output,
            resume=resume,
            seed=seed,
            device=device,
            save_every=save_every,
        )
        with console.download_progress(quiet=quiet) as report:
            run = session.open_session(request, report, console.warn)
        if isinstance(run, session.Session):
            if not quiet:
                console.note(f"training on {run.config.dataset}, {run.config.device}, in {run.folder}")
            console.TrainDisplay(run, quiet=quiet).show(run.steps())
            done = run.result()
        else:
            console.note(f"the run in {run.run} is finished: nothing to resume")
            done = run
        if as_json:
            console.result_json({"command": "train", "status": "ok", **asdict(done)})
        else:
            console.show_training(done)


@app.command("eval")
def evaluate(
    samples: Annotated[
        int | None,
        typer.Option("--samples", "-n", min=1, help="How many of the first images.", show_default="128"),
    ] = None,
    whole: Annotated[bool, typer.Option("--all", help="All images of the split.")] = False,
    split: Annotated[Literal["test", "validation"], typer.Option(help="Which images.")] = "test",
    dataset: Annotated[
        str | None,
        typer.Option(help="Another data set than the one it was trained on.", show_default="the run's"),
    ] = None,
    data_dir: DataDir = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="End with exit code 3 below it.", show_default=False),
    ] = None,
    checkpoint: CheckpointPath = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Score a network on the first images of the test set, or on all of them."""
    if whole and samples is not None:
        raise typer.BadParameter("--all and --samples exclude each other.")
    with _reporting("eval", as_json=as_json):
        from birnn_cli import console, evaluation, runs
        from birnn_cli.data import datasets

        path, network = runs.find_checkpoint(checkpoint, console.note)
        config = network.about.config
        name = dataset or config.dataset
        own_reader = None if name in datasets.NAMES else config.reader
        with console.download_progress(quiet=quiet) as report:
            data = datasets.open_data_set(
                name, data_dir or datasets.default_data_dir(), own_reader, report
            )
        if samples is None and not whole:
            samples = min(DEFAULT_EVAL_SAMPLES, data.size(split))
        images, labels = data.load(split, samples)
        started = time.perf_counter()
        with console.counting(len(images), "reading", quiet=quiet) as progress:
            scores = evaluation.score(network, data, images, labels, progress)
        below = min_accuracy is not None and scores.accuracy < min_accuracy
        if below:
            shortfall = f"accuracy {scores.accuracy} is below --min-accuracy {min_accuracy}"
            console.note(f"birnn eval: {shortfall}")
        if as_json:
            values = {
                "command": "eval",
                "status": "below-minimum" if below else "ok",
                "checkpoint": str(path),
                "dataset": data.name,
                "split": split,
                **asdict(scores),
                "seconds": time.perf_counter() - started,
            }
            if below:
                values["error"] = {"code": "below-minimum", "message": shortfall}
            console.result_json(values)
        else:
            console.show_evaluation(scores, f"{path} on {data.name}, {split} images")
    if below:
        raise typer.Exit(ExitCode.BELOW_MINIMUM)


@app.command()
def predict(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="Pictures, folders of pictures, or - for one picture on stdin."
        ),
    ],
    top_k: Annotated[int, typer.Option(min=1, help="How many labels to name.")] = 1,
    invert: Annotated[
        Literal["auto", "yes", "no"],
        typer.Option(help="yes: ink is darker than paper; no: lighter; auto: find out."),
    ] = "auto",
    preview: Annotated[
        bool, typer.Option("--preview", help="Show what the network reads, 28 by 28.")
    ] = False,
    save_input: Annotated[
        Path | None,
        typer.Option(help="A folder for what the network reads, as PNG.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="A file for the answers as JSON Lines.", show_default=False),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write into outputs that exist already.")
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Threads that read files.", show_default="the cores"),
    ] = None,
    checkpoint: CheckpointPath = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON Lines: an object a picture.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no notes.")] = False,
) -> None:
    """Say which digit each picture shows."""
    failed = False
    with _reporting("predict", as_json=as_json), ExitStack() as opened:
        from birnn_cli import console, prediction, runs

        _, network = runs.find_checkpoint(checkpoint, _silent if quiet else console.note)
        saver = prediction.InputSaver(save_input, force=force) if save_input else None
        lines = opened.enter_context(_open_output(output, force=force)) if output else None
        answers = prediction.predict(
            network, prediction.find_inputs(paths), top_k=top_k, invert=invert, jobs=jobs
        )
        for answer in answers:
            failed |= answer.status == "error"
            values = console.prediction_json(answer)
            if as_json:
                console.result_json(values)
            else:
                console.result(console.prediction_line(answer))
            if lines is not None:
                lines.write(json.dumps(values) + "\n")
                lines.flush()
            if answer.pixels is not None and saver is not None:
                saver.save(answer)
            if answer.pixels is not None and preview:
                console.show_preview(answer.source.path, answer.pixels)
    if failed:
        raise typer.Exit(ExitCode.FAILED)


def _open_output(path: Path, *, force: bool) -> TextIO:
    """Open a new file for answers; one that exists is refused unless forced."""
    try:
        return path.open("w" if force else "x", encoding="utf-8")
    except FileExistsError:
        raise OutputExistsError(
            f"{path} exists already: name another --output, or add --force to replace it"
        ) from None


def _silent(_: str) -> None:
    """Say nothing."""
