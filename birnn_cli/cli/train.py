"""`birnn train`: learn to read digits, and save checkpoints as it goes."""

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from birnn_cli.cli.exits import reporting
from birnn_cli.cli.options import (
    AsJson,
    DataDir,
    Quiet,
    option,
    positive,
    with_recipe_values,
)
from birnn_cli.reader import Reader
from birnn_cli.runs.recipes import LARGEST, RecipeName

if TYPE_CHECKING:
    pass


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
