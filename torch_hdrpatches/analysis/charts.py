"""The charts of a report as SVG that takes its ink from the page, so that it is right in light and in dark."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MissingExtraError
from ..frames import Box, Plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#123456"
"""Stands for the page's text colour, and appears nowhere else."""
GIVEN, REFUSED, CURVE = "#3b8ea5", "#d1495b", "#e09f3e"
"""Of middle lightness: seen on white and on black."""
MANY = 300
"""Windows above which their counts are shown on a logarithmic scale."""
REFUSALS = ("#d1495b", "#e09f3e", "#9d6fb0", "#8a8d91", "#7a9e57", "#c2703d")
CYCLE = ("#3b8ea5", "#e09f3e", "#7a9e57", "#9d6fb0", "#d1495b", "#8a8d91")


def scene_changes(given: Sequence[float], refused: Mapping[str, Sequence[float]], threshold: float, unit: str) -> str:
    """Histogram of the stability scores of given windows and, by reason, of refused ones, with the threshold."""
    figure, axes = _chart(5.6, 2.7)
    top = max([threshold * 1.2, *given, *(score for scores in refused.values() for score in scores)])
    edges = [top * (number / 48) ** 2 for number in range(49)]
    colours = [GIVEN, *(REFUSALS[index % len(REFUSALS)] for index in range(len(refused)))]
    values = [list(given), *(list(scores) for scores in refused.values())]
    axes.hist(values, edges, stacked=True, color=colours, label=["given", *refused])
    axes.axvline(threshold, color=INK, linestyle="--", linewidth=1)
    axes.text(threshold, 1.02, f"threshold {threshold:g}", transform=axes.get_xaxis_transform(), color=INK, ha="center")
    axes.set_xscale("function", functions=(_root, np.square))  # or what is given would be a sliver at the left
    axes.set(xlabel=f"scene change of a window ({unit})", ylabel="windows", xlim=(0, top))
    axes.set_xticks([top * share for share in (0, 0.01, 0.1, 0.25, 0.5, 1)])
    axes.xaxis.set_major_formatter("{x:.2g}")
    if len(given) > MANY:
        axes.set_yscale("symlog", linthresh=10)  # or the few refused ones could not be seen
        axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(frameon=False, labelcolor=INK, loc="upper left", bbox_to_anchor=(1, 1))
    return _svg(figure)


def light(edges: Plane, pixels: Plane, sdr: Plane, peak: float) -> str:
    """Histogram of luminance between ``edges`` in cd/m2, and the SDR codes at ``edges`` that the tone curve gives."""
    figure, axes = _chart(4.6, 2.5)
    share = 100 * pixels / max(1, pixels.sum())
    axes.stairs(share, edges, fill=True, color=GIVEN, alpha=0.75)
    axes.set(xscale="log", xlim=(edges[0], edges[-1]), xlabel="luminance (cd/m²)", ylabel="pixels (%)", ylim=(0, None))
    other = axes.twinx()
    _plain(other)
    other.plot(edges, sdr, color=CURVE, linewidth=2)
    other.set(ylim=(0, 262), yticks=(0, 64, 128, 192, 255))
    other.set_ylabel("SDR code", color=CURVE)
    if peak:
        axes.axvline(peak, color=INK, linestyle=":", linewidth=1)
        axes.text(peak, 1.02, f"peak {peak:g}", transform=axes.get_xaxis_transform(), color=INK, ha="center")
    return _svg(figure)


def crop_density(crops: Sequence[Box], height: int, width: int, active: Collection[Box]) -> str:
    """How often each place of a frame was inside a crop, and what lies inside black bars, dashed."""
    rows, columns = 54, max(1, round(54 * width / height))
    counts = np.zeros((rows, columns))
    for top, left, tall, wide in crops:
        down, right = slice(*_cells(top, tall, height, rows)), slice(*_cells(left, wide, width, columns))
        counts[down, right] += 1
    figure, axes = _chart(5.2, 3.0)
    axes.grid(visible=False)
    shown = axes.imshow(100 * counts / max(1, len(crops)), extent=(0, width, height, 0), cmap="viridis", vmin=0)
    for top, left, tall, wide in sorted(set(active) - {Box(0, 0, height, width)}):
        x, y = (left, left + wide), (top, top + tall)
        axes.plot((x[0], x[1], x[1], x[0], x[0]), (y[0], y[0], y[1], y[1], y[0]), color="#fff", ls="--", lw=1)
    axes.set(xlabel="column (pixels)", ylabel="row (pixels)", xlim=(0, width), ylim=(height, 0))
    axes.locator_params(axis="y", nbins=6)
    axes.locator_params(axis="x", nbins=6 if width > height else 2)  # a portrait frame leaves little room
    bar = figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.02)
    bar.set_label("crops that hold it (%)", color=INK)
    bar.ax.tick_params(colors=INK)
    bar.outline.set_visible(False)
    return _svg(figure)


def histogram(values: Sequence[float], label: str, bounds: tuple[float, float] | None) -> str:
    """How often a measure has which value, and the bounds within which patches are accepted."""
    figure, axes = _chart(2.8, 1.9)
    axes.hist(list(values), 32, color=GIVEN)
    axes.locator_params(nbins=4)
    for bound in bounds or ():
        if np.isfinite(bound) and bound > 0:
            axes.axvline(bound, color=REFUSED, linestyle="--", linewidth=1.5)
    axes.set(xlabel=label, ylabel="samples")
    return _svg(figure)


def formats(counts: Mapping[str, Mapping[str, int]], targets: Mapping[str, int | None]) -> str:
    """Samples of every category by format, with a mark at its target."""
    names = sorted({name for by_format in counts.values() for name in by_format})
    figure, axes = _chart(5.6, 0.9 + 0.38 * len(counts))
    for row, (category, by_format) in enumerate(counts.items()):
        left = 0
        for index, name in enumerate(names):
            count = by_format.get(name, 0)
            label = name if row == 0 else None
            axes.barh(row, count, left=left, color=CYCLE[index % len(CYCLE)], height=0.62, label=label)
            left += count
        if target := targets.get(category):
            axes.plot([target, target], [row - 0.42, row + 0.42], color=INK, linewidth=2)
    axes.set(yticks=range(len(counts)), yticklabels=list(counts), xlabel="samples (line: target)")
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color=INK, alpha=0.12)
    axes.tick_params(axis="y", length=0)
    axes.legend(frameon=False, labelcolor=INK, ncols=3, loc="lower left", bbox_to_anchor=(0, 1), fontsize=10)
    return _svg(figure)


def _root(values: Plane) -> Plane:
    return np.sqrt(np.maximum(values, 0))


def _cells(start: int, length: int, of: int, cells: int) -> tuple[int, int]:
    return start * cells // of, max(start * cells // of + 1, -(-(start + length) * cells // of))


def _chart(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of so many inches, without frame or background. Never through pyplot: no window, no global state."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("a report's charts need matplotlib: pip install 'torch_hdrpatches[report]'") from None
    figure = Figure((width, height), layout="constrained", facecolor="none")
    axes = figure.add_subplot()
    _plain(axes)
    axes.grid(axis="y", color=INK, alpha=0.12)
    axes.set_axisbelow(True)
    return figure, axes


def _plain(axes: Axes) -> None:
    axes.set_facecolor("none")
    axes.tick_params(colors=INK, labelsize=10)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(INK)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=INK, fontsize=11)


def _svg(figure: Figure) -> str:
    import matplotlib as mpl

    file = io.StringIO()
    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "report", "svg.image_inline": True}
    with mpl.rc_context(settings):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    # Sizes of the page, not of paper; names that nothing refers to would be there once per chart.
    text = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", text))
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    return re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in used else "", text).strip()
