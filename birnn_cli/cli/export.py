"""`birnn export`: write a network to a file that works without birnn."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from birnn_cli.cli.exits import reporting
from birnn_cli.cli.options import AsJson, CheckpointPath, Quiet, option


def export(
    file: Annotated[Path, typer.Argument(help="The file to write.", metavar="FILE")],
    file_format: Annotated[
        Literal["onnx", "html"] | None,
        option(
            "onnx: for other programs; html: a page to draw on.",
            "--format",
            default="by the file's ending",
        ),
    ] = None,
    force: Annotated[bool, option("Replace the file if it exists.", "--force")] = False,
    checkpoint: CheckpointPath = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a network to a file that works without birnn: ONNX, or a page to draw on."""
    with reporting("export", as_json=as_json) as results:
        from birnn_cli import files
        from birnn_cli.cli import console
        from birnn_cli.export import export
        from birnn_cli.runs import folders

        path, network = folders.find_checkpoint(checkpoint, console.note_unless(quiet))
        files.check_output(file, "file", force=force, inputs=[path])
        written = export(network, file, file_format)
        size = file.stat().st_size
        results |= {"checkpoint": str(path), "file": str(file), "format": written, "bytes": size}
        if not as_json:
            console.result(f"{file}: {written}, {size:,} bytes")
