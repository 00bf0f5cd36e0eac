"""`birnn info`: describe a checkpoint."""

from birnn_cli.cli.exits import reporting
from birnn_cli.cli.options import AsJson, CheckpointPath, Quiet


def info(checkpoint: CheckpointPath = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Describe a checkpoint: its network, how it was trained and on what, how good it is."""
    with reporting("info", as_json=as_json) as results:
        from birnn_cli.cli import console
        from birnn_cli.runs import folders
        from birnn_cli.runs.checkpoint import describe

        results |= describe(*folders.find_checkpoint(checkpoint, console.note_unless(quiet)))
        if not as_json:
            console.show_info(results)
