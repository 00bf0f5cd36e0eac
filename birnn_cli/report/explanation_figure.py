"""An explanation as one picture, drawn by matplotlib."""

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from birnn_cli.explanation import Explanation
from birnn_cli.network.architecture import NUM_ROWS
from birnn_cli.report.figures import FROM_WHITE, STYLE, to_png

# Of more classes than these a picture shows the likeliest alone.
MAX_CLASSES = 12
# Of rows that speak for the prediction, and of those against it.
FOR, AGAINST = "C0", "C1"
# The axis of the drops reaches at least this far, in nats, or rounding errors would fill it.
SMALLEST_AXIS = 1e-3


@style.context(STYLE, after_reset=True)
def draw(explanation: Explanation, title: str) -> bytes:
    """The explanation as a PNG file, 1210 pixels wide, under a title of plain text.

    Its four panels share the axis of rows.
    """
    figure = Figure(figsize=(11, 5.4), dpi=110, layout="constrained")
    figure.suptitle(title, fontsize=15)
    picture, first_rows, last_rows, drops = figure.subplots(
        1, 4, sharey=True, width_ratios=(1.55, 1, 1, 0.8)
    )
    for axes in (picture, first_rows, last_rows):
        axes.grid(visible=False)
    picture.imshow(explanation.pixels, cmap="gray", vmin=0, vmax=255, aspect="auto")
    picture.set(title="What the network reads", xlabel="column of pixels", ylabel="row of pixels, t")
    picture.set(xticks=range(0, NUM_ROWS, 3), yticks=range(0, NUM_ROWS, 3))
    shown = shown_classes(explanation)
    names = [explanation.classes[index] for index in shown]
    framed = shown.index(explanation.predicted)
    panels = {first_rows: ("Rows 0 to t alone", explanation.first_rows)}
    panels[last_rows] = ("Rows t to 27 alone", explanation.last_rows)
    for axes, (heading, probabilities) in panels.items():
        heat = axes.imshow(probabilities[:, shown], cmap=FROM_WHITE, vmin=0, vmax=1, aspect="auto")
        axes.set(title=heading, xlabel="class")
        axes.set_xticks(range(len(names)), names)
        if max(map(len, names)) > 2:
            axes.tick_params(axis="x", rotation=90)
        frame = Rectangle((framed - 0.5, -0.5), 1, NUM_ROWS, fill=False, linewidth=1.5, clip_on=False)
        axes.add_patch(frame)
    figure.colorbar(
        heat, ax=[first_rows, last_rows], location="bottom", label="probability", shrink=0.7, aspect=40
    )
    _draw_drops(drops, explanation)
    for axes in (first_rows, last_rows, drops):
        axes.tick_params(axis="y", left=False)
    return to_png(figure)


def shown_classes(explanation: Explanation) -> list[int]:
    """The indices of the classes that are drawn, in order: all, or the likeliest 12.

    The predicted class is among them. The likeliest are those with the largest probabilities in any
    part of the picture.
    """
    likely = explanation.first_rows.max(axis=0) + explanation.last_rows.max(axis=0)
    likely[explanation.predicted] = np.inf
    return sorted((-likely).argsort(kind="stable")[:MAX_CLASSES].tolist())


def _draw_drops(axes: Axes, explanation: Explanation) -> None:
    """Draw a bar for each row: what the prediction loses without it."""
    drops = explanation.drops
    colours = [FOR if drop > 0 else AGAINST for drop in drops]
    axes.barh(range(NUM_ROWS), drops, color=colours, height=0.8)
    axes.set_xlim(min(1.05 * drops.min(), -SMALLEST_AXIS / 10), max(1.05 * drops.max(), SMALLEST_AXIS))
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_title("All rows but t")
    axes.set_xlabel(f"drop of log p({explanation.label}), nats\n← against    for →")
    axes.grid(visible=False, axis="y")
