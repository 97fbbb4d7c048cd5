"""The order of an epoch: which run of which movie stands at a position, and the second of each slot."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeAlias

import numpy as np

from ..errors import MovieError
from ..recipe.recipe import ResolvedRecipe
from ..recipe.settings import ResolvedMovie
from ..rng import rng_at, uniform_at

Order: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]

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
        """The categories that this slot is sampled for, each drawn with its own probability at its own address."""
        where = ("category", seed, self.movie.name, epoch, self.index)
        probabilities = self.movie.categories.items()
        return tuple(name for name, share in probabilities if share == 1.0 or uniform_at(*where, name) < share)


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
    """All runs of a resolved recipe, and their order in every epoch. Equal recipes have equal plans in any process."""

    def __init__(self, recipe: ResolvedRecipe) -> None:
        self.recipe = recipe

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Movie by movie in recipe order, in time order within a movie. Made on first use: a film has hundreds."""
        return tuple(
            Run(movie, first, min(first + SLOTS_PER_RUN, movie.slots))
            for movie in self.recipe.movies
            for first in range(0, movie.slots, SLOTS_PER_RUN)
        )

    def __len__(self) -> int:
        return len(self.runs)

    def order(self, epoch: int) -> Order:
        """int64 (runs,): the index in ``runs`` at each position of an epoch, a permutation by seed and epoch."""
        return permutation(self.recipe.seed, epoch, len(self.runs))

    def run_at(self, epoch: int, position: int) -> Run:
        """The run at a position of an epoch."""
        return self.runs[int(self.order(epoch)[position])]

    def run_of(self, movie: str, slot: int) -> Run:
        """The run that holds a slot of a movie. Raises LookupError if there is none."""
        for run in self.runs:
            if run.name == movie and run.first <= slot < run.stop:
                return run
        raise LookupError(f"no slot {slot} of movie {movie!r} in this recipe")

    def samples(self, epoch: int, positions: range) -> int:
        """The number of samples of the runs at these positions if nothing is rejected."""
        slots = (slot for position in positions for slot in self.run_at(epoch, position).slots)
        categories = sum(len(slot.categories(self.recipe.seed, epoch)) for slot in slots)
        return categories * self.recipe.sampling.crops_per_category

    def expected(self) -> dict[str, int]:
        """Samples per epoch of each category if nothing is rejected, from its probabilities; nothing is drawn."""
        counts = dict.fromkeys(self.recipe.categories, 0)
        for movie in self.recipe.movies:
            for name, probability in movie.categories.items():
                counts[name] += round(probability * movie.slots * self.recipe.sampling.crops_per_category)
        return counts


@lru_cache(maxsize=4)
def permutation(seed: int, epoch: int, count: int) -> Order:
    """int64 (count,), read-only: the order of an epoch's items."""
    order = rng_at("order", seed, epoch).permutation(count)
    order.flags.writeable = False
    return order


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
