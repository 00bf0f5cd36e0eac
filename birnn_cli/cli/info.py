"""`birnn info`: say what a checkpoint is."""

from typing import TYPE_CHECKING

from birnn_cli.cli.exits import reporting
from birnn_cli.cli.options import (
    AsJson,
    CheckpointPath,
    Quiet,
    silent,
)

if TYPE_CHECKING:
    pass


def info(checkpoint: CheckpointPath = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Say what a checkpoint is: its network, how and on what it learned, how good it is."""
    with reporting("info", as_json=as_json):
        from birnn_cli.cli import console
        from birnn_cli.runs import folders
        from birnn_cli.runs.checkpoint import describe

        values = describe(*folders.find_checkpoint(checkpoint, silent if quiet else console.note))
        if as_json:
            console.result_json({"command": "info", "status": "ok", **values})
        else:
            console.show_info(values)
