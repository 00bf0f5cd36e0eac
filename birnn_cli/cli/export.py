"""`birnn export`: write a network to a file that works without birnn."""

from pathlib import Path
from typing import Annotated

import typer

from birnn_cli.cli.exits import reporting
from birnn_cli.cli.options import AsJson, CheckpointPath, Quiet, choice, flag, option
from birnn_cli.errors import UsageError


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
        from birnn_cli.cli import console
        from birnn_cli.export.onnx import to_onnx
        from birnn_cli.export.page import to_html
        from birnn_cli.files import check_output, write_atomically
        from birnn_cli.runs import folders

        formats = {"onnx": to_onnx, "html": to_html}
        file_format = file_format or file.suffix.lower().removeprefix(".")
        if file_format not in formats:
            raise UsageError(
                f"{file} says no format by its ending: expected .onnx or .html, or --format onnx or html"
            )
        path, network = folders.find_checkpoint(checkpoint, console.note_unless(quiet))
        check_output(file, "file", force=force, inputs=[path])
        write_atomically(file, formats[file_format](network))
        size = file.stat().st_size
        results |= {"checkpoint": str(path), "file": str(file), "format": file_format, "bytes": size}
        if not as_json:
            console.result(f"{file}: {file_format}, {size:,} bytes")
