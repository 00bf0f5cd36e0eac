"""What a command writes: notes and warnings on stderr, results on stdout, as text or JSON."""

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

from birnn_cli.runs.recipes import RECIPES
from birnn_cli.text import percent, printable

if TYPE_CHECKING:  # only their types are needed here, and one of them would load torch
    from birnn_cli.evaluation import Evaluation
    from birnn_cli.training.loop import TrainResult

BLOCKS, SPARKLINE_WIDTH = "▁▂▃▄▅▆▇█", 40
# A confusion matrix of more classes does not fit 80 columns: the most frequent confusions are listed.
MAX_TABLE_CLASSES = 12
MAX_LISTED_CONFUSIONS = 10


def note(message: str) -> None:
    """Write a line on stderr."""
    sys.stderr.write(f"{printable(message)}\n")
    sys.stderr.flush()


def note_unless(quiet: bool) -> Callable[[str], None]:
    """The function `note` or, after `--quiet`, one that writes nothing."""
    return (lambda message: None) if quiet else note


def warn(message: str) -> None:
    """Write a warning on stderr; `--quiet` does not silence it."""
    note(f"warning: {message}")


def result(text: str) -> None:
    """Write a line of the result on stdout, at once."""
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()


def result_json(values: dict[str, Any]) -> None:
    """Write a JSON object as one line on stdout, at once."""
    result(json.dumps(values, allow_nan=False))


def sparkline(values: Sequence[float], width: int = SPARKLINE_WIDTH) -> str:
    """Numbers in their order as blocks, the lowest ▁ and the highest █; many are averaged in groups."""
    width = min(len(values), width)
    edges = [k * len(values) // width for k in range(width + 1)]
    means = [sum(values[start:end]) / (end - start) for start, end in pairwise(edges)]
    low, span = min(means), (max(means) - min(means)) or 1.0
    return "".join(BLOCKS[round((mean - low) / span * (len(BLOCKS) - 1))] for mean in means)


def show_curves(rows: Sequence[Mapping[str, float]]) -> None:
    """Show first value, curve and last value of each metric in the rows of `metrics.jsonl`."""
    width = max(1, min(SPARKLINE_WIDTH, get_terminal_size().columns - 40))  # beside the numbers
    for name in ("loss", "accuracy", "validation_loss", "validation_accuracy"):
        values = [row[name] for row in rows if name in row]
        if len(values) < 2:
            continue
        is_accuracy = name.endswith("accuracy")
        first, last = (percent(x) if is_accuracy else f"{x:.4f}" for x in (values[0], values[-1]))
        # a loss is drawn on a logarithmic scale
        curve = values if is_accuracy else [math.log(max(value, 1e-9)) for value in values]
        label = name.replace("_", " ")
        result(f"{label:<20}{first:>8} {sparkline(curve, width):<{width}} {last}")


def show_training(done: "TrainResult") -> None:
    """Show the result of a run on stdout."""
    result(f"trained     {done.recipe} on {done.dataset}: {done.steps:,} steps, {done.samples:,} images")
    if done.train_seconds:
        seconds, rate = done.train_seconds, done.samples_per_second
        result(f"speed       {seconds:.1f} s, {rate:,.0f} images/s on {done.device}")
    if done.final:
        accuracy = percent(done.final["accuracy"])
        result(f"training    loss {done.final['loss']:.4f}, accuracy {accuracy} of the last batch")
    if done.validation:
        _show_validation(done.validation)
    result(f"checkpoint  {done.checkpoint}")


def show_evaluation(scores: "Evaluation", heading: str) -> None:
    """Show scores on stdout, with a confusion matrix where it fits the terminal."""
    low, high = scores.ci95
    result(heading)
    result(
        f"accuracy    {percent(scores.accuracy, 2)}: {scores.correct:,} of {scores.n:,} right "
        f"(95 % interval {percent(low)} to {percent(high)})"
    )
    result(f"loss        {scores.loss:.4f} nats per image, calibration error {percent(scores.ece, 2)}")
    if len(scores.per_class) <= MAX_TABLE_CLASSES and _show_confusion(scores):
        return
    for each in scores.per_class:
        accuracy = "–" if each.accuracy is None else percent(each.accuracy)
        result(f"{each.label:>10}  {each.correct:,} of {each.n:,} right, {accuracy}")
    confusions = (
        (n, i, j) for i, row in enumerate(scores.confusion) for j, n in enumerate(row) if n and i != j
    )
    for n, i, j in sorted(confusions, reverse=True)[:MAX_LISTED_CONFUSIONS]:
        result(f"{n:>6,} × {scores.per_class[i].label} read as {scores.per_class[j].label}")


def _show_confusion(scores: "Evaluation") -> bool:
    """Show the confusion matrix where it fits the width there is; returns whether it did."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    title = "rows: true, columns: predicted"
    table = Table(box=box.SIMPLE, padding=(0, 0, 0, 1), title=title, title_style="")
    table.add_column("", justify="right", max_width=11)
    for each in scores.per_class:
        table.add_column(Text(printable(each.label)[:4]), justify="right", no_wrap=True)
    table.add_column("right", justify="right", no_wrap=True)
    for i, (each, row) in enumerate(zip(scores.per_class, scores.confusion, strict=True)):
        cells = [
            Text(str(n) if n else "·", "bold" if i == j else "red" if n else "dim")
            for j, n in enumerate(row)
        ]
        accuracy = "–" if each.accuracy is None else percent(each.accuracy)
        table.add_row(Text(printable(each.label)), *cells, accuracy)
    console = Console()
    if console.measure(table, options=console.options.update(width=1000)).maximum > console.width:
        return False
    console.print(table)
    return True


def show_info(values: dict[str, Any]) -> None:
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
        _show_validation(values["validation"])
    versions = ", ".join(f"{name} {version}" for name, version in values["versions"].items())
    result(f"made with   {versions}")
    result(f"saved       {values['saved_at'][:16].replace('T', ' ')} UTC, on {values['device']}")


def _show_validation(scores: Mapping[str, float]) -> None:
    accuracy, n = percent(scores["accuracy"], 2), scores["n"]
    result(f"validation  loss {scores['loss']:.4f}, accuracy {accuracy} of {n:,} images")
