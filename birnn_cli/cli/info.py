"""`birnn info`: describe a checkpoint."""

from typing import Any

from birnn_cli.cli.console import note_unless, result, show_validation
from birnn_cli.cli.exits import reporting
from birnn_cli.cli.options import AsJson, CheckpointPath, Quiet
from birnn_cli.runs.recipes import RECIPES


def info(checkpoint: CheckpointPath = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Describe a checkpoint: its network, how it was trained and on what, how good it is."""
    with reporting("info", as_json=as_json) as results:
        from birnn_cli.runs import folders
        from birnn_cli.runs.checkpoint import describe

        results |= describe(*folders.find_checkpoint(checkpoint, note_unless(quiet)))
        if not as_json:
            _show(results)


def _show(values: dict[str, Any]) -> None:
    """Show on stdout what `checkpoint.describe` returns."""
    network, layers = values["network"], values["network"]["num_layers"]
    stacked = "1 bidirectional layer" if layers == 1 else f"{layers} bidirectional layers"
    step = "a row and a column" if network["columns"] else "a row"
    result(f"checkpoint  {values['checkpoint']}, {values['bytes']:,} bytes")
    result(f"sha256      {values['sha256']}, verified")
    result(f"network     {stacked} of {network['hidden_size']} units per direction, {step} a step,")
    result(f"            read-out {network['readout']}; {values['parameters']:,} parameters")
    # The recipe of a checkpoint may be one that this version does not have.
    defaults = vars(RECIPES[values["recipe"]]) if values["recipe"] in RECIPES else {}
    own = values["values"].items()
    changed = [f"{name} {value}" for name, value in own if (name, value) not in defaults.items()]
    result("recipe      " + ", ".join([values["recipe"], f"seed {values['seed']}", *changed]))
    result(f"data set    {values['dataset']}: {' '.join(values['classes'])}; reader {values['reader']}")
    state = "finished" if values["complete"] else "not finished"
    result(f"trained     {values['step']:,} steps, {values['samples']:,} images, {state}")
    if values["validation"]:
        show_validation(values["validation"])
    versions = ", ".join(f"{name} {version}" for name, version in values["versions"].items())
    result(f"made with   {versions}")
    result(f"saved       {values['saved_at'][:16].replace('T', ' ')} UTC, on {values['device']}")
