"""The progress of an export: samples, rate and remaining time of each category, for watchers and as JSON lines."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from ..recipe.recipe import ResolvedRecipe
from ..sampling.plan import Plan
from ..sampling.tally import Tally
from .job import Job
from .processes import Executor, Results


@dataclass(frozen=True, slots=True)
class CategoryProgress:
    """The progress of one category."""

    name: str
    samples: int
    expected: int
    """The target; without one, the samples of an epoch if nothing is refused."""
    per_second: float
    """Since the export began or resumed."""

    @property
    def seconds_left(self) -> float:
        """Infinite until the first samples are committed."""
        left = max(0, self.expected - self.samples)
        return left / self.per_second if self.per_second else math.inf if left else 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of an export at one moment."""

    seconds: float
    """Since it began or resumed."""
    tally: Tally
    """Of all that is committed."""
    categories: tuple[CategoryProgress, ...]
    movies: tuple[str, ...]
    """Movies that are being read."""
    waiting: int
    """Finished jobs that can be committed only after an earlier job."""
    event: str
    """``begin``, ``start`` or ``finish`` of a job, ``commit``, or ``end``."""

    @property
    def seconds_left(self) -> float:
        """Until the slowest category is done."""
        return max(category.seconds_left for category in self.categories)

    def to_json(self) -> dict[str, Any]:
        """All fields, JSON-able."""
        left = {category.name: category.seconds_left for category in self.categories}
        return {
            "event": self.event,
            "seconds": round(self.seconds, 3),
            "samples": {category.name: category.samples for category in self.categories},
            "expected": {category.name: category.expected for category in self.categories},
            "per_second": {category.name: round(category.per_second, 4) for category in self.categories},
            "seconds_left": {name: round(s, 1) if math.isfinite(s) else None for name, s in left.items()},
            "slots": self.tally.slots,
            "windows": self.tally.windows,
            "rejects": self.tally.reasons(),
            "failures": dict(sorted(self.tally.failures.items())),
            "movies": list(self.movies),
            "waiting": self.waiting,
        }


Watcher: TypeAlias = Callable[[Progress], None]
"""Called after every event."""


class ProgressTracker:
    """Follows an export: wraps its executor, takes its commits (``committed``), and calls watchers."""

    def __init__(
        self, recipe: ResolvedRecipe, begun: Tally, watchers: Sequence[Watcher], limit: int | None = None
    ) -> None:
        self.plan = Plan(recipe)
        self.expected = self.plan.expected()
        for name, samples in self.expected.items():
            expected = recipe.categories[name].target or samples
            self.expected[name] = min(expected, limit or expected)
        self.watchers = watchers
        self.began = time.monotonic()
        self.before = Counter(begun.by("category"))
        self.tally = begun
        self.running: dict[int, tuple[str, ...]] = {}
        """Job to the movies that it reads."""
        self.finished: set[int] = set()

    def around(self, executor: Executor[Job, Any]) -> Executor[Job, Any]:
        """An executor that does the same, and reports the start and end of jobs."""

        def watched(work: Callable[[Job], Any], jobs: Iterable[Job]) -> Results[Job, Any]:
            for job, result in executor(work, map(self._started, jobs)):
                self.running.pop(job.index, None)
                self.finished.add(job.index)
                self.tell("finish")
                yield job, result

        return watched

    def _started(self, job: Job) -> Job:
        self.running[job.index] = tuple(self.plan.run_at(job.epoch, position).name for position in job.positions)
        self.tell("start")
        return job

    def committed(self, tally: Tally) -> None:
        """Report a commit; ``tally`` counts everything that is committed."""
        self.tally = tally
        self.tell("commit")

    def tell(self, event: str) -> None:
        """Call the watchers."""
        progress = self.now(event)
        for watcher in self.watchers:
            watcher(progress)

    def now(self, event: str = "") -> Progress:
        """The progress at this moment."""
        seconds, samples = time.monotonic() - self.began, Counter(self.tally.by("category"))
        made = samples - self.before
        categories = tuple(
            CategoryProgress(name, samples[name], expected, made[name] / seconds if seconds else 0.0)
            for name, expected in self.expected.items()
        )
        running, finished = self.running.copy(), self.finished.copy()  # as a display asks from a thread of its own
        movies = tuple(sorted({movie for movies in running.values() for movie in movies}))
        earliest = min(running, default=math.inf)
        waiting = sum(index > earliest for index in finished)
        return Progress(seconds, self.tally, categories, movies, waiting, event)


@contextmanager
def watching(
    recipe: ResolvedRecipe, begun: Tally, *watchers: Watcher, limit: int | None = None, log_json: Path | None = None
) -> Iterator[ProgressTracker]:
    """Report the progress of an export.

    Args:
        recipe: the recipe that is exported, resolved.
        begun: what an earlier run has committed already.
        watchers: called with every ``Progress``.
        limit: at most this many samples per category.
        log_json: a file to append events to, as JSON lines.
    """
    with log_json.open("a", encoding="utf-8") if log_json else nullcontext() as file:
        tracker = ProgressTracker(recipe, begun, [*watchers, *([json_lines(file)] if file else [])], limit)
        tracker.tell("begin")
        yield tracker
        tracker.tell("end")


def json_lines(file: TextIO) -> Watcher:
    """A watcher that writes each event as a line of JSON with the time of day."""

    def write(progress: Progress) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        file.write(json.dumps({"time": now, **progress.to_json()}, sort_keys=True) + "\n")
        file.flush()

    return write
