"""The order of an epoch: which run of which movie stands at a position, and the second of each slot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from ..errors import MovieError
from ..recipe.recipe import ResolvedRecipe
from ..recipe.settings import ResolvedMovie
from ..rng import rng_at, uniform_at

Numbers: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]
Flags: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]

SLOTS_PER_RUN = 8
"""Neighbouring slots that are decoded in one sweep: enough to make the decoding before the first one negligible."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One planned timestamp of a movie; ``index`` is 0 to ``movie.slots - 1``, in time order."""

    movie: ResolvedMovie
    index: int

    def seconds(self, seed: int, epoch: int, jitter: float, duration: float) -> float:
        """The slot's second in a movie of ``duration`` seconds; jitter (0 to 1) moves it within its own slot only.

        Raises MovieError if all of the movie's stretches lie after its end.
        """
        moved = jitter * uniform_at("jitter", seed, self.movie.name, epoch, self.index) if jitter else 0.0
        stretches = _stretches(self.movie, duration)
        return _seconds_at((self.index + moved) * _length(stretches) / self.movie.slots, stretches)

    def later(self, seconds: float, skip: float, duration: float) -> float:
        """``skip`` seconds after ``seconds``, counted inside the stretches; after the end it goes on at the start."""
        stretches = _stretches(self.movie, duration)
        before = sum(min(seconds, stop) - start for start, stop in stretches if start < seconds)
        return _seconds_at((before + skip) % _length(stretches), stretches)

    def categories(self, seed: int, epoch: int) -> tuple[str, ...]:
        """The categories that this slot is sampled for, each drawn with its own probability."""
        return tuple(name for name in self.movie.categories if drawn(self.movie, name, seed, epoch)[self.index])


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring slots of one movie: the unit that is dealt to workers, ranks and shards."""

    movie: ResolvedMovie
    first: int
    stop: int

    @property
    def name(self) -> str:
        """The movie's name."""
        return self.movie.name

    @property
    def slots(self) -> list[Slot]:
        """The slots in time order."""
        return [Slot(self.movie, index) for index in range(self.first, self.stop)]


class Plan:
    """All runs of a resolved recipe, and their order in every epoch. Equal recipes have equal plans in any process.

    A run is found by arithmetic: thousands of movies have millions of runs, too many to keep as objects.
    """

    def __init__(self, recipe: ResolvedRecipe) -> None:
        self.recipe = recipe
        self._movies = {movie.name: movie for movie in recipe.movies}
        runs = [-(-movie.slots // SLOTS_PER_RUN) for movie in recipe.movies]
        self._ends: Numbers = np.cumsum(runs, dtype=np.int64)
        """int64 (movies,): the index of the first run after each movie's own."""

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __iter__(self) -> Iterator[Run]:
        """All runs, movie by movie in recipe order, in time order within a movie."""
        return map(self.run, range(len(self)))

    def run(self, index: int) -> Run:
        """The run of this index, 0 to ``len(plan) - 1``, counted as ``iter`` gives them."""
        if not 0 <= index < len(self):
            raise IndexError(f"no run {index}, the plan has {len(self)}")
        number = int(np.searchsorted(self._ends, index, side="right"))
        before = int(self._ends[number - 1]) if number else 0
        return _run(self.recipe.movies[number], (index - before) * SLOTS_PER_RUN)

    def run_at(self, epoch: int, position: int) -> Run:
        """The run at a position of an epoch."""
        return self.run(int(self.order(epoch)[position]))

    def run_of(self, movie: str, slot: int) -> Run:
        """The run that holds a slot of a movie. Raises LookupError if there is none."""
        if movie not in self._movies or not 0 <= slot < self._movies[movie].slots:
            raise LookupError(f"no slot {slot} of movie {movie!r} in this recipe")
        return _run(self._movies[movie], slot // SLOTS_PER_RUN * SLOTS_PER_RUN)

    def order(self, epoch: int) -> Numbers:
        """int64 (runs,): the index of the run at each position of an epoch, a permutation by seed and epoch."""
        return permutation(self.recipe.seed, epoch, len(self))

    def planned(self, epoch: int) -> Numbers:
        """int64 (runs,), read-only: the samples of the run at each position of an epoch if nothing is rejected."""
        return _planned(self, epoch)

    def expected(self) -> dict[str, int]:
        """Samples per epoch of each category if nothing is rejected, from its probabilities; nothing is drawn."""
        counts = dict.fromkeys(self.recipe.categories, 0)
        for movie in self.recipe.movies:
            for name, probability in movie.categories.items():
                counts[name] += round(probability * movie.slots * self.recipe.sampling.crops_per_category)
        return counts


@lru_cache(maxsize=4)
def permutation(seed: int, epoch: int, count: int) -> Numbers:
    """int64 (count,), read-only: the order of an epoch's items."""
    order = rng_at("order", seed, epoch).permutation(count)
    order.flags.writeable = False
    return order


def drawn(movie: ResolvedMovie, category: str, seed: int, epoch: int) -> Flags:
    """bool (slots,), read-only: whether each slot of a movie is sampled for one of the movie's categories."""
    return _drawn(seed, movie.name, epoch, category, movie.categories[category], movie.slots)


@lru_cache(maxsize=256)  # neighbouring slots ask one by one; 3,000 slots take 3 kB
def _drawn(seed: int, movie: str, epoch: int, category: str, share: float, slots: int) -> Flags:
    # One generator for all slots: a hash for each would take seconds in a recipe of some hundred movies.
    flags = rng_at("category", seed, movie, epoch, category).random(slots) < share
    flags.flags.writeable = False
    return flags


@lru_cache(maxsize=2)  # outside the class, so that no plan carries the arrays into another process
def _planned(plan: Plan, epoch: int) -> Numbers:
    recipe = plan.recipe
    categories = np.concatenate([_categories_per_run(movie, recipe.seed, epoch) for movie in recipe.movies])
    samples = categories[plan.order(epoch)] * recipe.sampling.crops_per_category
    samples.flags.writeable = False
    return samples


def _categories_per_run(movie: ResolvedMovie, seed: int, epoch: int) -> Numbers:
    """int64 (runs,): the categories of each of a movie's runs, summed over its slots."""
    firsts = np.arange(0, movie.slots, SLOTS_PER_RUN)
    certain = sum(share == 1.0 for share in movie.categories.values())
    total = np.minimum(movie.slots - firsts, SLOTS_PER_RUN) * certain
    for category, share in movie.categories.items():
        if share < 1.0:
            total += np.add.reduceat(drawn(movie, category, seed, epoch), firsts, dtype=np.int64)
    return total


def _run(movie: ResolvedMovie, first: int) -> Run:
    return Run(movie, first, min(first + SLOTS_PER_RUN, movie.slots))


def _stretches(movie: ResolvedMovie, duration: float) -> tuple[tuple[float, float], ...]:
    if movie.stretches is None:
        return ((0.0, duration),)
    inside = tuple((start, min(stop, duration)) for start, stop in movie.stretches if start < duration)
    if not inside:
        raise MovieError(
            movie.path, f"all of its stretches start after its end at {duration:.1f} s", "correct movies.stretches"
        )
    return inside


def _length(stretches: tuple[tuple[float, float], ...]) -> float:
    return sum(stop - start for start, stop in stretches)


def _seconds_at(position: float, stretches: tuple[tuple[float, float], ...]) -> float:
    """The second of the movie that is ``position`` seconds into its stretches."""
    for start, stop in stretches:
        if position < stop - start:
            return start + position
        position -= stop - start
    return stretches[-1][1]
