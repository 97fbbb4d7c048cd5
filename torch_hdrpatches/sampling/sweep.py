"""One run of slots in one forward sweep: each window is decoded once, checked once, and retried later if refused."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import NamedTuple

from ..errors import MovieError, WindowError
from ..frames import Window
from ..video.movie import MovieReader
from .cutter import Cutter
from .plan import Run, Slot
from .sample import Sample, SampleAddress

SAME_GOP = "same_gop"
"""The reason why a slot gives nothing with ``align = "keyframe"`` if the slot before it has the same keyframe."""


class Reject(NamedTuple):
    """A refused window, and the second around which it was asked for."""

    seconds: float
    reason: str
    """One word, e.g. ``cut``. With ``same_gop`` no window was decoded."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one slot: its samples, and why windows, categories or the whole movie were refused."""

    movie: str
    epoch: int
    slot: int
    samples: tuple[Sample, ...] = ()
    rejects: tuple[Reject, ...] = ()
    """The refused windows, in the order in which they were tried."""
    refused: tuple[tuple[str, str], ...] = ()
    """(category, reason) of each category that could not be cut from the accepted window."""
    windows: int = 0
    """Windows asked for: the first one and its retries."""
    failure: MovieError | None = None
    """Why the movie cannot be read from this slot on; None if it can."""


@dataclass(order=True, slots=True)
class _Attempt:
    """A window that is still to be tried. Attempts are ordered by time."""

    seconds: float
    index: int
    slot: Slot = field(compare=False)
    rejects: tuple[Reject, ...] = field(compare=False, default=())


@dataclass(frozen=True, slots=True)
class Sweep:
    """Everything that the slots of one run have in common."""

    movie: MovieReader
    cutter: Cutter
    epoch: int
    categories: Collection[str] | None
    """The categories to sample; None: all of the movie's. If empty, windows are checked and no sample is made."""

    def outcomes(self, run: Run) -> Iterator[Outcome]:
        """The outcomes of the run's slots, in slot order."""
        waiting = [_Attempt(self._seconds(slot), slot.index, slot) for slot in run.slots]
        finished: dict[int, Outcome] = {}
        due = run.first
        while waiting:
            # In time order across slots, so that retries of one slot and the first attempt of the next share the sweep.
            result = self._try(heapq.heappop(waiting))
            if isinstance(result, _Attempt):
                heapq.heappush(waiting, result)
                continue
            finished[result.slot] = result
            while due in finished:
                yield finished.pop(due)
                due += 1

    def _seconds(self, slot: Slot) -> float:
        recipe = self.cutter.recipe
        return slot.seconds(recipe.seed, self.epoch, recipe.sampling.jitter, self.movie.facts.duration)

    def _try(self, attempt: _Attempt) -> Outcome | _Attempt:
        """The slot's outcome, or its next attempt if this one is refused."""
        sampling, moment = self.cutter.recipe.sampling, attempt.seconds
        try:
            moment = self._moment(attempt)
            window = self.movie.window(moment, sampling.frames)
            stability = self.cutter.stability(window)
            if not stability.reason:
                return self._sampled(attempt, window, stability.score)
            reason: str = stability.reason
        except WindowError as error:
            reason = error.reason
        rejects = (*attempt.rejects, Reject(moment, reason))
        if reason != SAME_GOP and len(rejects) < sampling.max_attempts:
            later = attempt.slot.later(attempt.seconds, sampling.retry_skip, self.movie.facts.duration)
            return replace(attempt, seconds=later, rejects=rejects)
        windows = sum(reason != SAME_GOP for _, reason in rejects)
        return Outcome(attempt.slot.movie.name, self.epoch, attempt.index, rejects=rejects, windows=windows)

    def _moment(self, attempt: _Attempt) -> float:
        """The second to ask for: the slot's own, or with ``align`` its keyframe's. Retries are not aligned."""
        sampling = self.cutter.recipe.sampling
        if sampling.align == "none" or attempt.rejects:
            return attempt.seconds
        taken = None
        if attempt.index:  # first, because a file is read forwards
            neighbour = replace(attempt.slot, index=attempt.index - 1)
            taken = self.movie.snap_to_keyframe(self._seconds(neighbour), sampling.frames)
        moment = self.movie.snap_to_keyframe(attempt.seconds, sampling.frames)
        if moment == taken:
            raise WindowError(SAME_GOP)
        return moment

    def _sampled(self, attempt: _Attempt, window: Window, score: float) -> Outcome:
        address = SampleAddress(attempt.slot.movie.name, self.epoch, attempt.index, len(attempt.rejects))
        recipe = self.cutter.recipe
        drawn = attempt.slot.categories(recipe.seed, self.epoch)
        wanted = [category for category in drawn if self.categories is None or category in self.categories]
        samples, refused = [], []
        for category, crop in product(wanted, range(recipe.sampling.crops_per_category)):
            try:
                samples.append(self.cutter.sample(window, address, category, crop, score))
            except WindowError as error:
                refused.append((category, error.reason))
        movie, epoch, slot, attempts = address
        return Outcome(movie, epoch, slot, tuple(samples), attempt.rejects, tuple(refused), windows=attempts + 1)
