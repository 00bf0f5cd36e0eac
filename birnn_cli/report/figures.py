"""The figures of a report, drawn by matplotlib as PNG files; on dark pages, page.html inverts them.

The colours are Okabe and Ito's, which colour-blind people can tell apart; none carries a meaning alone.
"""

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from cycler import cycler
from matplotlib import style
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from birnn_cli.evaluation import CALIBRATION_BINS, wilson_interval
from birnn_cli.report.findings import MAX_MISTAKES, Bin, Findings

# In inches: at this width letters of 9.5 points can be read on a phone.
WIDTH = 4.6
# Of more classes than these the cells have no numbers, and not every class its name.
MAX_NAMED_CLASSES = 40
# Longer names are shortened in figures; the page's tables have them whole.
MAX_NAME = 12

BLUE = "#0072b2"
STYLE: dict[Any, Any] = {
    "figure.dpi": 180,
    "font.size": 9.5,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=[BLUE, "#d55e00", "#007a5a"]),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#dddddd",
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "text.parse_math": False,  # a class may be named $1$
}

FROM_WHITE = LinearSegmentedColormap.from_list("", ["white", BLUE])  # of fractions, 0 to 1


class Picture(NamedTuple):
    """A figure as a PNG file, and its width on a page in CSS pixels."""

    png: bytes
    width: int


@style.context(STYLE, after_reset=True)  # the user's matplotlibrc changes nothing, and is kept
def draw_all(report: Findings) -> dict[str, Picture | None]:
    """The report's pictures by the names of their files; None where there is nothing to draw."""
    figures = {
        "confusion.png": confusion_matrix(report),
        "classes.png": class_errors(report),
        "reliability.png": reliability_diagram(report.bins),
        "curves.png": training_curves(report.curves) if report.curves else None,
        "mistakes.png": mistakes_sheet(report) if report.mistakes else None,
    }
    return {
        name: Picture(to_png(figure), round(figure.get_figwidth() * 100)) if figure else None
        for name, figure in figures.items()
    }


def to_png(figure: Figure) -> bytes:
    """A figure as a PNG file; the same figure gives the same bytes."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # letters that the font lacks are drawn as boxes
        figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def shorten(name: str) -> str:
    """A class's name, short enough for a figure."""
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…"


def confusion_matrix(report: Findings) -> Figure:
    """True classes down, predictions across: counts, coloured by their fraction of the row."""
    counts, names = np.array(report.scores.confusion), [shorten(name) for name in report.names]
    longest, has_numbers = max(map(len, names)), len(names) <= MAX_NAMED_CLASSES
    side = max(WIDTH, 0.3 * len(names) + 0.08 * longest + 0.7) if has_numbers else 8.0
    figure = Figure((side, side), layout="constrained")
    axes = figure.add_subplot(xlabel="prediction", ylabel="true class")
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    norm = PowerNorm(0.35, 0, 1)  # so that one in a thousand can be seen beside the diagonal
    axes.imshow(fractions, cmap=FROM_WHITE, norm=norm)
    axes.grid(visible=False)
    every = -(-len(names) // MAX_NAMED_CLASSES)
    axes.set_xticks(range(0, len(names), every), names[::every], rotation=90 if longest > 3 else 0)
    axes.set_yticks(range(0, len(names), every), names[::every])
    if has_numbers:
        size = 9 if counts.max() < 1000 and len(names) <= 12 else 7.5
        for i, j in np.argwhere(counts).tolist():
            colour = "white" if norm(float(fractions[i, j])) > 0.6 else "black"
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour, fontsize=size)
    return figure


def reliability_diagram(bins: Sequence[Bin]) -> Figure:
    """Accuracy against confidence, bin by bin, and how many images are in each bin."""
    figure = Figure((WIDTH, WIDTH), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.35])
    confidence, accuracy = np.array([(each.confidence, each.correct / each.n) for each in bins]).T
    bars = _error_bars(accuracy, [(each.correct, each.n) for each in bins])
    above.plot([0, 1], [0, 1], "k--", linewidth=1, label="perfect calibration")
    above.errorbar(confidence, accuracy, bars, fmt="o", capsize=2.5, label="bin, 95 % interval")
    above.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="accuracy")
    figure.legend(loc="outside upper left", ncols=2)
    width, counts = 1 / CALIBRATION_BINS, [each.n for each in bins]
    below.bar([each.low for each in bins], counts, 0.85 * width, align="edge")
    below.set(yscale="log", ylim=(0.5, max(counts) * 60), xlabel="confidence", ylabel="images")
    for each in bins:
        x, y, angle = each.low + 0.43 * width, each.n * 1.4, 90 if each.n >= 1000 else 0
        below.text(x, y, f"{each.n:,}", rotation=angle, ha="center", va="bottom", fontsize=7.5)
    for axis in (above.xaxis, above.yaxis):
        axis.set_major_formatter(_percent_tick)
    below.yaxis.set(major_locator=LogLocator(100), major_formatter="{x:,.0f}", minor_formatter="")
    return figure


def class_errors(report: Findings) -> Figure:
    """The error rate of each class with its 95 % interval; of many classes, the largest error rates."""
    scores = report.scores
    shown = [(1 - each.correct / each.n, k) for k, each in enumerate(scores.per_class) if each.n]
    if len(shown) > MAX_NAMED_CLASSES:
        shown = sorted(shown, key=lambda each: -each[0])[:MAX_NAMED_CLASSES]
    rates, classes = np.array([rate for rate, _ in shown]), [scores.per_class[k] for _, k in shown]
    figure = Figure((WIDTH, max(2.2, 0.27 * len(shown) + 1)), layout="constrained")
    axes = figure.add_subplot(xlabel="error rate, with 95 % interval")
    rows = range(len(shown))
    bars = _error_bars(rates, [(each.n - each.correct, each.n) for each in classes])
    axes.barh(rows, rates, 0.7, xerr=bars, capsize=2.5, error_kw={"ecolor": "black", "elinewidth": 1})
    overall = 1 - scores.accuracy
    axes.axvline(overall, linestyle="--", color="black", linewidth=1)
    text = f"all: {100 - scores.accuracy * 100:.2f} %"
    axes.text(overall, 1.005, text, transform=axes.get_xaxis_transform(), va="bottom")
    axes.set_yticks(rows, [shorten(report.names[k]) for _, k in shown])
    axes.set(xlim=(0, None), ylim=(len(shown) - 0.4, -0.6))
    axes.xaxis.set_major_formatter(_percent_tick)
    right = axes.secondary_yaxis("right")
    labels = [f"{r * 100:.1f} % of {each.n:,}" for r, each in zip(rates, classes, strict=True)]
    right.set_yticks(rows, labels)
    right.tick_params(length=0)
    right.spines["right"].set_visible(False)
    return figure


def training_curves(curves: Mapping[str, Mapping[int, float]]) -> Figure:
    """Loss and accuracy against the number of training images seen."""
    figure = Figure((WIDTH, 1.25 * WIDTH), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    for axes, name in zip(panels, ("loss", "accuracy"), strict=True):
        for label, line, size, zorder in (
            ("original notebook", "C1x--", 3.5, 2),
            ("training batch", "C0.-", 3.5, 2),
            ("validation", "C2D", 7, 3),
        ):
            if points := curves.get(f"{name}, {label}"):
                x, y = zip(*points.items(), strict=True)
                axes.plot(x, y, line, label=label, linewidth=1, markersize=size, zorder=zorder)
        axes.set(ylabel="loss, nats per image" if name == "loss" else name)
    panels[0].set_yscale("log", nonpositive="mask")
    ticks = LogLocator(subs=(1, 2, 5))  # 0.05, 0.1, 0.2, ...
    panels[0].yaxis.set(major_locator=ticks, major_formatter="{x:g}", minor_formatter="")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
    panels[1].yaxis.set_major_formatter(_percent_tick)
    panels[1].xaxis.set(label_text="training images seen", major_formatter="{x:,.0f}")
    panels[1].locator_params(axis="x", nbins=5)
    return figure


def mistakes_sheet(report: Findings) -> Figure:
    """Images whose prediction is wrong, ten a row, each with its number, true class and prediction."""
    mistakes = report.mistakes[:MAX_MISTAKES]
    across, height = min(10, len(mistakes)), 1.3
    down = -(-len(mistakes) // across)
    figure = Figure((across, height * down))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for place, each in enumerate(mistakes):
        x, y = place % across, height * (place // across)
        extent = (x + 0.05, x + 0.95, y + 1.25, y + 0.35)
        axes.imshow(report.outputs.images[each.number], "gray", vmin=0, vmax=255, extent=extent)
        true, predicted = (shorten(report.names[k]) for k in (each.label, each.top[0][0]))
        axes.text(x + 0.5, y + 0.32, f"{each.number}: {true}\nas {predicted}", ha="center", fontsize=6.5)
    axes.set(xlim=(0, across), ylim=(height * down, 0), aspect="auto")
    return figure


def _percent_tick(fraction: float, _: object = None) -> str:
    return f"{fraction * 100:.1f} %".replace(".0 %", " %")


def _error_bars(
    fractions: NDArray[np.float64], counts: Sequence[tuple[int, int]]
) -> NDArray[np.float64]:
    """How far Wilson's intervals of fractions, k of n, reach down and up: (2, fractions), 0 or more."""
    low, high = np.array([wilson_interval(*each) for each in counts]).T
    return np.maximum([fractions - low, high - fractions], 0)
