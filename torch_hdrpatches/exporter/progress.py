"""How far an export is: rate and remaining time of every category, told to watchers, and as JSON lines."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from ..recipe.recipe import ResolvedRecipe
from ..sampling.plan import Plan
from ..sampling.tally import Tally
from .job import Job
from .processes import Executor


@dataclass(frozen=True, slots=True)
class CategoryProgress:
    """How far one category is."""

    name: str
    samples: int
    expected: int
    """Its target, else what one epoch gives if nothing is refused."""
    per_second: float
    """Since the export began or went on."""

    @property
    def seconds_left(self) -> float:
        """Infinite as long as nothing has come."""
        left = max(0, self.expected - self.samples)
        return left / self.per_second if self.per_second else math.inf if left else 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of an export."""

    seconds: float
    """Since it began or went on."""
    tally: Tally
    """Of all that is committed."""
    categories: tuple[CategoryProgress, ...]
    movies: tuple[str, ...]
    """That are being read."""
    waiting: int
    """Jobs that are done, and not counted before a slower one ahead of them is done too."""
    event: str
    """``begin``, ``start`` or ``finish`` of a job, ``commit``, or ``end``."""

    @property
    def seconds_left(self) -> float:
        """Of the slowest category."""
        return max(one.seconds_left for one in self.categories)

    def to_json(self) -> dict[str, Any]:
        """One event, JSON-able."""
        left = {one.name: one.seconds_left for one in self.categories}
        return {
            "event": self.event,
            "seconds": round(self.seconds, 3),
            "samples": {one.name: one.samples for one in self.categories},
            "expected": {one.name: one.expected for one in self.categories},
            "per_second": {one.name: round(one.per_second, 4) for one in self.categories},
            "seconds_left": {name: round(s, 1) if math.isfinite(s) else None for name, s in left.items()},
            "slots": self.tally.slots,
            "windows": self.tally.windows,
            "rejects": self.tally.reasons(),
            "failures": dict(sorted(self.tally.failures.items())),
            "movies": list(self.movies),
            "waiting": self.waiting,
        }


Watcher: TypeAlias = Callable[[Progress], None]
"""Called whenever something has happened."""


class Watching:
    """Knows how far an export is, and tells its watchers. Goes round an executor, and is an export's ``progress``."""

    def __init__(
        self, recipe: ResolvedRecipe, begun: Tally, watchers: Iterable[Watcher], limit: int | None = None
    ) -> None:
        self.plan = Plan(recipe)
        self.expected = {name: min(count, limit or count) for name, count in _expected(recipe).items()}
        self.watchers = tuple(watchers)
        self.began = time.monotonic()
        self.before = begun.by("category")
        self.tally = begun
        self.running: dict[int, tuple[str, ...]] = {}
        self.done: set[int] = set()

    def around(self, executor: Executor[Job, Any]) -> Executor[Job, Any]:
        """The same executor, watched."""

        def watched(work: Callable[[Job], Any], jobs: Iterable[Job]) -> Generator[tuple[Job, Any], None, None]:
            for job, result in executor(work, map(self._started, jobs)):
                self.running.pop(job.index, None)
                self.done.add(job.index)
                self.tell("finish")
                yield job, result

        return watched

    def committed(self, tally: Tally) -> None:
        """Something is in place: this is the tally of all."""
        self.tally = tally
        self.tell("commit")

    def tell(self, event: str) -> None:
        """Say how far it is."""
        progress = self.now(event)
        for watcher in self.watchers:
            watcher(progress)

    def now(self, event: str) -> Progress:
        """How far it is."""
        seconds = time.monotonic() - self.began
        samples = self.tally.by("category")
        categories = tuple(
            CategoryProgress(
                name,
                samples.get(name, 0),
                expected,
                (samples.get(name, 0) - self.before.get(name, 0)) / seconds if seconds else 0.0,
            )
            for name, expected in self.expected.items()
        )
        movies = tuple(sorted({movie for movies in self.running.values() for movie in movies}))
        self.done = {index for index in self.done if index > min(self.running, default=index)}
        return Progress(seconds, self.tally, categories, movies, len(self.done), event)

    def _started(self, job: Job) -> Job:
        self.running[job.index] = tuple(self.plan.run_at(job.epoch, position).name for position in job.positions)
        self.tell("start")
        return job


@contextmanager
def watching(
    recipe: ResolvedRecipe, begun: Tally, *watchers: Watcher, limit: int | None = None, log_json: Path | None = None
) -> Iterator[Watching]:
    """Tell watchers how far an export is; write events as JSON lines if asked to.

    Args:
        recipe: resolved.
        begun: what was committed before, when an export goes on.
        watchers: called with every ``Progress``.
        limit: at most this many samples per category.
        log_json: the file that events are added to.
    """
    with ExitStack() as stack:
        told = [*watchers]
        if log_json:
            told.append(json_lines(stack.enter_context(log_json.open("a", encoding="utf-8"))))
        found = Watching(recipe, begun, told, limit)
        found.tell("begin")
        yield found
        found.tell("end")


def json_lines(file: TextIO) -> Watcher:
    """A watcher that writes every event as one line of JSON, with the time of day."""

    def write(progress: Progress) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        file.write(json.dumps({"time": now, **progress.to_json()}, sort_keys=True) + "\n")
        file.flush()

    return write


def _expected(recipe: ResolvedRecipe) -> dict[str, int]:
    planned = Counter[str]()
    for movie in recipe.movies:
        for name, probability in movie.categories.items():
            planned[name] += round(probability * movie.slots * recipe.sampling.crops_per_category)
    return {name: category.target or planned[name] for name, category in recipe.categories.items()}
