"""Training and validation without a shared shot, and the proof of it: movies apart, or cut apart where a shot ends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from ..errors import RecipeError
from ..recipe.recipe import Recipe
from ..recipe.settings import Movie
from ..rng import uniform_at
from ..storage.range_file import opened
from .movie_view import Examined, examining

By = Literal["movie", "time"]

SEARCHED = 120.0
"""Seconds to either side of where a movie would be divided in which a cut is looked for."""
WINDOW = 13
"""Pictures that are looked at together for a cut between two of them."""
HEAD = 1 << 20
"""Bytes at the beginning by which a movie file is known, beside its size."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the audit found out about one movie."""

    movie: str
    proved: bool
    text: str


def split(recipe: Recipe, *, share: float = 0.1, by: By = "movie", gap: float = 2.0) -> tuple[Recipe, Recipe]:
    """A training and a validation recipe.

    Args:
        recipe: what to divide.
        share: of the slots that go into validation, about.
        by: whole movies, or one stretch of every movie that begins and ends with a cut.
        gap: seconds left out round every such cut, half of them before it.

    Raises:
        RecipeError: if it cannot be divided like this; why, and what would help.
        MovieError: if a movie that has to be looked at gives nothing.
    """
    if not 0 < share < 1:
        raise RecipeError(f"share is {share}, expected a part of the whole between 0 and 1")
    resolved = recipe.resolved()
    train, validation = _by_movie(resolved, share) if by == "movie" else _by_time(resolved, share, gap)
    targets = {
        name: category.model_copy(update={"target": category.target and max(1, round(category.target * share))})
        for name, category in resolved.categories.items()
    }
    return (
        resolved.model_copy(update={"movies": tuple(train)}),
        resolved.model_copy(update={"movies": tuple(validation), "categories": targets}),
    )


def audit(train: Recipe, validation: Recipe) -> list[Finding]:
    """Whether a shot is in both: one finding per movie of the validation recipe.

    A movie that is in one of them only is told by its file, not by its name. In a movie that is in both, there must be
    a cut between every stretch of one and its neighbour of the other; it is looked for in the pictures.
    """
    mine, theirs = validation.resolved(), {_file(movie): movie for movie in train.resolved().movies}
    findings = []
    for movie in mine.movies:
        if other := theirs.get(_file(movie)):
            with examining(mine, str(movie.name)) as looked:
                findings.append(_apart(looked, movie, other, mine.sampling.frames))
        else:
            findings.append(Finding(str(movie.name), True, "is in validation only"))
    return findings


def _by_movie(recipe: Recipe, share: float) -> tuple[list[Movie], list[Movie]]:
    slots = {str(movie.name): movie.timestamps or recipe.sampling.timestamps_per_movie for movie in recipe.movies}
    if len(slots) < 2:
        raise RecipeError("one movie cannot be split by movie; split it by time, or add movies")
    drawn = sorted(recipe.movies, key=lambda movie: uniform_at("split", recipe.seed, str(movie.name)))
    chosen: list[Movie] = []
    for movie in drawn:
        left = [other for other in drawn if other not in chosen and other is not movie]
        taken = sum(slots[str(one.name)] for one in chosen)
        keeps_all = {name for other in left for name in other.categories} >= movie.categories.keys()
        if keeps_all and (not chosen or taken + slots[str(movie.name)] / 2 <= share * sum(slots.values())):
            chosen.append(movie)
    if not chosen:
        raise RecipeError("every movie is the only one of some category; split by time, or add movies")
    return [movie for movie in recipe.movies if movie not in chosen], [m for m in recipe.movies if m in chosen]


def _by_time(recipe: Recipe, share: float, gap: float) -> tuple[list[Movie], list[Movie]]:
    train, validation = list[Movie](), list[Movie]()
    for movie in recipe.movies:
        if movie.stretches is not None:
            raise RecipeError(f"{movie.name}: it has stretches already; split the recipe that it had before")
        with examining(recipe, str(movie.name)) as looked:
            facts = looked.facts
            ball = uniform_at("split", recipe.seed, str(movie.name))
            start, stop = _between_cuts(looked, str(movie.name), ball * (1 - share) * facts.duration, share)
        half = max(gap / 2, recipe.sampling.frames / (facts.fps or 24))
        parts = ((0.0, start - half), (stop + half, facts.duration)), ((start + half, stop - half),)
        for side, stretches in zip((train, validation), parts, strict=True):
            kept = tuple((round(begin, 3), round(end, 3)) for begin, end in stretches if end - begin > 2 * half)
            if not kept:
                raise RecipeError(
                    f"{movie.name}: {facts.duration:.1f} s with cuts at {start:.1f} s and {stop:.1f} s are too short "
                    f"to be divided with a gap of {gap} s; split by movie, or choose another share"
                )
            slots = movie.timestamps or recipe.sampling.timestamps_per_movie
            timestamps = max(1, round(slots * sum(end - begin for begin, end in kept) / facts.duration))
            side.append(movie.model_copy(update={"stretches": kept, "timestamps": timestamps}))
    return train, validation


def _between_cuts(looked: Examined, name: str, start: float, share: float) -> tuple[float, float]:
    """Two moments at which shots end: the first near ``start``, the second ``share`` of the movie later, about."""
    apart, ends = WINDOW / (looked.facts.fps or 24), list[float]()
    for moment in (start, start + share * looked.facts.duration):
        cut = next((cut for cut in _cuts_near(looked, moment) if all(abs(cut - end) > apart for end in ends)), None)
        if cut is None:
            raise RecipeError(
                f"{name}: no cut within {SEARCHED:g} s of {moment:.1f} s, so that a shot would be in both; "
                "split by movie"
            )
        ends.append(cut)
    return min(ends), max(ends)


def _cuts_near(looked: Examined, moment: float) -> Iterator[float]:
    """Moments of cuts, the nearest windows first."""
    step = (WINDOW - 1) / (looked.facts.fps or 24)
    for number in range(int(2 * SEARCHED / step) + 1):
        seconds = moment + step * (number // 2 + 1 if number % 2 else -(number // 2))
        if step / 2 <= seconds <= looked.facts.duration - step / 2:
            yield from looked.cuts(seconds, WINDOW)


def _apart(looked: Examined, movie: Movie, other: Movie, frames: int) -> Finding:
    """Whether a cut lies between all stretches of one movie in two recipes."""
    reach = frames / 2 / (looked.facts.fps or 24)
    mine, theirs = (one.stretches or ((0.0, looked.facts.duration),) for one in (movie, other))
    ordered = sorted([(*stretch, True) for stretch in mine] + [(*stretch, False) for stretch in theirs])
    proofs = []
    for (_, end, one), (start, _, two) in pairwise(ordered):
        if one == two:
            continue
        cut = next(_cuts_between(looked, end + reach, start - reach), None)
        if cut is None:
            shared = "is in both" if end > start else "shows no cut, so that a shot may be in both"
            return Finding(str(movie.name), False, f"{min(start, end):.1f} s to {max(start, end):.1f} s {shared}")
        proofs.append(f"a cut at {cut:.2f} s")
    return Finding(str(movie.name), True, f"is divided by {' and '.join(proofs)}")


def _cuts_between(looked: Examined, first: float, last: float) -> Iterator[float]:
    step = (WINDOW - 1) / (looked.facts.fps or 24) / 2
    for number in range(int((last - first) / step) + 2 if last > first else 0):
        yield from (cut for cut in looked.cuts(first + number * step, WINDOW) if first < cut < last)


def _file(movie: Movie) -> str:
    """What a movie file is known by, wherever it lies and whatever it is called."""
    with opened(movie.path) as file:
        head = hashlib.sha256(file.read(HEAD)).hexdigest()
        return f"{file.seek(0, 2)} {head}"
