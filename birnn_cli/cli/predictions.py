"""Predictions on the terminal: as JSON, and what the network read as blocks of light and dark."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from birnn_cli.cli.console import pixel_text, result
from birnn_cli.optional import PACKAGES
from birnn_cli.reader.decode import HEIC_ENDINGS

if TYPE_CHECKING:
    from birnn_cli.prediction import Prediction
    from birnn_cli.reader.geometry import Pixels


MAX_NAMES = 3  # of pictures of which further pages were left out


def to_json(prediction: "Prediction", checkpoint: str, *, several: bool) -> dict[str, Any]:
    """A prediction as the JSON object of `birnn predict --json`; `several` adds its digits and marks."""
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
        "checkpoint": checkpoint,
        **({"digits": digits, "marks": [vars(each) for each in prediction.marks]} if several else {}),
    }


def left_out(paths: Sequence[str], pages: Sequence[tuple[str, int]]) -> str | None:
    """What was left out, in a line; None if nothing was.

    `paths` are the files and linked folders that `find_images` leaves out, `pages` the paths of pictures
    and how many further pages or frames each has.
    """
    parts = []
    linked = sum(map(os.path.isdir, paths))
    others = Counter(Path(path).suffix.lower() for path in paths if not os.path.isdir(path))  # noqa: PTH112
    if others:
        total = sum(others.values())
        kinds = ", ".join(f"{name or 'no ending'} {n:,}" for name, n in sorted(others.items()))
        parts.append(f"{total:,} {'file' if total == 1 else 'files'} of other kinds ({kinds})")
    if linked:
        parts.append(
            f"{linked:,} linked {'folder' if linked == 1 else 'folders'}: name what is to be read"
        )
    if pages:
        total = sum(further for _, further in pages)
        names = ", ".join(path for path, _ in pages[:MAX_NAMES]) + ", …" * (len(pages) > MAX_NAMES)
        parts.append(
            f"{total:,} further {'page or frame' if total == 1 else 'pages or frames'} of {names}"
        )
    if any(name in HEIC_ENDINGS for name in others):
        parts.append(f"for HEIC: pip install {PACKAGES['heic']}")
    return f"left out: {'; '.join(parts)}" if parts else None


def show_preview(pixels: "Pixels") -> None:
    """Show what the network read, (28, width) uint8, on stdout: two rows of pixels a line of blocks."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if console.color_system is None or console.options.ascii_only:  # a pipe, NO_COLOR, no half blocks
        for row in pixels.tolist():
            result(pixel_text(row))
        return
    for left in range(0, pixels.shape[1], console.width):  # what does not fit goes below
        part = pixels[:, left : left + console.width]
        for upper, lower in zip(part[::2], part[1::2], strict=True):
            line = Text()
            for top, bottom in zip(upper.tolist(), lower.tolist(), strict=True):
                line.append("▀", f"rgb({top},{top},{top}) on rgb({bottom},{bottom},{bottom})")
            console.print(line)
