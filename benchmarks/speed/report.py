"""Results as Markdown tables, each with the command that makes it, and as a chart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

from benchmarks.speed.methods import METHODS
from benchmarks.tables import markdown_table

Row = Mapping[str, Any]

Aim: TypeAlias = tuple[str, str, str, dict[str, str]]


def _against_others(export: str, torchcodec: str) -> tuple[Aim, ...]:
    """Aims of an export against others, on one core or on all."""
    return (
        ("old system once per timestamp / with export", "old-timestamp", export, _at_least("5", "6")),
        ("old system once per category / with export", "old-category", export, _at_least("15", "18")),
        ("torchcodec in time order / with export", torchcodec, export, _at_least("2.5", "3.5")),
    )


def _at_least(full_hd: str, ultra_hd: str) -> dict[str, str]:
    return {"1080p": f"at least {full_hd}", "2160p": f"at least {ultra_hd}"}


AIMS: tuple[Aim, ...] = (
    ("live / limit", "live", "limit", {"1080p": "at most 1.10", "2160p": "at most 1.05"}),
    ("with export / limit", "export", "limit", {"1080p": "at most 1.20", "2160p": "at most 1.10"}),
    *_against_others("export", "torchcodec"),
    *_against_others("export-slices", "torchcodec-threads"),
    ("torchcodec in any order / with export", "torchcodec-items", "export", {}),
    ("four categories / three, live", "live-4", "live", {"2160p": "at most 1.06"}),
    ("live / align = keyframe", "live", "live-keyframe", {"1080p-long": "at least 3", "2160p-long": "at least 3"}),
    ("bare decode / align = keyframe", "limit", "limit-keyframe", {}),
)
"""Title, slower method, faster method, and the aim by film."""


def markdown(results: Mapping[str, Any]) -> str:
    """The whole report."""
    tables = results["tables"]
    films = {name: table for name, table in tables.items() if name.startswith("film/")}
    parts = ["# Benchmark results", _machine(results["machine"])]
    if films:
        parts.append(
            "## Against the aims\n\nRatios of times: medians over rounds of each round's ratio.\n\n" + _aims(films)
        )
    for name, table in films.items():
        parts.append(_film(name, table))
    parts += [_rows(name, tables[name]) for name in TITLES if name in tables]
    return "\n\n".join(parts) + "\n"


def ratio(table: Mapping[str, Any], slow: str, fast: str, measure: str = "milliseconds") -> float | None:
    """Median over rounds of the time of ``slow`` / the time of ``fast``; None if either was not measured."""
    by = {(timing["round"], timing["method"]): timing[measure] for timing in table["timings"]}
    pairs = [by[number, slow] / by[number, fast] for number, name in by if name == fast and (number, slow) in by]
    return median(pairs) if pairs else None


def _machine(machine: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB; {machine['system']}; "
        f"Python {machine['python']}; {packages}; libavcodec {machine['libavcodec in PyAV']} in PyAV; "
        f"ffmpeg program {machine['ffmpeg program']}; commit {machine['commit'] or 'unknown'}."
    )


def _aims(films: Mapping[str, Any]) -> str:
    rows = []
    for claim, slow, fast, aims in AIMS:
        for name, table in films.items():
            value = ratio(table, slow, fast)
            if value is not None:
                _, film, processes = name.split("/")
                cpu = ratio(table, slow, fast, "cpu_milliseconds")
                aim = aims.get(film) or aims.get(film.removesuffix("-long"), "")
                rows.append((claim, film, processes, f"{value:.2f}", aim, f"{cpu:.2f}"))
    for name, table in films.items():
        _, film, processes = name.split("/")
        for method in ("live", "export"):
            if method in table["summary"]:
                peak, aim = table["summary"][method]["peak_mb"], "under 700" if film.startswith("2160p") else ""
                rows.append((f"peak MB of a worker, {method}", film, processes, f"{peak:.0f}", aim, ""))
    return markdown_table(("what", "film", "processes", "measured", "aim", "in CPU time"), rows)


PROCESSES = {"1": "one process, one core", "2": "two processes", "all": "one process, all cores"}


def _film(name: str, table: Mapping[str, Any]) -> str:
    _, film, processes = name.split("/")
    rows = [
        (
            METHODS[method].title,
            row["counts"]["timestamps"],
            f"{row['milliseconds']:.0f}",
            _per_sample(row),
            f"{row['cpu_milliseconds']:.0f}",
            f"{row['ratio']:.2f} ({row['ratio_lowest']:.2f} to {row['ratio_highest']:.2f})",
            f"{row['peak_mb']:.0f}",
            f"{row['megabytes_read']:.0f}",
            f"{row['counts'].get('bytes', 0) / 1e6:.1f}",
            row["counts"].get("frames_decoded", ""),
        )
        for method, row in table["summary"].items()
    ]
    about = table["film"]
    left_out = "".join(f"\n\nLeft out: {METHODS[method].title}: {why}." for method, why in table["missing"].items())
    return (
        f"## {film}, {PROCESSES[processes]}\n\n"
        f"`{table['command']}`, {table['began']}, load before {table['load_before']}. "
        f"{about['frames']} frames, {about['bytes'] / 1e6:.1f} MB, {about['megabits_per_second']} Mb/s, "
        f"keyframes at {', '.join(map(str, about['keyframes'][:12]))}{', ...' * (len(about['keyframes']) > 12)}.\n\n"
        + markdown_table(
            (
                "method",
                "timestamps",
                "ms per timestamp",
                "ms per sample",
                "CPU ms",
                "times the limit (lowest to highest round)",
                "peak MB per worker",
                "MB read",
                "MB given",
                "frames decoded",
            ),
            rows,
        )
        + left_out
    )


def _per_sample(row: Row) -> str:
    counts = row["counts"]
    return f"{row['milliseconds'] * counts['timestamps'] / counts['samples']:.0f}" if "samples" in counts else ""


TITLES = {
    "codecs": "Codecs: one image, one core",
    "reading": "Reading shards back, one core",
    "movies": "Cost by number of movies",
    "lengths": "Cost by length of the movie",
    "opening": "Opening a long movie that is not in the page cache",
}


def _rows(name: str, table: Mapping[str, Any]) -> str:
    rows = [_flat(row) for row in table["rows"]]
    heads = [head.replace("_", " ") for head in rows[0]]
    return (
        f"## {TITLES[name]}\n\n`{table['command']}`, {table['began']}, load before {table['load_before']}.\n\n"
        + markdown_table(heads, [[_shown(value) for value in row.values()] for row in rows])
    )


def _flat(row: Row) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}: {inner}": content for inner, content in value.items()}
        else:
            flat[name] = value
    return flat


def _shown(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


OURS, LIMIT, OTHERS = "#1b7f5c", "#222222", "#b9bec6"
SHOWN = ("limit", "live", "export", "torchcodec", "torchcodec-items", "pyav", "old-timestamp", "old-category")


def draw(results: Mapping[str, Any], path: Path) -> None:
    """A bar chart of milliseconds per timestamp: one panel per film with long GOPs, one process."""
    import matplotlib.pyplot as plt

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
