"""A report's pictures: drawn by matplotlib, for light and dark pages, as PNG files.

Colours are Okabe and Ito's, which the colour-blind tell apart; none of them speaks alone.
"""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from cycler import cycler
from matplotlib import rc_context, rcdefaults, rcParams
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from birnn_cli.evaluation import CALIBRATION_BINS, wilson_interval
from birnn_cli.report.findings import Bin, Curves, Mistake, Subject

# In inches: at this width letters of 9.5 points are still read on a phone.
WIDTH = 4.6
DPI = 180
# More classes than these are drawn without their numbers, and not all of their names.
MAX_NAMED_CLASSES = 40
# Longer names are cut: the page's tables have them whole.
MAX_NAME = 12

_SHARED = {
    "font.size": 9.5,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "text.parse_math": False,  # a class may be named $1$
}
_INKED = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")


def _style(paper: str, ink: str, grid: str, *colours: str) -> dict[Any, Any]:
    """Settings of matplotlib for a page of these colours."""
    papers = dict.fromkeys(("figure.facecolor", "axes.facecolor"), paper)
    cycle = {"grid.color": grid, "axes.prop_cycle": cycler(color=colours)}
    return {**_SHARED, **papers, **dict.fromkeys(_INKED, ink), **cycle}


_STYLES = (
    _style("white", "black", "#dddddd", "#0072b2", "#d55e00", "#007a5a"),
    _style("#16181c", "#e8e8e8", "#3a3d44", "#56b4e9", "#e69f00", "#2ecc9f"),
)


class Picture(NamedTuple):
    """A drawing as two PNG files, and its width on a page, in pixels of CSS."""

    light: bytes
    dark: bytes
    width: int


def render(draw: Callable[[], Figure]) -> Picture:
    """Draw for light and for dark pages; matplotlib's settings are as before afterwards."""
    files = []
    with rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name in letters that the font lacks: boxes
        for style in _STYLES:
            rcdefaults()  # whatever the user's matplotlibrc says
            rcParams.update(style)
            figure, file = draw(), io.BytesIO()
            figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
            files.append(file.getvalue())
    return Picture(files[0], files[1], round(figure.get_figwidth() * 100))


def cut(name: str) -> str:
    """A class's name, short enough for a picture."""
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…"


def confusion(subject: Subject) -> Figure:
    """True classes down, answers across: counts, coloured by their share of the row."""
    counts, names = np.array(subject.scores.confusion), [cut(name) for name in subject.names]
    longest, named = max(map(len, names)), len(names) <= MAX_NAMED_CLASSES
    side = max(WIDTH, 0.3 * len(names) + 0.08 * longest + 0.7) if named else 8.0
    figure = Figure((side, side), layout="constrained")
    axes = figure.add_subplot(xlabel="answer", ylabel="true class")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    norm = PowerNorm(0.35, 0, 1)  # makes one in a thousand visible beside the diagonal
    colours = LinearSegmentedColormap.from_list("", [rcParams["figure.facecolor"], "C0"])
    axes.imshow(shares, cmap=colours, norm=norm)
    axes.grid(visible=False)
    every = -(-len(names) // MAX_NAMED_CLASSES)
    axes.set_xticks(range(0, len(names), every), names[::every], rotation=90 if longest > 3 else 0)
    axes.set_yticks(range(0, len(names), every), names[::every])
    if named:
        size = 9 if counts.max() < 1000 and len(names) <= 12 else 7.5
        for i, j in np.argwhere(counts).tolist():
            colour = rcParams["figure.facecolor" if norm(float(shares[i, j])) > 0.6 else "text.color"]
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour, fontsize=size)
    return figure


def reliability_diagram(bins: Sequence[Bin]) -> Figure:
    """Accuracy against confidence, bin by bin, and how many images are in each."""
    figure = Figure((WIDTH, WIDTH), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.35])
    confidence, accuracy = np.array([(each.confidence, each.correct / each.n) for each in bins]).T
    reach = _reach(accuracy, [(each.correct, each.n) for each in bins])
    above.plot([0, 1], [0, 1], "--", color=rcParams["text.color"], linewidth=1, label="as right as sure")
    above.errorbar(confidence, accuracy, reach, fmt="o", capsize=2.5, label="a bin, 95 % interval")
    above.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), ylabel="right")
    figure.legend(loc="outside upper left", ncols=2)
    width, counts = 1 / CALIBRATION_BINS, [each.n for each in bins]
    below.bar([each.low for each in bins], counts, 0.85 * width, align="edge")
    below.set(yscale="log", ylim=(0.5, max(counts) * 60), xlabel="confidence", ylabel="images")
    for each in bins:
        x, turn = each.low + 0.43 * width, 90 if each.n >= 1000 else 0
        below.text(x, each.n * 1.4, f"{each.n:,}", rotation=turn, ha="center", va="bottom", fontsize=7.5)
    for axis in (above.xaxis, above.yaxis):
        axis.set_major_formatter(_percent)
    below.yaxis.set(major_locator=LogLocator(100), major_formatter="{x:,.0f}", minor_formatter="")
    return figure


def class_errors(subject: Subject) -> Figure:
    """The share of each class that is read wrongly, with its 95 % interval; of many, the largest."""
    scores = subject.scores
    shown = [(1 - each.correct / each.n, k) for k, each in enumerate(scores.per_class) if each.n]
    if len(shown) > MAX_NAMED_CLASSES:
        shown = sorted(shown, key=lambda each: -each[0])[:MAX_NAMED_CLASSES]
    wrong, classes = np.array([share for share, _ in shown]), [scores.per_class[k] for _, k in shown]
    figure = Figure((WIDTH, max(2.2, 0.27 * len(shown) + 1)), layout="constrained")
    axes = figure.add_subplot(xlabel="read wrongly, with 95 % interval")
    rows, ink = range(len(shown)), rcParams["text.color"]
    reach = _reach(wrong, [(each.n - each.correct, each.n) for each in classes])
    axes.barh(rows, wrong, 0.7, xerr=reach, capsize=2.5, error_kw={"ecolor": ink, "elinewidth": 1})
    axes.axvline(1 - scores.accuracy, linestyle="--", color=ink, linewidth=1)
    axes.set_yticks(rows, [cut(subject.names[k]) for _, k in shown])
    axes.set(xlim=(0, None), ylim=(len(shown) - 0.4, -0.6))
    axes.xaxis.set_major_formatter(_percent)
    right = axes.secondary_yaxis("right")
    right.set_yticks(rows, [f"{s * 100:.1f} % of {c.n:,}" for s, c in zip(wrong, classes, strict=True)])
    right.tick_params(length=0)
    right.spines["right"].set_visible(False)
    text = f"all: {100 - scores.accuracy * 100:.2f} %"
    axes.text(1 - scores.accuracy, 1.005, text, transform=axes.get_xaxis_transform(), va="bottom")
    return figure


def learning(curves: Mapping[str, Curves]) -> Figure:
    """Loss and accuracy over the images seen."""
    figure = Figure((WIDTH, 1.25 * WIDTH), layout="constrained")
    panels = figure.subplots(2, 1, sharex=True)
    for axes, (name, each) in zip(panels, curves.items(), strict=True):
        for points, style, size, height, label in (
            (each.notebook, "C1x--", 3.5, 2, "notebook's, printed"),
            (each.batch, "C0.-", 3.5, 2, "own batch"),
            (each.validation, "C2D", 7, 3, "held out"),
        ):
            if points:
                xy = zip(*points, strict=True)
                axes.plot(*xy, style, label=label, linewidth=1, markersize=size, zorder=height)
        axes.set(ylabel="loss, nats an image" if name == "loss" else name)
    panels[0].set_yscale("log", nonpositive="mask")
    ticks = LogLocator(subs=(1, 2, 5))  # 0.05, 0.1, 0.2, ...
    panels[0].yaxis.set(major_locator=ticks, major_formatter="{x:g}", minor_formatter="")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
    panels[1].yaxis.set_major_formatter(_percent)
    panels[1].xaxis.set(label_text="images seen", major_formatter="{x:,.0f}")
    panels[1].locator_params(axis="x", nbins=5)
    return figure


def sheet(subject: Subject, mistakes: Sequence[Mistake]) -> Figure:
    """Images that were read wrongly, in rows of ten, each with its number, truth and answer."""
    across, height = min(10, len(mistakes)), 1.3
    down = -(-len(mistakes) // across)
    figure = Figure((across, height * down))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for place, each in enumerate(mistakes):
        x, y = place % across, height * (place // across)
        where = (x + 0.05, x + 0.95, y + 1.25, y + 0.35)
        axes.imshow(subject.reading.images[each.number], "gray", vmin=0, vmax=255, extent=where)
        truth, answer = (cut(subject.names[k]) for k in (each.label, each.top[0][0]))
        axes.text(x + 0.5, y + 0.32, f"{each.number}: {truth}\nas {answer}", ha="center", fontsize=6.5)
    axes.set(xlim=(0, across), ylim=(height * down, 0), aspect="auto")
    return figure


def _percent(share: float, _: object = None) -> str:
    return f"{share * 100:.1f} %".replace(".0 %", " %")


def _reach(shares: NDArray[np.float64], counts: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """How far Wilson's intervals of shares, k of n, reach to both sides: (2, shares), 0 or more."""
    low, high = np.array([wilson_interval(*each) for each in counts]).T
    return np.maximum([shares - low, high - shares], 0)
