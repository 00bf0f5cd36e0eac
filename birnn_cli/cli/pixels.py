"""What the network reads, drawn on the terminal: pixels alone, or row by row beside an explanation."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from birnn_cli.cli.console import result
from birnn_cli.explanation import Explanation
from birnn_cli.reader.geometry import Pixels
from birnn_cli.text import printable


def plain_row(levels: Iterable[int], width: int = 2) -> str:
    """A row of grey levels, 0 to 255, as text: `width` characters a pixel, the fuller the lighter."""
    return "".join(width * " .:-=+*#%@"[level * 9 // 255] for level in levels).rstrip()


def show_preview(pixels: Pixels) -> None:
    """Show what the network read, (28, width) uint8, on stdout: two rows of pixels a line of blocks."""
    console = Console()
    if console.color_system is None or console.options.ascii_only:  # a pipe, NO_COLOR, no half blocks
        for row in pixels.tolist():
            result(plain_row(row))
        return
    for left in range(0, pixels.shape[1], console.width):  # what does not fit goes below
        part = pixels[:, left : left + console.width]
        for upper, lower in zip(part[::2], part[1::2], strict=True):
            line = Text()
            for top, bottom in zip(upper.tolist(), lower.tolist(), strict=True):
                line.append("▀", f"rgb({top},{top},{top}) on rgb({bottom},{bottom},{bottom})")
            console.print(line)


def show_explanation(explanation: Explanation) -> None:
    """Show a line for each row on stdout; plain text in a pipe or where NO_COLOR asks for it."""
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
            result(f"{text}  {plain_row(levels, pixel)}".rstrip())
            continue
        line = Text(f"{text}  ", "bold" if drop == largest > 0 else "")
        for level in levels:
            line.append(" " * pixel, f"on rgb({level},{level},{level})")
        console.print(line, no_wrap=True, overflow="crop")
