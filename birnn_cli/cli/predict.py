"""`birnn predict`: say which digit each picture shows."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from birnn_cli.cli.exits import ExitCode, reporting
from birnn_cli.cli.options import (
    CheckpointPath,
    Shard,
    option,
    parse_shard,
)

if TYPE_CHECKING:
    pass


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
        option("Read the I-th of N shards alone.", default=False, metavar="I/N", parser=parse_shard),
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
            from birnn_cli.cli import explanation

            explanation.check_target(explain, paths, several=several, force=force)
        _, network = folders.find_checkpoint(checkpoint, console.note_unless(quiet))
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
                explanation.show_explanation(explain, network, answer)
    if num_several and not quiet:
        console.note(f"several digits in {num_several:,}: --several reads each of them")
    if failed:
        raise typer.Exit(ExitCode.FAILED)
