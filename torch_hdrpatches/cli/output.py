"""What commands print: the console, tables, units and exit codes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from ..analysis.bench import Bench
from ..analysis.forecast import Forecast
from ..probe.verdict import Status, Verdict
from ..sampling.tally import Tally

console = Console()


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


def say_failures(failures: Mapping[str, str]) -> None:
    """Name each movie that cannot be used, with the reason."""
    for movie, reason in sorted(failures.items()):
        say(f"[red]{movie} cannot be used[/]: {escape(reason)}", markup=True)


def duration(seconds: float) -> str:
    """``3 h 05 min``, ``12 min``, ``12 s`` or ``0.3 s``."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 movie``, ``2 movies``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def listed(reasons: Mapping[str, int]) -> str:
    """``4 cut, 1 flash``: the most frequent reason first."""
    return ", ".join(f"{count} {reason}" for reason, count in Counter(reasons).most_common())


def show_verdicts(verdicts: Sequence[Verdict]) -> None:
    """A row per movie: whether it can be used, why not, and its properties."""
    styles: dict[Status, str] = {"usable": "green", "usable with assume": "yellow", "refused": "red"}
    table = Table("movie", "verdict", box=SIMPLE_HEAD, show_lines=True)
    for column, ratio in zip(table.columns, (1, 3), strict=True):
        column.overflow, column.ratio = "fold", ratio  # wraps long reasons instead of cutting them off
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
    rotation = f", rotated by {facts.rotation}°" if facts.rotation else ""
    yield (
        f"{facts.codec} {facts.width}x{facts.height}, {facts.bits} bit {facts.chroma}, {duration(facts.duration)} at "
        f"{facts.fps:.5g} fps{rotation}, keyframes at most {verdict.keyframe_seconds:.1f} s apart"
    )
    yield f"colour {tags.transfer}, {tags.primaries}, {tags.matrix}, {tags.range}, chroma {tags.chroma_location}"
    levels = {"MaxCLL": facts.max_cll, "MaxFALL": facts.max_fall, "mastering display": facts.mastering_peak}
    light = ", ".join(f"{name} {nits:g}" for name, nits in levels.items() if nits)
    metadata = [f"{light} cd/m2"] if light else []
    metadata += [f"Dolby Vision {facts.dolby_vision}"] if facts.dolby_vision else []
    metadata += ["HDR10+"] if facts.hdr10_plus else []
    if metadata:
        yield ", ".join(metadata)
    if facts.has_bars:
        yield f"black bars: the active picture is {active.width}x{active.height} at {active.left}, {active.top}"


def show_tally(tally: Tally) -> None:
    """Samples by category, format and movie, refused windows by reason, and movies that failed."""
    for what in ("category", "format"):
        _show_table((what, "samples"), tally.by(what).items())
    by_movie = tally.by_movie().items()
    rows = ((name, counts["samples"], listed(counts["rejects"])) for name, counts in by_movie)
    _show_table(("movie", "samples", "refused windows"), rows)
    if reasons := tally.reasons():
        _show_table(("refused because", "windows"), reasons.items())
    say_failures(tally.failures)
    console.print(f"{tally.total} samples from {tally.slots} slots; {tally.windows} windows were decoded")


def show_forecast(found: Forecast, workers: int) -> None:
    """What an export will give, and what is wrong with the recipe or its movies."""
    columns = ("category", "samples", "target", "per epoch", "epochs", "formats", "size")
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
    _show_table(columns, rows)
    for problem in found.problems:
        say(f"[yellow]note[/] {escape(problem)}", markup=True)
    say_failures(found.failures)
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
    _show_table(
        ("shard codec", "encode ms", "decode ms", "kB per sample"),
        (
            (cost.codec, f"{cost.encode_ms:.1f}", f"{cost.decode_ms:.1f}", f"{cost.kilobytes:.0f}")
            for cost in found.codecs
        ),
    )
    say(
        f"Use PatchLoader(dataset, num_workers={found.best.workers}). If training takes more than "
        f"{found.best.samples_per_second:.0f} samples/s on this machine, export shards first: hdrpatches export"
    )


def _show_table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    table = Table(*columns)
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)
