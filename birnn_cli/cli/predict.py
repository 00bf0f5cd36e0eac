"""`birnn predict`: say which digit each picture shows."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from birnn_cli.cli.exits import ExitCode, reporting
from birnn_cli.cli.options import CheckpointPath, Shard, option, parse_shard

if TYPE_CHECKING:
    from birnn_cli.reader.inputs import Source


def predict(
    paths: Annotated[
        list[str],
        typer.Argument(help="Pictures, folders of them, or - for one on stdin.", metavar="PATH..."),
    ],
    top_k: Annotated[int, option("How many labels to name.", metavar="N", min=1)] = 1,
    invert: Annotated[
        Literal["auto", "yes", "no"], option("Ink is darker than paper (yes), lighter (no).")
    ] = "auto",
    preview: Annotated[bool, option("Show the 28×28 that the network reads.", "--preview")] = False,
    save_input: Annotated[Path | None, option("A folder for what the network reads, as PNG.")] = None,
    save_stages: Annotated[
        Path | None, option("A folder for the stages of reading each picture, as PNG.")
    ] = None,
    explain: Annotated[
        Path | None,
        option(
            "A PNG file that explains one picture's prediction row by row; - shows it here.",
            metavar="FILE",
        ),
    ] = None,
    several: Annotated[
        bool, option("Read several digits side by side as one number.", "--several")
    ] = False,
    output: Annotated[Path | None, option("A file for the predictions as JSON Lines.")] = None,
    force: Annotated[bool, option("Write into outputs that exist already.", "--force")] = False,
    skip_existing: Annotated[
        bool, option("Add to --output what it does not hold yet.", "--skip-existing")
    ] = False,
    shard: Annotated[
        Shard | None, option("Read only the I-th of N equal parts.", metavar="I/N", parser=parse_shard)
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
    with reporting("predict", as_json=as_json), ExitStack() as opened:
        from birnn_cli import prediction
        from birnn_cli.cli import console, outputs, predictions, progress
        from birnn_cli.reader.inputs import find_pictures
        from birnn_cli.runs import folders

        if explain is not None:
            from birnn_cli.cli import explanation

            explanation.check_target(explain, paths, several=several, force=force)
        _, network = folders.find_checkpoint(checkpoint, console.note_unless(quiet))
        saved_input = outputs.PictureFolder(save_input, "--save-input", force=force)
        saved_stages = outputs.PictureFolder(save_stages, "--save-stages", force=force)
        file = None
        if output is not None:
            file = opened.enter_context(
                outputs.open_predictions(output, paths, force=force, skip_existing=skip_existing)
            )

        def to_read() -> "Iterator[Source]":
            found = find_pictures(paths, shard)
            return found if file is None else (each for each in found if each.path not in file.done)

        stages = save_stages is not None
        options = prediction.Options(top_k=top_k, invert=invert, several=several, stages=stages)
        failed, num_several = file is not None and file.any_failed, 0
        show = opened.enter_context(progress.answers(0 if quiet else sum(1 for _ in to_read())))
        found = prediction.predict(network, to_read(), options, jobs)
        for each in opened.enter_context(closing(found)):
            failed |= each.status == "error"
            num_several += each.num_digits > 1
            line = json.dumps(predictions.to_json(each, several=several))
            if file is not None:
                file.add(line)
            show(line if as_json else str(each))
            saved_input.save(each.source, each.pixels)
            saved_stages.save(each.source, each.stages)
            if preview and each.pixels is not None:
                predictions.show_preview(each.source.path, each.pixels)
            if explain is not None and each.pixels is not None:
                explanation.show_explanation(explain, network, each)
    if num_several and not several and not quiet:
        console.note(f"several digits in {num_several:,}: --several reads each of them")
    if failed:
        raise typer.Exit(ExitCode.FAILED)
