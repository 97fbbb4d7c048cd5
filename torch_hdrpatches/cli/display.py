"""What came of looking into movies, as a table for the terminal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..exporter.progress import Progress, Watcher, Watching, watching
from ..probe.verdict import Status, Verdict
from ..recipe.recipe import ResolvedRecipe
from ..sampling.tally import Tally


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


DONE, FAILED, BAD_RECIPE, SOME_MOVIES_FAILED, INTERRUPTED = 0, 1, 2, 3, 130

console = Console()


def size(count: float) -> str:
    """``1.2 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """``3 h 05 min``, ``12 min``, ``12 s`` or ``0.3 s``."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


SECONDS_PER_LINE = 10.0
"""Without a terminal, a line at most so often."""


def lines(console: Console) -> Watcher:
    """A watcher that prints a line now and then."""
    last = -math.inf

    def say(progress: Progress) -> None:
        nonlocal last
        if progress.event in ("commit", "finish") and progress.seconds - last >= SECONDS_PER_LINE:
            last = progress.seconds
            console.print(line(progress), soft_wrap=True, highlight=False, markup=False)

    return say


def line(progress: Progress) -> str:
    """Everything on one line."""
    parts = [f"{one.name} {one.samples}/{one.expected}" for one in progress.categories]
    rate = sum(one.per_second for one in progress.categories)
    parts[-1] += f"; {rate:.1f} samples/s, {_left(progress.seconds_left)}"
    if reasons := progress.tally.reasons():
        parts[-1] += "; refused " + _counted(reasons)
    if progress.waiting:
        parts[-1] += f"; {_waiting(progress.waiting)}"
    return ", ".join(parts)


def drawn(progress: Progress) -> Group:
    """A block for a terminal: a bar per category, the movies being read, and what was refused."""
    table = Table.grid(padding=(0, 2))
    for one in progress.categories:
        bar = ProgressBar(max(1, one.expected), one.samples, width=30)
        count = f"{one.samples:,} of {one.expected:,}"
        table.add_row(one.name, bar, count, f"{one.per_second:.1f}/s", _left(one.seconds_left))
    rows = [table]
    shown = [f"reading {', '.join(progress.movies)}"] if progress.movies else []
    shown += [_waiting(progress.waiting)] if progress.waiting else []
    shown += [f"refused {_counted(reasons)}"] if (reasons := progress.tally.reasons()) else []
    shown += [f"{movie} gives nothing" for movie in sorted(progress.tally.failures)]
    return Group(*rows, *(Text(text, style="dim", no_wrap=True, overflow="ellipsis") for text in shown))


def _counted(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in Counter(reasons).most_common())


def _waiting(jobs: int) -> str:
    return f"{jobs} finished job{'s wait' if jobs > 1 else ' waits'} for a slower one ahead"


def _left(seconds: float) -> str:
    return f"{duration(seconds)} left" if math.isfinite(seconds) else "–"


@contextmanager
def shown(
    recipe: ResolvedRecipe, begun: Tally, *, limit: int | None = None, log_json: Path | None = None
) -> Iterator[Watching]:
    """Show how far an export is on stderr: live if that is a terminal, else a line now and then.

    Args:
        recipe: resolved.
        begun: what was committed before, when an export goes on.
        limit: at most this many samples per category.
        log_json: the file that events are added to.
    """
    console = Console(stderr=True)
    watchers = [] if console.is_terminal else [lines(console)]
    with watching(recipe, begun, *watchers, limit=limit, log_json=log_json) as found, ExitStack() as stack:
        if console.is_terminal:
            stack.enter_context(
                Live(get_renderable=lambda: drawn(found.now("")), console=console, refresh_per_second=4, transient=True)
            )
        yield found
