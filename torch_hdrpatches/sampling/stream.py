"""What is sampled: the one definition, as a pure function of (recipe, epoch, slot)."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..color.curves import UserCurve
from ..errors import MovieError, WindowError
from ..frames import Plane, Window
from ..probe.facts_cache import known_facts
from ..probe.probe import open_movie
from ..recipe.recipe import Recipe
from ..transforms.degrade import BI, Degrade
from ..video.facts import Facts
from ..video.movie import MovieReader, decoder_threads
from .cutter import Cutter, SampleOptions
from .plan import Plan, Run, Slot
from .sample import GroundTruth, Output, Sample, SampleAddress, Transform

SAME_GOP = "same_gop"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a slot gave: its samples, and why windows, categories or the whole movie were refused."""

    movie: str
    epoch: int
    slot: int
    samples: tuple[Sample, ...] = ()
    rejects: tuple[str, ...] = ()
    """Why windows were refused, one word each."""
    refused: tuple[tuple[str, str], ...] = ()
    """(category, reason) of categories that the window could not give."""
    windows: int = 0
    """Windows asked for: one, and one per retry."""
    failure: MovieError | None = None
    """Set when the movie gives nothing any more."""


@dataclass(order=True, slots=True)
class _Attempt:
    """A window that is still to be tried; the earliest comes first."""

    seconds: float
    index: int
    slot: Slot = field(compare=False)
    rejects: tuple[str, ...] = field(compare=False, default=())

    def again(self, reason: str, seconds: float) -> _Attempt:
        return _Attempt(seconds, self.index, self.slot, (*self.rejects, reason))


class PatchStream:
    """The stream of one recipe. Holds no decoder between runs, so it may be pickled and forked at any time.

    Args:
        recipe: a path, a mapping or a ``Recipe``.
        output: ``"sdr"`` tone-mapped uint8, ``"hdr"`` uint16 signal, or ``"both"``.
        gt: the ``"centre"`` frame, or the whole ``"sequence"``.
        degrade: makes ``lq`` from the ground-truth frames; bicubic with antialiasing when absent.
        transform: ``transform(sample, rng) -> sample``, applied last.
        curve: a tone curve ``f(light, peak) -> light`` in place of the recipe's; see ``curves.UserCurve``.
        accept: ``accept(sample) -> bool``; a refused patch is drawn again elsewhere in its window, a few times.

    Raises:
        RecipeError: if the recipe cannot mean anything, or names a file that does not exist.
    """

    def __init__(
        self,
        recipe: str | Path | Mapping[str, Any] | Recipe,
        *,
        output: Output = "sdr",
        gt: GroundTruth = "centre",
        degrade: Degrade | None = None,
        transform: Transform | None = None,
        curve: UserCurve | None = None,
        accept: Callable[[Sample], bool] | None = None,
    ) -> None:
        self.recipe = Recipe.load(recipe).resolved()
        self.plan = Plan(self.recipe)
        self.making = SampleOptions(output, gt, degrade or BI(), transform, curve, accept)
        self._cutters: dict[str, Cutter | MovieError] = {}

    def outcome(self, epoch: int, movie: str, slot: int) -> Outcome:
        """What one slot gives. Sweeps the slot's run, so that even a damaged movie gives what the stream gave.

        Raises:
            LookupError: if there is no such slot.
        """
        for run in self.plan.runs:
            if run.movie.name == movie and run.first <= slot < run.stop:
                return next(outcome for outcome in self.run(epoch, run) if outcome.slot == slot)
        raise LookupError(f"no slot {slot} of movie {movie!r} in this recipe")

    def run(self, epoch: int, run: Run, categories: Collection[str] | None = None) -> Iterator[Outcome]:
        """The outcomes of a run's slots in slot order, decoded in one forward sweep; of some categories, or of all."""
        due = run.first
        try:
            movie, cutter = self._open(run)
            with movie:
                for outcome in self._sweep(movie, cutter, epoch, run, categories):
                    due = outcome.slot + 1
                    yield outcome
        except MovieError as error:
            failure = copy(error)  # without the frames it went through, which hold a decoder
            for slot in range(due, run.stop):
                yield Outcome(run.name, epoch, slot, failure=failure)

    def facts(self, movie: str) -> Facts:
        """What a movie is; looks into the file unless this stream has done so.

        Raises:
            MovieError: if it gives nothing.
        """
        run = next(run for run in self.plan.runs if run.name == movie)
        if movie not in self._cutters:
            self._open(run)[0].close()
        known = self._cutters[movie]
        if isinstance(known, MovieError):
            raise known
        return known.facts

    def picture(self, movie: str, seconds: float) -> Plane:
        """uint8 (H, W, 3): the whole frame nearest to ``seconds`` at the working size, tone-mapped, upright.

        Raises:
            MovieError, WindowError: if there is none.
        """
        run = next(run for run in self.plan.runs if run.name == movie)
        reader, cutter = self._open(run)
        with reader:
            return cutter.whole(reader.window(seconds, 1))

    def _open(self, run: Run) -> tuple[MovieReader, Cutter]:
        opened = partial(open_movie, run.movie.path, assume=run.movie.assume, threads=decoder_threads())
        known = self._cutters.get(run.name)
        if isinstance(known, MovieError):
            raise copy(known)
        if known:
            return opened(facts=known.facts), known
        try:
            movie = opened(facts=known_facts(run.movie.path, run.movie.assume))
            try:
                cutter = Cutter(self.recipe, movie.facts, self.making)
            except MovieError:
                movie.close()
                raise
        except MovieError as failure:
            self._cutters[run.name] = copy(failure)
            raise
        self._cutters[run.name] = cutter
        return movie, cutter

    def _sweep(
        self, movie: MovieReader, cutter: Cutter, epoch: int, run: Run, categories: Collection[str] | None
    ) -> Iterator[Outcome]:
        sampling, seed = self.recipe.sampling, self.recipe.seed
        duration = movie.facts.duration
        waiting = [
            _Attempt(slot.seconds(seed, epoch, sampling.jitter, duration), slot.index, slot) for slot in run.slots
        ]
        finished: dict[int, Outcome] = {}
        due = run.first
        while waiting:
            # In time order across slots: a retry of one slot and the first attempt of the next share one sweep.
            attempt = heapq.heappop(waiting)
            try:
                outcome = self._tried(movie, cutter, epoch, attempt, categories)
            except WindowError as refused:
                later = attempt.slot.later(attempt.seconds, sampling.retry_skip, duration)
                again = attempt.again(refused.reason, later)
                if refused.reason != SAME_GOP and len(again.rejects) < sampling.max_attempts:
                    heapq.heappush(waiting, again)
                    continue
                outcome = Outcome(
                    run.name,
                    epoch,
                    attempt.index,
                    rejects=again.rejects,
                    windows=len(again.rejects) - again.rejects.count(SAME_GOP),
                )
            finished[attempt.index] = outcome
            while due in finished:
                yield finished.pop(due)
                due += 1

    def _tried(
        self, movie: MovieReader, cutter: Cutter, epoch: int, attempt: _Attempt, categories: Collection[str] | None
    ) -> Outcome:
        # A function of its own, so that a window's frames are gone before the next one is decoded.
        window = movie.window(self._moment(movie, attempt, epoch), self.recipe.sampling.frames)
        change = self._scene_change(window, cutter)
        return self._outcome(window, cutter, epoch, attempt, change, categories)

    def _moment(self, movie: MovieReader, attempt: _Attempt, epoch: int) -> float:
        """The seconds to ask for: a slot's own, or with ``align`` those of the keyframe before; retries keep theirs."""
        sampling, seed = self.recipe.sampling, self.recipe.seed
        if sampling.align == "none" or attempt.rejects:
            return attempt.seconds
        taken = None
        if attempt.index:
            neighbour = replace(attempt.slot, index=attempt.index - 1)
            before = neighbour.seconds(seed, epoch, sampling.jitter, movie.facts.duration)
            taken = movie.entry(before, sampling.frames)
        moment = movie.entry(attempt.seconds, sampling.frames)
        if moment == taken:
            raise WindowError(SAME_GOP)
        return moment

    def _scene_change(self, window: Window, cutter: Cutter) -> float:
        stability = cutter.stability(window)
        if stability.reason:
            raise WindowError(stability.reason, f"score {stability.score:.1f}")
        return stability.score

    def _outcome(
        self,
        window: Window,
        cutter: Cutter,
        epoch: int,
        attempt: _Attempt,
        change: float,
        categories: Collection[str] | None,
    ) -> Outcome:
        place = SampleAddress(attempt.slot.name, epoch, attempt.index, len(attempt.rejects))
        samples, refusals = [], []
        for category in attempt.slot.categories(self.recipe.seed, epoch):
            if categories is not None and category not in categories:
                continue
            for crop in range(self.recipe.sampling.crops_per_category):
                try:
                    samples.append(cutter.sample(window, place, category, crop, change))
                except WindowError as refused:
                    refusals.append((category, refused.reason))
        return Outcome(
            place.movie,
            epoch,
            place.slot,
            samples=tuple(samples),
            rejects=attempt.rejects,
            refused=tuple(refusals),
            windows=place.attempt + 1,
        )
