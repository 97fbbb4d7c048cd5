"""The live progress of an export or a report: at a terminal, in a notebook, or as lines of a log."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from html import escape
from pathlib import Path

from rich import progress as bars
from rich.console import Console, RenderableType
from rich.text import Text

from ..recipe.recipe import ResolvedRecipe
from ..sampling.tally import Tally
from .progress import Progress, ProgressTracker, Watcher, watching


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
        yield from (Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in _details(now))


def line(progress: Progress) -> str:
    """The progress of all categories on one line."""
    names = ", ".join(f"{category.name} {category.samples}/{category.expected}" for category in progress.categories)
    rate = sum(category.per_second for category in progress.categories)
    return "; ".join([names, f"{rate:.1f} samples/s, {_left(progress.seconds_left)}", *_notes(progress)])


def lines(console: Console) -> Watcher:
    """A watcher that prints a line every ten seconds at most."""
    last = -math.inf

    def write(progress: Progress) -> None:
        nonlocal last
        if progress.event in ("commit", "finish") and progress.seconds - last >= 10:
            last = progress.seconds
            console.print(line(progress), soft_wrap=True, highlight=False, markup=False)

    return write


def as_html(progress: Progress) -> str:
    """The progress as a notebook shows it: a bar per category, and the lines that stand below them at a terminal."""
    rows = "".join(
        f"<tr><td>{escape(category.name)}</td>"
        f'<td><progress max="{max(1, category.expected)}" value="{category.samples}"></progress></td>'
        f"<td>{category.samples} of {category.expected}</td><td>{category.per_second:.1f}/s</td>"
        f"<td>{_left(0.0 if progress.event == 'end' else category.seconds_left)}</td></tr>"
        for category in progress.categories
    )
    return f"<table>{rows}</table>" + "".join(f"<div>{escape(line)}</div>" for line in _details(progress))


def in_cell() -> Watcher:
    """A watcher that shows progress in the output of a notebook's cell, twice per second at most."""
    show, last = _cell(), -math.inf

    def write(progress: Progress) -> None:
        nonlocal last
        if progress.event in ("begin", "end") or progress.seconds - last >= 0.5:
            last = progress.seconds
            show(as_html(progress))

    return write


def _cell() -> Callable[[str], None]:
    """A function that shows HTML in a notebook, in place of what it showed before."""
    from IPython.display import HTML, display  # a notebook has it

    output = display(HTML(""), display_id=True)
    return lambda html: output.update(HTML(html))


def _details(progress: Progress) -> list[str]:
    reading = [f"reading {', '.join(progress.movies)}"] if progress.movies else []
    failures = (f"{movie} cannot be used" for movie in sorted(progress.tally.failures))
    return [*reading, *_notes(progress), *failures]


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
    """Show the progress of an export on stderr or in a notebook. ``begun`` is what is committed already."""
    console = Console(stderr=True)
    watchers = [in_cell()] if console.is_jupyter else [] if console.is_terminal else [lines(console)]
    with ExitStack() as stack:
        export = stack.enter_context(watching(recipe, begun, *watchers, limit=limit, log_json=log_json))
        if console.is_terminal:
            stack.enter_context(ProgressBars(export.now, console))
        yield export


@contextmanager
def steps() -> Iterator[Callable[[str], None]]:
    """A function that shows what is being done, on stderr or in a notebook, until something else is done."""
    console = Console(stderr=True)
    if console.is_jupyter:
        show = _cell()
        yield lambda step: show(escape(f"{step} ..."))
        show("")
    elif console.is_terminal:
        with console.status("") as status:
            yield lambda step: status.update(Text(f"{step} ..."))
    else:
        yield lambda step: console.print(f"{step} ...", soft_wrap=True, highlight=False, markup=False)


def is_watched() -> bool:
    """Whether someone follows this process at a terminal or in a notebook."""
    console = Console(stderr=True)
    # Not is_terminal: FORCE_COLOR makes that true of log files, too.
    return console.is_jupyter or console.file.isatty()


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
