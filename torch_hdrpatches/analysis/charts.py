"""Draws the charts of a report as SVG whose lines and text take the page's colour, for light and dark mode."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from ..errors import MissingExtraError
from ..frames import Box, Plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#123456"
"""Stands for the page's text colour; no other part of a chart has this colour."""
BLUE, ORANGE, RED = "#3b8ea5", "#e09f3e", "#d1495b"
"""Of middle lightness: readable on white and on black, as are all of these."""
FORMATS = (BLUE, ORANGE, "#7a9e57", "#9d6fb0", RED, "#8a8d91")
REFUSALS = (RED, ORANGE, "#9d6fb0", "#8a8d91", "#7a9e57", "#c2703d")
MANY = 300
"""Number of windows above which the scale of their counts is logarithmic."""


def scene_changes(
    accepted: Sequence[float], refused: Mapping[str, Sequence[float]], threshold: float, unit: str
) -> str:
    """Histogram of the stability scores of accepted windows and, by reason, of refused ones, with the threshold."""
    figure, axes = _chart(5.6, 2.7)
    values = [list(accepted), *map(list, refused.values())]
    top = max([threshold * 1.2, *(score for scores in values for score in scores)])
    edges = [top * (number / 48) ** 2 for number in range(49)]
    colours = [BLUE, *(colour for colour, _ in zip(cycle(REFUSALS), refused, strict=False))]
    axes.hist(values, edges, stacked=True, color=colours, label=["accepted", *refused])
    _mark(axes, threshold, f"threshold {threshold:g}", "--")
    # Square root, as most accepted windows have scores near 0.
    axes.set_xscale("function", functions=(lambda scores: np.sqrt(np.maximum(scores, 0)), np.square))
    axes.set(xlabel=f"scene change of a window ({unit})", ylabel="windows", xlim=(0, top))
    axes.set_xticks([top * share for share in (0, 0.01, 0.1, 0.25, 0.5, 1)])
    axes.xaxis.set_major_formatter("{x:.2g}")
    if len(accepted) > MANY:
        axes.set_yscale("symlog", linthresh=10)  # or a few refused windows would be invisible
        axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(frameon=False, labelcolor=INK, loc="upper left", bbox_to_anchor=(1, 1))
    return _svg(figure)


def light(edges: Plane, pixels: Plane, sdr: Plane, peak: float) -> str:
    """Histogram of luminance between ``edges`` in cd/m2, and the tone curve's SDR codes at ``edges``."""
    figure, axes = _chart(4.6, 2.5)
    share = 100 * pixels / max(1, pixels.sum())
    axes.stairs(share, edges, fill=True, color=BLUE, alpha=0.75)
    axes.set(xscale="log", xlim=(edges[0], edges[-1]), xlabel="luminance (cd/m²)", ylabel="pixels (%)", ylim=(0, None))
    codes = axes.twinx()
    _style(codes)
    codes.plot(edges, sdr, color=ORANGE, linewidth=2)
    codes.set(ylim=(0, 262), yticks=(0, 64, 128, 192, 255))
    codes.set_ylabel("SDR code", color=ORANGE)
    if peak:
        _mark(axes, peak, f"peak {peak:g}", ":")
    return _svg(figure)


def crop_density(crops: Sequence[Box], height: int, width: int, active: Collection[Box]) -> str:
    """How many crops cover each part of a frame, and the borders of active pictures, dashed."""
    counts = np.zeros((54, max(1, round(54 * width / height))))
    for top, left, tall, wide in crops:
        counts[_cells(top, tall, height, len(counts)), _cells(left, wide, width, counts.shape[1])] += 1
    figure, axes = _chart(5.2, 3.0)
    axes.grid(visible=False)
    shown = axes.imshow(100 * counts / max(1, len(crops)), extent=(0, width, height, 0), cmap="viridis", vmin=0)
    for top, left, tall, wide in sorted(set(active) - {Box(0, 0, height, width)}):
        right, bottom = left + wide, top + tall
        axes.plot((left, right, right, left, left), (top, top, bottom, bottom, top), color="#fff", ls="--", lw=1)
    axes.set(xlabel="column (pixels)", ylabel="row (pixels)", xlim=(0, width), ylim=(height, 0))
    axes.locator_params(axis="y", nbins=6)
    axes.locator_params(axis="x", nbins=6 if width > height else 2)  # a portrait frame is narrow
    bar = figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.02)
    bar.set_label("crops that cover it (%)", color=INK)
    bar.ax.tick_params(colors=INK)
    bar.outline.set_visible(False)
    return _svg(figure)


def histogram(values: Sequence[float], label: str, bounds: tuple[float, float] | None) -> str:
    """Histogram of a measure, with the bounds within which patches are accepted."""
    figure, axes = _chart(2.8, 1.9)
    axes.hist(list(values), 32, color=BLUE)
    axes.locator_params(nbins=4)
    for bound in bounds or ():
        if np.isfinite(bound) and bound > 0:
            axes.axvline(bound, color=RED, linestyle="--", linewidth=1.5)
    axes.set(xlabel=label, ylabel="samples")
    return _svg(figure)


def formats(counts: Mapping[str, Mapping[str, int]], targets: Mapping[str, int | None]) -> str:
    """Samples of each category by format, with a mark at its target."""
    names = sorted({name for by_format in counts.values() for name in by_format})
    figure, axes = _chart(5.6, 0.9 + 0.38 * len(counts))
    left = np.zeros(len(counts))
    for name, colour in zip(names, cycle(FORMATS), strict=False):
        widths = [by_format.get(name, 0) for by_format in counts.values()]
        axes.barh(range(len(counts)), widths, left=left, color=colour, height=0.62, label=name)
        left += widths
    for row, category in enumerate(counts):
        if target := targets.get(category):
            axes.plot([target, target], [row - 0.42, row + 0.42], color=INK, linewidth=2)
    axes.set(yticks=range(len(counts)), yticklabels=list(counts), xlabel="samples (line: target)")
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color=INK, alpha=0.12)
    axes.tick_params(axis="y", length=0)
    axes.legend(frameon=False, labelcolor=INK, ncols=3, loc="lower left", bbox_to_anchor=(0, 1), fontsize=10)
    return _svg(figure)


def _mark(axes: Axes, value: float, text: str, style: str) -> None:
    axes.axvline(value, color=INK, linestyle=style, linewidth=1)
    axes.text(value, 1.02, text, transform=axes.get_xaxis_transform(), color=INK, ha="center")


def _cells(start: int, length: int, size: int, cells: int) -> slice:
    """The cells of a map that pixels ``start`` to ``start + length`` touch."""
    first = start * cells // size
    return slice(first, max(first + 1, -(-(start + length) * cells // size)))


def _chart(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure, size in inches, without frame and background. Not made by pyplot, which keeps global state."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("a report's charts need matplotlib: pip install 'torch_hdrpatches[report]'") from None
    figure = Figure((width, height), layout="constrained", facecolor="none")
    axes = figure.add_subplot()
    _style(axes)
    axes.grid(axis="y", color=INK, alpha=0.12)
    axes.set_axisbelow(True)
    return figure, axes


def _style(axes: Axes) -> None:
    axes.set_facecolor("none")
    axes.tick_params(colors=INK, labelsize=10)
    axes.spines[:].set_visible(False)
    axes.spines.bottom.set(visible=True, color=INK)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(color=INK, fontsize=11)


def _svg(figure: Figure) -> str:
    import matplotlib as mpl

    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "report", "svg.image_inline": True}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    # The page sets the size. Names that nothing refers to would be repeated in every chart of the page.
    text = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", text))
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    return re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in used else "", text).strip()
