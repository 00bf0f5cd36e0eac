"""An explanation for people: a picture (matplotlib, an extra), or rows in the terminal (Rich)."""

import io
import warnings
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from birnn_cli.cli.console import note
from birnn_cli.errors import ConfigError, OutputExistsError
from birnn_cli.explanation import Explanation, explain
from birnn_cli.files import write_atomically
from birnn_cli.optional import require
from birnn_cli.prediction import Prediction, find_pictures
from birnn_cli.runs.checkpoint import Checkpoint
from birnn_cli.text import percent, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

TERMINAL = Path("-")
# More classes than these are not told apart in a picture: the likeliest of them are shown.
MAX_CLASSES = 12
# Blue for, orange against: apart for the colour-blind, and in grey print.
FOR, AGAINST = "#08519c", "#f16913"
DOTS_PER_INCH = 110
# In nats: the bars' scale is no finer, or rounding would look like a reason.
FINEST = 1e-3


def check(target: Path, paths: Sequence[str], *, several: bool, force: bool) -> None:
    """Refuse what would end without an explanation, before any picture is read.

    Args:
        target: The PNG file, or `-` for the terminal.
        paths: What is to be read.
        several: Whether each digit of a picture is to be answered by itself.
        force: Whether a file may be replaced.

    Raises:
        ConfigError: More than one picture, a target that cannot be written, or no matplotlib.
        OutputExistsError: The file exists, and nothing is forced.
    """
    if several:
        raise ConfigError("--explain is for one answer: leave --several out")
    pictures = list(islice(find_pictures(paths), 2))
    if len(pictures) > 1:
        raise ConfigError("--explain is for one picture, found several: name one of them")
    if target == TERMINAL:
        return
    if target.suffix.lower() != ".png":
        raise ConfigError(f"--explain {target}: expected a file ending in .png, or - for the terminal")
    if target.exists() and not force:
        raise OutputExistsError(
            f"{target} exists already: name another --explain, or add --force to replace it"
        )
    own = [Path(picture.path) for picture in pictures]
    if target.exists() and any(path.exists() and target.samefile(path) for path in own):
        raise ConfigError(f"--explain {target} is the picture itself: name another file")
    if not target.parent.is_dir():
        raise ConfigError(f"--explain {target}: there is no folder {target.parent}, so make it first")
    require("matplotlib", "report")


def view(target: Path, network: Checkpoint, answer: Prediction) -> None:
    """Explain an answer that has pixels, in a PNG file or, for `-`, in the terminal."""
    assert answer.pixels is not None
    explanation = explain(network, answer.pixels)
    if target == TERMINAL:
        show(explanation)
    else:
        doubt = "?" if answer.status == "unsure" else ""
        best = answer.top[0]
        write_atomically(target, draw(explanation, f"{best.label}{doubt} ({percent(best.probability)})"))


def draw(explanation: Explanation, answer: str) -> bytes:
    """A PNG file, 1210 pixels wide, in which all that stands side by side is of the same row.

    Args:
        explanation: What is shown.
        answer: The answer in words, for the title.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.4), dpi=DOTS_PER_INCH, layout="constrained")
    name = explanation.classes[explanation.answer]
    figure.suptitle(f"How the answer {answer} comes about", fontsize=15, parse_math=False)
    picture, downwards, upwards, falls = figure.subplots(
        1, 4, sharey=True, width_ratios=(1.55, 1, 1, 0.8)
    )
    picture.imshow(explanation.pixels, cmap="gray", vmin=0, vmax=255, aspect="auto")
    picture.set(title="What the network reads", xlabel="column of pixels", ylabel="row of pixels, t")
    picture.set(xticks=range(0, 28, 3), yticks=range(0, 28, 3))
    shown = _shown(explanation)
    names = [explanation.classes[label] for label in shown]
    place = shown.index(explanation.answer)
    for axes, likely, title in (
        (downwards, explanation.downwards, "Rows 0 to t alone"),
        (upwards, explanation.upwards, "Rows t to 27 alone"),
    ):
        heat = _heat(axes, likely[:, shown], names, place)
        axes.set_title(title)
    figure.colorbar(
        heat, ax=[downwards, upwards], location="bottom", label="probability", shrink=0.7, aspect=40
    )
    values = explanation.falls
    falls.barh(range(28), values, color=[FOR if value > 0 else AGAINST for value in values], height=0.8)
    falls.set_xlim(min(1.05 * values.min(), -FINEST / 10), max(1.05 * values.max(), FINEST))
    falls.axvline(0, color="black", linewidth=0.8)
    falls.set(title="All rows but t", xlabel=f"fall of log p({name}), nats\n← against    for →")
    falls.xaxis.label.set_parse_math(False)
    falls.grid(axis="x", color="0.9")
    falls.set_axisbelow(True)
    for axes in (downwards, upwards, falls):
        axes.tick_params(axis="y", left=False)
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a label in a script that the font lacks
        figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def _shown(explanation: Explanation) -> list[int]:
    """The classes that are shown, in their order: all, or the answer and the likeliest of the parts."""
    likely = explanation.downwards.max(axis=0) + explanation.upwards.max(axis=0)
    likely[explanation.answer] = np.inf
    return sorted((-likely).argsort(kind="stable")[:MAX_CLASSES].tolist())


def _heat(axes: "Axes", likely: NDArray[np.float64], names: list[str], answer: int) -> "AxesImage":
    """Probabilities (28, classes), rows down, classes across, the answer's framed."""
    from matplotlib.patches import Rectangle

    heat = axes.imshow(likely, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(names)), names, parse_math=False)
    if max(map(len, names)) > 2:
        axes.tick_params(axis="x", rotation=90)
    axes.set_xlabel("class")
    axes.add_patch(Rectangle((answer - 0.5, -0.5), 1, 28, fill=False, linewidth=1.5, clip_on=False))
    return heat


def show(explanation: Explanation) -> None:
    """The same on stderr, a line a row; plain text in a pipe or where NO_COLOR asks for it."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    names = [printable(name)[:4] for name in explanation.classes]
    width = max(map(len, names))

    def likeliest(likely: NDArray[np.float64]) -> str:
        return f"{names[likely.argmax()]:<{width}} {likely.max():>4.0%}"

    note("answers to rows 0..t alone and to rows t..27 alone; by how many nats the log-")
    note(f"probability of {names[explanation.answer]} falls without row t (above 0: the row is for it)")
    note(f" t  {'0..t':>{width + 5}}  {'t..27':>{width + 5}}  {'fall':>8}")
    for row, levels in enumerate(explanation.pixels.tolist()):
        fall = explanation.falls[row]
        parts = f"{likeliest(explanation.downwards[row])}  {likeliest(explanation.upwards[row])}"
        text = f"{row:>2}  {parts}  {round(fall, 4) + 0.0:+8.4f}"  # no -0
        if console.color_system is None:  # two characters a pixel, fuller is lighter
            drawn = "".join(2 * " .:-=+*#%@"[level * 9 // 255] for level in levels)
            note(f"{text}  {drawn}".rstrip())
            continue
        line = Text(f"{text}  ", "bold" if fall == explanation.falls.max() > 0 else "")
        for level in levels:
            line.append("  ", f"on rgb({level},{level},{level})")
        # The margin of a picture may be cut where the terminal is narrow.
        console.print(line, no_wrap=True, overflow="crop")
