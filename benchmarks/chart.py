"""One chart: time per timestamp of every method, beside the limit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.methods import METHODS

OURS, LIMIT, OTHERS = "#1b7f5c", "#222222", "#b9bec6"
SHOWN = ("limit", "live", "export", "torchcodec", "torchcodec-items", "pyav", "old-timestamp", "old-category")


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Horizontal bars from zero, one panel per film with long GOPs; one process."""
    tables = {
        name.split("/")[1]: table
        for name, table in results["tables"].items()
        if name.startswith("film/") and name.endswith("/1") and "-" not in name
    }
    if not tables:
        return
    figure, axes = plt.subplots(1, len(tables), figsize=(7.2 * len(tables), 3.6), squeeze=False, layout="constrained")
    for axis, (film, table) in zip(axes[0], tables.items(), strict=True):
        summary = {name: table["summary"][name] for name in SHOWN if name in table["summary"]}
        longest = max(row["milliseconds"] for row in summary.values())
        for place, (name, row) in enumerate(summary.items()):
            value = row["milliseconds"]
            colour = LIMIT if name == "limit" else OURS if name in ("live", "export") else OTHERS
            axis.barh(place, value, color=colour, height=0.66)
            axis.text(value + 0.01 * longest, place, f"{value:,.0f} ms · {row['ratio']:.2f}×", va="center", fontsize=9)
        axis.set_yticks(range(len(summary)), [METHODS[name].title for name in summary], fontsize=9)
        axis.invert_yaxis()
        axis.set_xlim(0, 1.45 * longest)
        axis.set_title(f"{film}, {table['film']['megabits_per_second']:.0f} Mb/s, one process", fontsize=11, loc="left")
        axis.set_xlabel("ms per timestamp (7 frames, 3 samples); × is to the limit", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
    figure.savefig(path, dpi=150)
    plt.close(figure)
