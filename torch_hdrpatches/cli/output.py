"""What commands print: messages and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Column, Table

from ..analysis.bench import Bench
from ..analysis.forecast import Forecast
from ..exporter.display import counted, duration, listed
from ..probe.verdict import Status, Verdict
from ..sampling.tally import Tally

console = Console()
RecipeFile = Annotated[Path, typer.Argument(help="Recipe file (TOML, JSON or YAML).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class ExitCode(IntEnum):
    """Exit codes of ``hdrpatches``."""

    DONE = 0
    FAILED = 1
    BAD_RECIPE = 2
    """Invalid recipe or arguments."""
    SOME_MOVIES_FAILED = 3
    """Everything else was done."""
    INTERRUPTED = 130


def say(text: str, style: str | None = None, *, markup: bool = False) -> None:
    """Print a line of any length without breaking it."""
    console.print(text, style=style, markup=markup, highlight=False, soft_wrap=True)


def _say_failures(failures: Mapping[str, str]) -> None:
    for movie, reason in sorted(failures.items()):
        say(f"[red]{movie} cannot be used[/]: {escape(reason)}", markup=True)


def show_verdicts(verdicts: Sequence[Verdict]) -> None:
    """A row per movie: whether it can be used, why not, and its properties."""
    styles: dict[Status, str] = {"usable": "green", "usable with assume": "yellow", "refused": "red"}
    # Long reasons are wrapped instead of cut off.
    columns = Column("movie", overflow="fold", ratio=1), Column("verdict", overflow="fold", ratio=3)
    table = Table(*columns, box=SIMPLE_HEAD, show_lines=True)
    for verdict in verdicts:
        text = f"[{styles[verdict.status]}]{escape(verdict.text)}[/]"
        table.add_row(escape(Path(verdict.path).name), "\n".join([text, *map(escape, _properties(verdict))]))
    counts = Counter(verdict.status for verdict in verdicts)
    table.caption = ", ".join(f"{counts[status]} {status}" for status in styles if counts[status])
    console.print(table)


def _properties(verdict: Verdict) -> Iterator[str]:
    if not (facts := verdict.facts):
        return
    tags, active = facts.tags, facts.active
    yield (
        f"{facts.codec} {facts.width}x{facts.height}, {facts.bits} bit {facts.chroma}, {duration(facts.duration)} at "
        f"{facts.fps:.5g} fps{f', rotated by {facts.rotation}°' if facts.rotation else ''}, "
        f"keyframes at most {verdict.keyframe_seconds:.1f} s apart"
    )
    yield f"colour {tags.transfer}, {tags.primaries}, {tags.matrix}, {tags.range}, chroma {tags.chroma_location}"
    levels = {"MaxCLL": facts.max_cll, "MaxFALL": facts.max_fall, "mastering display": facts.mastering_peak}
    light = ", ".join(f"{name} {nits:g}" for name, nits in levels.items() if nits)
    dolby_vision = facts.dolby_vision and f"Dolby Vision {facts.dolby_vision}"
    metadata = (light and f"{light} cd/m2", dolby_vision, "HDR10+" if facts.hdr10_plus else "")
    if any(metadata):
        yield ", ".join(filter(None, metadata))
    if facts.has_bars:
        yield f"black bars: the active picture is {active.width}x{active.height} at {active.left}, {active.top}"


def show_tally(tally: Tally) -> None:
    """Samples by category, format and movie, refused windows by reason, and movies that failed."""
    for what in ("category", "format"):
        _show_table((what, "samples"), tally.by(what).items())
    movies = ((name, counts["samples"], listed(counts["rejects"])) for name, counts in tally.by_movie().items())
    _show_table(("movie", "samples", "refused windows"), movies)
    if reasons := tally.reasons():
        _show_table(("refused because", "windows"), reasons.items())
    _say_failures(tally.failures)
    console.print(f"{tally.total} samples from {tally.slots} slots; {tally.windows} windows were decoded")


def show_forecast(found: Forecast, workers: int) -> None:
    """What an export will give, and what is wrong with the recipe or its movies."""
    rows = (
        (
            category.name,
            category.samples,
            category.target or "–",
            f"{category.per_epoch:.0f}",
            f"{category.epochs:.1f}",
            ", ".join(f"{name} {count}" for name, count in category.formats.items()),
            decimal(category.bytes),
        )
        for category in found.categories
    )
    _show_table(("category", "samples", "target", "per epoch", "epochs", "formats", "size"), rows)
    for problem in found.problems:
        say(f"[yellow]note[/] {escape(problem)}", markup=True)
    _say_failures(found.failures)
    total = sum(category.samples for category in found.categories)
    say(
        f"{total} samples, about {decimal(found.bytes)} in {counted(found.shards, 'shard')}, from "
        f"{counted(found.slots, 'slot')} of {counted(found.movies, 'movie')}; about "
        f"{duration(found.seconds / workers)} with {counted(workers, 'process', 'processes')} on this machine "
        f"(measured on {counted(found.measured, 'slot')}: {listed(found.rejects) or 'nothing'} refused)"
    )


def show_bench(found: Bench) -> None:
    """Decoding time, samples per second by number of workers, and the cost of each shard codec."""
    say(
        f"{found.live_ms:.0f} ms per timestamp in one process with {counted(found.decoder_threads, 'decoder thread')}, "
        f"{found.decode_ms:.0f} ms of it decoding ({found.timestamps} timestamps, {found.cores} cores)"
    )
    marks = {found.best: " [green]<- recommended[/]"}
    rates = (
        (rate.workers, f"{rate.samples_per_second:.1f}{marks.get(rate, '')}", rate.samples) for rate in found.rates
    )
    _show_table(("workers", "samples/s", "samples measured"), rates)
    codecs = ((c.codec, f"{c.encode_ms:.1f}", f"{c.decode_ms:.1f}", f"{c.kilobytes:.0f}") for c in found.codecs)
    _show_table(("shard codec", "encode ms", "decode ms", "kB per sample"), codecs)
    say(
        f"Use PatchLoader(dataset, num_workers={found.best.workers}). If training takes more than "
        f"{found.best.samples_per_second:.0f} samples/s on this machine, export shards first: hdrpatches export"
    )


def _show_table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    table = Table(*columns)
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)
