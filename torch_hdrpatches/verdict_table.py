"""What came of looking into movies, as a table for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from .terminal import duration
from .verdict import Status, Verdict


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """A row per movie: whether it can be used, why not, and what it is."""
    styles: dict[Status, str] = {"usable": "green", "usable with assume": "yellow", "refused": "red"}
    table = Table("movie", "verdict", box=SIMPLE_HEAD, show_lines=True)
    for column, ratio in zip(table.columns, (1, 3), strict=True):
        column.overflow, column.ratio = "fold", ratio  # every word of a reason counts
    for verdict in verdicts:
        said = f"[{styles[verdict.status]}]{escape(verdict.text)}[/]"
        table.add_row(escape(Path(verdict.path).name), "\n".join([said, *map(escape, _described(verdict))]))
    counts = Counter(verdict.status for verdict in verdicts)
    table.caption = ", ".join(f"{counts[status]} {status}" for status in styles if counts[status])
    return table


def _described(verdict: Verdict) -> Iterator[str]:
    if not (facts := verdict.facts):
        return
    tags, active = facts.tags, facts.active
    turned = f", turned by {facts.rotation}°" if facts.rotation else ""
    yield (
        f"{facts.codec} {facts.width}x{facts.height}, {facts.bits} bit {facts.chroma}, {duration(facts.duration)} at "
        f"{facts.fps:.5g} fps{turned}, keyframes up to {verdict.keyframe_seconds:.1f} s apart"
    )
    yield f"colour {tags.transfer}, {tags.primaries}, {tags.matrix}, {tags.range}, chroma {tags.chroma_location}"
    light = [f"{name} {nits:g}" for name, nits in (("MaxCLL", facts.max_cll), ("MaxFALL", facts.max_fall)) if nits]
    light += [f"mastering display {facts.mastering_peak:g}"] if facts.mastering_peak else []
    more = [f"Dolby Vision {facts.dolby_vision}"] if facts.dolby_vision else []
    more += ["HDR10+"] if facts.hdr10_plus else []
    if light or more:
        yield ", ".join([f"{', '.join(light)} cd/m2"] * bool(light) + more)
    if (active.height, active.width) != (facts.height, facts.width):
        yield f"black bars: the picture is {active.width}x{active.height} at {active.left}, {active.top}"
