"""`birnn predict --explain`: check its target, and show the explanation there."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from birnn_cli.cli.console import pixel_text, result
from birnn_cli.errors import ConfigError, UsageError
from birnn_cli.explanation import Explanation, explain
from birnn_cli.files import check_output, write_atomically
from birnn_cli.optional import require
from birnn_cli.prediction import Prediction
from birnn_cli.runs.checkpoint import Checkpoint
from birnn_cli.text import percent, printable

TERMINAL = Path("-")


def check_usage(target: Path, paths: Sequence[str], *, several: bool) -> None:
    """Refuse what can never end with an explanation at the target, whatever the files hold."""
    if several:
        raise UsageError("--explain is for one prediction: leave --several out")
    if len(paths) > 1:
        raise UsageError("--explain is for one picture, found several: name one of them")
    if target != TERMINAL and target.suffix.lower() != ".png":
        raise UsageError(f"--explain {target}: expected a file ending in .png, or - for the terminal")


def check_target(target: Path, pictures: Sequence[str], inputs: Sequence[str], *, force: bool) -> None:
    """Refuse, before any picture is read, what would end without an explanation at the target.

    `pictures` are those to explain, `inputs` all that is read.
    """
    if len(pictures) > 1:
        raise ConfigError("--explain is for one picture, found several: name one of them")
    if target == TERMINAL:
        return
    check_output(target, "--explain", force=force, inputs=inputs)
    if not target.parent.is_dir():
        raise ConfigError(f"--explain {target}: there is no folder {target.parent}, so make it first")
    require("matplotlib", "report")


def show_explanation(target: Path, checkpoint: Checkpoint, prediction: Prediction) -> None:
    """Explain a prediction that has pixels, in a PNG file or, for `-`, in the terminal."""
    assert prediction.pixels is not None
    explanation = explain(checkpoint, prediction.pixels)
    if target == TERMINAL:
        print_rows(explanation)
        return
    from birnn_cli.report import explanation_figure

    doubt = "?" if prediction.status == "unsure" else ""
    best = prediction.top[0]
    title = f"Which rows the prediction {best.label}{doubt} ({percent(best.probability)}) comes from"
    write_atomically(target, explanation_figure.draw(explanation, title))


def print_rows(explanation: Explanation) -> None:
    """Print a line for each row on stdout; plain text in a pipe or where NO_COLOR asks for it."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    names = [printable(name)[:4] for name in explanation.classes]
    width = max(map(len, names))

    def likeliest(probabilities: NDArray[np.float64]) -> str:
        return f"{names[probabilities.argmax()]:<{width}} {probabilities.max():>4.0%}"

    label = names[explanation.predicted]
    result("row t: the likeliest class from rows 0..t alone, and from rows t..27 alone;")
    result(f"how far log p({label}) drops without row t, in nats (above 0: the row speaks for {label})")
    result(f" t  {'0..t':>{width + 5}}  {'t..27':>{width + 5}}  {'drop':>8}")
    # Two characters a pixel make a square; a narrow terminal has room for one.
    pixel = 1 if console.is_terminal and console.width < 2 * (width + 5) + 16 + 2 * 28 else 2
    largest = explanation.drops.max()
    for row, levels in enumerate(explanation.pixels.tolist()):
        drop = explanation.drops[row]
        parts = f"{likeliest(explanation.first_rows[row])}  {likeliest(explanation.last_rows[row])}"
        text = f"{row:>2}  {parts}  {round(drop, 4) + 0.0:+8.4f}"  # + 0.0 turns -0 into 0
        if console.color_system is None:
            result(f"{text}  {pixel_text(levels, pixel)}".rstrip())
            continue
        line = Text(f"{text}  ", "bold" if drop == largest > 0 else "")
        for level in levels:
            line.append(" " * pixel, f"on rgb({level},{level},{level})")
        console.print(line, no_wrap=True, overflow="crop")
