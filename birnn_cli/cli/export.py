"""`birnn export`: make a file of a network that works without birnn."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from birnn_cli.cli.exits import reporting
from birnn_cli.cli.options import (
    AsJson,
    CheckpointPath,
    Quiet,
    option,
    silent,
)

if TYPE_CHECKING:
    pass


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

        path, network = folders.find_checkpoint(checkpoint, silent if quiet else console.note)
        made = make(network, file, file_format, force=force)
        values = {"file": str(file), "format": made, "bytes": file.stat().st_size}
        if as_json:
            checkpoint_name = {"checkpoint": str(path)}
            console.result_json({"command": "export", "status": "ok", **checkpoint_name, **values})
        else:
            console.result(f"{file}: {made}, {values['bytes']:,} bytes")
