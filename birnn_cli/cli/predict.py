"""`birnn predict`: say which digit each picture shows."""

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from birnn_cli.cli.exits import ExitCode, reporting
from birnn_cli.cli.options import (
    CheckpointPath,
    Shard,
    Threads,
    choice,
    flag,
    number,
    option,
    parse_shard,
)
from birnn_cli.cores import limit_reading_threads
from birnn_cli.errors import ConfigError, UsageError
from birnn_cli.optional import PACKAGES

if TYPE_CHECKING:
    from birnn_cli.prediction import Prediction

TERMINAL = Path("-")  # as the file of --explain
ONE_PICTURE = "--explain is for one picture, found several: name one of them"
# Progress is shown from this many pictures on: fewer are read in no time.
MIN_PROGRESS = 100
MAX_NAMES = 3  # of pictures of which further pages were left out


def predict(
    paths: Annotated[
        list[str],
        typer.Argument(help="Pictures, folders of them, or - for one on stdin.", metavar="PATH"),
    ],
    top_k: Annotated[
        int,
        option("How many labels to name.", default=1, metavar="N", parser=number(int, 1)),
    ] = 1,
    invert: Annotated[
        Literal["auto", "yes", "no"],
        option(
            "Ink is darker than paper (yes), lighter (no).",
            default="auto",
            metavar="WORD",
            **choice("auto", "yes", "no"),
        ),
    ] = "auto",
    preview: Annotated[
        bool, flag("Show the 28 by 28 pixels that the network reads.", "--preview")
    ] = False,
    save_input: Annotated[
        Path | None, option("A folder for what the network reads, as PNG.", metavar="DIR")
    ] = None,
    save_stages: Annotated[
        Path | None, option("A folder for the stages of reading each picture, as PNG.", metavar="DIR")
    ] = None,
    explain: Annotated[
        Path | None,
        option(
            "A PNG file that explains one picture's prediction row by row; - shows it here.",
            metavar="FILE",
        ),
    ] = None,
    several: Annotated[
        bool, flag("Read several digits side by side as one number.", "--several")
    ] = False,
    output: Annotated[
        Path | None, option("A file for the predictions: .jsonl or .csv.", metavar="FILE")
    ] = None,
    force: Annotated[bool, flag("Write into outputs that exist already.", "--force")] = False,
    skip_existing: Annotated[
        bool, flag("Add to --output what it does not hold yet.", "--skip-existing")
    ] = False,
    shard: Annotated[
        Shard | None,
        option("Read only the I-th of N equal parts.", metavar="I/N", parser=parse_shard),
    ] = None,
    jobs: Annotated[
        int | None,
        option(
            "Processes that read files.",
            default="the cores",
            metavar="N",
            parser=number(int, 1, 1024),
        ),
    ] = None,
    threads: Threads = None,
    checkpoint: CheckpointPath = None,
    as_json: Annotated[bool, flag("Print JSON Lines: one object per picture.", "--json")] = False,
    quiet: Annotated[bool, flag("Print no notes.", "--quiet", "-q")] = False,
) -> None:
    """Say which digit each picture shows."""
    if skip_existing and output is None:
        raise typer.BadParameter("--skip-existing is about a file: add --output FILE")
    if (
        save_input is not None
        and save_stages is not None
        and save_input.resolve() == save_stages.resolve()
    ):
        raise typer.BadParameter("--save-input and --save-stages need a folder each.")
    if as_json and (preview or explain == TERMINAL):
        shown = "--preview" if preview else "--explain -"
        raise typer.BadParameter(f"{shown} is for people, --json for programs: leave one of them out.")
    if explain is not None:
        if several:
            raise typer.BadParameter("--explain is for one prediction: leave --several out")
        if len(paths) > 1:
            raise typer.BadParameter(ONE_PICTURE)
        if explain != TERMINAL and explain.suffix.lower() != ".png":
            raise typer.BadParameter(
                f"--explain {explain}: expected a file ending in .png, or - for the terminal"
            )
    limit_reading_threads(threads)
    with reporting("predict", as_json=as_json), ExitStack() as opened:
        from birnn_cli import prediction
        from birnn_cli.cli import console, outputs
        from birnn_cli.reader.inputs import find_pictures, take_shard
        from birnn_cli.runs import folders

        if preview or explain is not None:
            from birnn_cli import explanation
            from birnn_cli.cli import pixels  # these import Rich, which plain text does not need

        note = console.note_unless(quiet)
        model, network = folders.find_checkpoint(checkpoint, note)
        if several and any(len(label) > 1 for label in network.config.classes):
            raise UsageError(
                "--several is for classes of one character, as digits are; found "
                f"{max(network.config.classes, key=len)!r}: leave it out"
            )
        left_out: list[str] = []
        sources = list(find_pictures(paths, left_out.append))
        if shard is not None:
            sources = take_shard(sources, *shard)
        pictures = [each.path for each in sources]
        inputs = [str(model), *paths, *pictures]
        if explain is not None and len(pictures) > 1:
            raise ConfigError(ONE_PICTURE)
        if explain is not None and explain != TERMINAL:
            outputs.check_explanation(explain, inputs, force=force)
        # Naming a folder covers the pictures in it, except where a link among them leads elsewhere.
        links = filter(os.path.islink, pictures if save_input or save_stages else ())
        named = [str(model), *paths, *links]
        saved_input, saved_stages = (
            outputs.PictureFolder(folder, name, force=force, inputs=named) if folder else None
            for folder, name in ((save_input, "--save-input"), (save_stages, "--save-stages"))
        )
        file = None
        if output is not None:
            file = opened.enter_context(
                outputs.open_predictions(output, inputs, force=force, skip_existing=skip_existing)
            )
            for saved in filter(None, (saved_input, saved_stages)):
                for source in sources:  # an earlier run has saved these under their names
                    if source.path in file.done:
                        saved.take_name(source)
            sources = [each for each in sources if each.path not in file.done]
            if pictures and not sources:
                held = (
                    "the one picture is" if len(pictures) == 1 else f"all {len(pictures):,} pictures are"
                )
                note(f"nothing to do: {held} in {output} already")

        options = prediction.Options(
            top_k=top_k, invert=invert, several=several, stages=saved_stages is not None
        )
        answered_by = "shipped" if model == folders.SHIPPED else str(model)
        failed, num_several = file is not None and file.any_failed, 0
        pages: list[tuple[str, int]] = []
        show: Callable[[str], None] = console.result
        if len(sources) >= MIN_PROGRESS and not (quiet or preview):
            from birnn_cli.cli import progress  # it imports Rich, which few pictures do not need

            show = opened.enter_context(progress.predictions(len(sources)))
        found = prediction.predict(network, sources, options, jobs)
        for each in opened.enter_context(closing(found)):
            failed |= each.status == "error"
            num_several += each.num_digits > 1
            if each.num_pages > 1:
                pages.append((each.source.path, each.num_pages - 1))
            values = to_json(each, answered_by, several=several)
            if file is not None:
                file.add(values)
            show(json.dumps(values) if as_json else str(each))
            if saved_input is not None:
                saved_input.save(each.source, each.pixels)
            if saved_stages is not None:
                saved_stages.save(each.source, each.stages)
            if preview and each.pixels is not None:
                pixels.show_preview(each.pixels)
            if explain is not None and each.pixels is not None:
                explained = explanation.explain(network, each.pixels)
                if explain == TERMINAL:
                    pixels.show_explanation(explained)
                else:
                    outputs.write_explanation(explain, explained, each)
    if num_several and not several:
        seem = "1 picture seems" if num_several == 1 else f"{num_several:,} pictures seem"
        note(f"{seem} to hold several digits; try --several")
    if missing := describe_left_out(left_out, pages):
        console.warn(missing)
    if failed:
        raise typer.Exit(ExitCode.FAILED)


def to_json(prediction: "Prediction", checkpoint: str, *, several: bool) -> dict[str, Any]:
    """A prediction as the JSON object of `birnn predict --json`; `several` adds its digits and marks."""
    error = prediction.error
    digits = [
        {"label": each.label, "probability": each.probability, "status": each.status, "box": each.box}
        for each in prediction.digits
    ]
    return {
        "path": prediction.source.path,
        "status": prediction.status,
        "label": prediction.label,
        "probability": prediction.probability,
        "top": [vars(each) for each in prediction.top],
        "error": {"code": error[0], "message": error[1]} if error else None,
        "checkpoint": checkpoint,
        **({"digits": digits, "marks": [vars(each) for each in prediction.marks]} if several else {}),
    }


def describe_left_out(paths: Sequence[str], pages: Sequence[tuple[str, int]]) -> str | None:
    """What was left out, in a line; None if nothing was.

    `paths` are the files and linked folders that `find_images` leaves out, `pages` the paths of pictures
    and how many further pages or frames each has.
    """
    from birnn_cli.reader.decode import HEIC_ENDINGS

    parts = []
    linked = sum(map(os.path.isdir, paths))
    others = Counter(Path(path).suffix.lower() for path in paths if not os.path.isdir(path))  # noqa: PTH112
    if others:
        total = sum(others.values())
        kinds = ", ".join(f"{name or 'no ending'} {n:,}" for name, n in sorted(others.items()))
        parts.append(f"{total:,} {'file' if total == 1 else 'files'} of other kinds ({kinds})")
    if linked:
        parts.append(
            f"{linked:,} linked {'folder' if linked == 1 else 'folders'}: name what is to be read"
        )
    if pages:
        total = sum(further for _, further in pages)
        names = ", ".join(path for path, _ in pages[:MAX_NAMES]) + ", …" * (len(pages) > MAX_NAMES)
        parts.append(
            f"{total:,} further {'page or frame' if total == 1 else 'pages or frames'} of {names}"
        )
    if any(name in HEIC_ENDINGS for name in others):
        parts.append(f"for HEIC: pip install {PACKAGES['heic']}")
    return f"left out: {'; '.join(parts)}" if parts else None
