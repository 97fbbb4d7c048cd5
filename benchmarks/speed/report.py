"""Results as Markdown tables, each with the command that makes it, and as a chart."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import markdown_table
from benchmarks.speed.methods import METHODS

Row = Mapping[str, Any]

AIMS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("live / limit", "live", "limit", {"1080p": "at most 1.10", "2160p": "at most 1.05"}),
    ("with export / limit", "export", "limit", {"1080p": "at most 1.20", "2160p": "at most 1.10"}),
    *(
        (f"{title} / with export", slow, export, {"1080p": f"at least {full_hd}", "2160p": f"at least {ultra_hd}"})
        for export, torchcodec in (("export", "torchcodec"), ("export-slices", "torchcodec-threads"))
        for title, slow, full_hd, ultra_hd in (
            ("old system once per timestamp", "old-timestamp", 5, 6),
            ("old system once per category", "old-category", 15, 18),
            ("torchcodec in time order", torchcodec, 2.5, 3.5),
        )
    ),
    ("torchcodec in any order / with export", "torchcodec-items", "export", {}),
    ("four categories / three, live", "live-4", "live", {"2160p": "at most 1.06"}),
    ("live / align = keyframe", "live", "live-keyframe", {"1080p-long": "at least 3", "2160p-long": "at least 3"}),
    ("bare decode / align = keyframe", "limit", "limit-keyframe", {}),
)
"""Title, slower method, faster method, and the aim by film."""
PROCESSES = {"1": "one process, one core", "2": "two processes", "all": "one process, all cores"}
COLUMNS: dict[str, Callable[[Row], Any]] = {
    "timestamps": lambda row: row["counts"]["timestamps"],
    "ms per timestamp": lambda row: f"{row['milliseconds']:.0f}",
    "ms per sample": lambda row: (
        f"{row['milliseconds'] * row['counts']['timestamps'] / row['counts']['samples']:.0f}"
        if "samples" in row["counts"]
        else ""
    ),
    "CPU ms": lambda row: f"{row['cpu_milliseconds']:.0f}",
    "times the limit (lowest to highest round)": lambda row: (
        f"{row['ratio']:.2f} ({row['ratio_lowest']:.2f} to {row['ratio_highest']:.2f})"
    ),
    "peak MB per worker": lambda row: f"{row['peak_mb']:.0f}",
    "MB read": lambda row: f"{row['megabytes_read']:.0f}",
    "MB given": lambda row: f"{row['counts'].get('bytes', 0) / 1e6:.1f}",
    "frames decoded": lambda row: row["counts"].get("frames_decoded", ""),
}
"""Of the tables of films: head -> cell, from a row of ``rounds.summary``."""
TITLES = {
    "codecs": "Codecs: one image, one core",
    "reading": "Reading shards back, one core",
    "movies": "Cost by number of movies",
    "lengths": "Cost by length of the movie",
    "opening": "Opening a long movie that is not in the page cache",
}
COLOURS = {
    "limit": "#222222",
    **dict.fromkeys(("live", "export"), "#1b7f5c"),
    **dict.fromkeys(("torchcodec", "torchcodec-items", "pyav", "old-timestamp", "old-category"), "#b9bec6"),
}
"""Of the bars of the chart, by method."""


def markdown(results: Mapping[str, Any]) -> str:
    """The whole report."""
    tables = results["tables"]
    films = {name: table for name, table in tables.items() if name.startswith("film/")}
    parts = ["# Benchmark results", _machine(results["machine"])]
    if films:
        rows = [*_ratios(films), *_peaks(films)]
        table = markdown_table(("what", "film", "processes", "measured", "aim", "in CPU time"), rows)
        heading = "## Against the aims\n\nRatios of times: medians over rounds of each round's ratio."
        parts.append(f"{heading}\n\n{table}")
    parts += [_film(name, table) for name, table in films.items()]
    parts += [_rows(title, tables[name]) for name, title in TITLES.items() if name in tables]
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


def _ratios(films: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for title, slow, fast, aims in AIMS:
        for name, table in films.items():
            value, cpu = (ratio(table, slow, fast, measure) for measure in ("milliseconds", "cpu_milliseconds"))
            if value is not None:
                _, film, processes = name.split("/")
                aim = aims.get(film) or aims.get(film.removesuffix("-long"), "")
                yield title, film, processes, f"{value:.2f}", aim, f"{cpu:.2f}"


def _peaks(films: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, table in films.items():
        _, film, processes = name.split("/")
        aim = "under 700" if film.startswith("2160p") else ""
        for method in ("live", "export"):
            if row := table["summary"].get(method):
                yield f"peak MB of a worker, {method}", film, processes, f"{row['peak_mb']:.0f}", aim, ""


def _film(name: str, table: Mapping[str, Any]) -> str:
    _, film, processes = name.split("/")
    about, keys = table["film"], table["film"]["keyframes"]
    rows = [
        (METHODS[method].title, *(cell(row) for cell in COLUMNS.values())) for method, row in table["summary"].items()
    ]
    left_out = "".join(f"\n\nLeft out: {METHODS[method].title}: {why}." for method, why in table["missing"].items())
    return (
        f"{_heading(f'{film}, {PROCESSES[processes]}', table)} "
        f"{about['frames']} frames, {about['bytes'] / 1e6:.1f} MB, {about['megabits_per_second']} Mb/s, "
        f"keyframes at {', '.join(map(str, keys[:12]))}{', ...' * (len(keys) > 12)}.\n\n"
        f"{markdown_table(('method', *COLUMNS), rows)}{left_out}"
    )


def _heading(title: str, table: Mapping[str, Any]) -> str:
    return f"## {title}\n\n`{table['command']}`, {table['began']}, load before {table['load_before']}."


def _rows(title: str, table: Mapping[str, Any]) -> str:
    rows = [dict(_cells(row)) for row in table["rows"]]
    return f"{_heading(title, table)}\n\n{markdown_table(rows[0], (row.values() for row in rows))}"


def _cells(row: Row, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Heads and texts of a row; those of a nested row follow its name."""
    for name, value in row.items():
        head = prefix + name.replace("_", " ")
        if isinstance(value, Mapping):
            yield from _cells(value, f"{head}: ")
        elif isinstance(value, float):
            yield head, f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
        else:
            yield head, str(value)


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
        summary = {name: table["summary"][name] for name in COLOURS if name in table["summary"]}
        values = [row["milliseconds"] for row in summary.values()]
        longest = max(values)
        bars = axis.barh([METHODS[name].title for name in summary], values, 0.66, color=[COLOURS[n] for n in summary])
        labels = [f"{row['milliseconds']:,.0f} ms · {row['ratio']:.2f}×" for row in summary.values()]
        axis.bar_label(bars, labels, padding=3, fontsize=9)
        axis.invert_yaxis()
        axis.set_xlim(0, 1.45 * longest)
        axis.set_title(f"{film}, {table['film']['megabits_per_second']:.0f} Mb/s, one process", fontsize=11, loc="left")
        axis.set_xlabel("ms per timestamp (7 frames, 3 samples); × is to the limit", fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(axis="y", length=0, labelsize=9)
    figure.savefig(path, dpi=150)
    plt.close(figure)
