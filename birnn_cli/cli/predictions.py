"""Predictions on the terminal: as JSON, and what the network read as blocks of light and dark."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from birnn_cli.cli.console import note, pixel_text

if TYPE_CHECKING:
    from birnn_cli.prediction import Pixels, Prediction


def to_json(prediction: "Prediction", *, several: bool) -> dict[str, Any]:
    """A prediction as the JSON object of `birnn predict --json`; `several` adds its digits."""
    error = prediction.error
    digits = [
        {"label": each.label, "probability": each.probability, "status": each.status, "box": each.box}
        for each in prediction.digits
    ]
    return {
        "path": prediction.source.path,
        "status": prediction.status,
        "label": prediction.label,
        "probability": prediction.probability,
        "top": [vars(each) for each in prediction.top],
        "error": {"code": error[0], "message": error[1]} if error else None,
        **({"digits": digits} if several else {}),
    }


def show_preview(path: str, pixels: "Pixels") -> None:
    """Show what the network read, (28, width) uint8, on stderr: two rows of pixels a line of blocks."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    note(Path(path).name)
    if console.color_system is None:  # a pipe, or NO_COLOR
        for row in pixels.tolist():
            note(pixel_text(row))
        return
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        line = Text()
        for top, bottom in zip(upper.tolist(), lower.tolist(), strict=True):
            line.append("▀", f"rgb({top},{top},{top}) on rgb({bottom},{bottom},{bottom})")
        console.print(line, no_wrap=True, overflow="crop")
