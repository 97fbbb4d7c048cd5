"""Live progress of an export: bars at a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich import progress as bars
from rich.console import Console, RenderableType
from rich.text import Text

from ..exporter.progress import Progress, ProgressTracker, Watcher, watching
from ..recipe.recipe import ResolvedRecipe
from ..sampling.tally import Tally
from .output import counted, duration, listed

SECONDS_PER_LINE = 10.0
"""Shortest time between two lines without a terminal."""


class ProgressBars(bars.Progress):
    """A bar per category; below them the movies being read, waiting jobs and what was refused."""

    def __init__(self, now: Callable[[], Progress], console: Console) -> None:
        self.now = now
        super().__init__(
            bars.TextColumn("{task.description}"),
            bars.BarColumn(bar_width=30),
            bars.MofNCompleteColumn(separator=" of "),
            bars.TextColumn("{task.fields[rate]:.1f}/s"),
            bars.TextColumn("{task.fields[left]}"),  # rich's own estimate forgets commits that are minutes apart
            console=console,
            refresh_per_second=4,
            transient=True,
        )
        for category in now().categories:
            self.add_task(category.name, total=max(1, category.expected), rate=0.0, left="")

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bars and the lines below them, as of now."""
        now = self.now()
        for task, category in zip(self.task_ids, now.categories, strict=False):  # rich asks once before there are tasks
            left = _left(category.seconds_left)
            self.update(task, completed=category.samples, rate=category.per_second, left=left)
        yield self.make_tasks_table(self.tasks)
        lines = [f"reading {', '.join(now.movies)}"] if now.movies else []
        lines += [*_notes(now), *(f"{movie} cannot be used" for movie in sorted(now.tally.failures))]
        yield from (Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in lines)


def line(progress: Progress) -> str:
    """The progress of all categories on one line."""
    categories = ", ".join(
        f"{category.name} {category.samples}/{category.expected}" for category in progress.categories
    )
    rate = sum(category.per_second for category in progress.categories)
    return "; ".join([categories, f"{rate:.1f} samples/s, {_left(progress.seconds_left)}", *_notes(progress)])


def lines(console: Console) -> Watcher:
    """A watcher that prints a line every ten seconds at most."""
    last = -math.inf

    def write(progress: Progress) -> None:
        nonlocal last
        if progress.event in ("commit", "finish") and progress.seconds - last >= SECONDS_PER_LINE:
            last = progress.seconds
            console.print(line(progress), soft_wrap=True, highlight=False, markup=False)

    return write


def _notes(progress: Progress) -> Iterator[str]:
    if reasons := progress.tally.reasons():
        yield f"refused {listed(reasons)}"
    if progress.waiting:
        verb = "wait" if progress.waiting > 1 else "waits"
        yield f"{counted(progress.waiting, 'finished job')} {verb} for an earlier job"


def _left(seconds: float) -> str:
    if not seconds:
        return "done"
    return f"{duration(seconds)} left" if math.isfinite(seconds) else "–"


@contextmanager
def shown(
    recipe: ResolvedRecipe, begun: Tally, *, limit: int | None = None, log_json: Path | None = None
) -> Iterator[ProgressTracker]:
    """Show the progress of an export on stderr.

    Args:
        recipe: the recipe that is exported.
        begun: what an earlier run has committed already.
        limit: at most this many samples per category.
        log_json: a file to append events to.
    """
    console = Console(stderr=True)
    with ExitStack() as stack:
        watchers = [] if console.is_terminal else [lines(console)]
        export = stack.enter_context(watching(recipe, begun, *watchers, limit=limit, log_json=log_json))
        if console.is_terminal:
            stack.enter_context(ProgressBars(export.now, console))
        yield export
