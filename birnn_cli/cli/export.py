"""`birnn export`: write a network to a file that works without birnn."""

from pathlib import Path
from typing import Annotated

import typer

from birnn_cli.cli.exits import reporting
from birnn_cli.cli.options import AsJson, CheckpointPath, Quiet, choice, flag, option


def export(
    file: Annotated[Path, typer.Argument(help="The file to write.", metavar="FILE")],
    file_format: Annotated[
        str | None,
        option(
            "onnx: for other programs; html: a page to draw on.",
            "--format",
            default="by the file's ending",
            metavar="NAME",
            **choice("onnx", "html"),
        ),
    ] = None,
    force: Annotated[bool, flag("Replace the file if it exists.", "--force")] = False,
    checkpoint: CheckpointPath = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a network to a file that works without birnn: ONNX, or a page to draw on."""
    with reporting("export", as_json=as_json) as results:
        from birnn_cli import files
        from birnn_cli.cli import console
        from birnn_cli.export import export, format_of
        from birnn_cli.runs import folders

        file_format = format_of(file, file_format)
        path, network = folders.find_checkpoint(checkpoint, console.note_unless(quiet))
        files.check_output(file, "file", force=force, inputs=[path])
        export(network, file, file_format)
        size = file.stat().st_size
        results |= {"checkpoint": str(path), "file": str(file), "format": file_format, "bytes": size}
        if not as_json:
            console.result(f"{file}: {file_format}, {size:,} bytes")
