"""Splits a recipe into training and validation without a shared shot, and audits that two recipes share none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from ..errors import RecipeError, WindowError
from ..recipe.recipe import Recipe, ResolvedRecipe
from ..recipe.settings import Movie, ResolvedMovie
from ..rng import uniform_at
from ..sampling.motion import cells_of
from ..sampling.scene import scores_of
from ..video.movie_file import MovieFile
from .movie_view import MovieView, open_view

By = Literal["movie", "time"]
Sides = tuple[list[ResolvedMovie], list[ResolvedMovie]]
"""The movies for training and for validation."""

SEARCHED = 120.0
"""Seconds before and after the wanted moment within which a cut is searched."""
WINDOW = 13
"""Frames that are decoded together to find a cut between two of them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of the audit for one movie."""

    movie: str
    proved: bool
    text: str


def split(recipe: Recipe, *, share: float = 0.1, by: By = "movie", gap: float = 2.0) -> tuple[Recipe, Recipe]:
    """A training and a validation recipe.

    Args:
        recipe: the recipe to split.
        share: share of the slots that go into validation, approximately.
        by: ``"movie"``: whole movies. ``"time"``: one part of each movie, between two cuts.
        gap: seconds to leave out around each of these cuts, half of them before it.

    Raises:
        RecipeError: if the recipe cannot be split like this; says why, and what would help.
        MovieError: if a movie has to be decoded and cannot be.
    """
    if not 0 < share < 1:
        raise RecipeError(f"share is {share}, expected a number between 0 and 1")
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
    """Whether the recipes share a shot: one finding per movie of the validation recipe.

    Movies are compared by file, not by name. In a movie that both recipes have, a cut must lie between each part of one
    recipe and the next part of the other; the audit decodes the movie to find it.
    """
    mine, theirs = validation.resolved(), {_file(movie): movie for movie in train.resolved().movies}
    findings = []
    for movie in mine.movies:
        if other := theirs.get(_file(movie)):
            with open_view(mine, movie.name) as view:
                findings.append(_audited(view, movie, other))
        else:
            findings.append(Finding(movie.name, True, "is in validation only"))
    return findings


def _by_movie(recipe: ResolvedRecipe, share: float) -> Sides:
    if len(recipe.movies) < 2:
        raise RecipeError("one movie cannot be split by movie; split it by time, or add movies")
    drawn = sorted(recipe.movies, key=lambda movie: uniform_at("split", recipe.seed, movie.name))
    wanted, chosen = share * sum(movie.slots for movie in drawn), list[ResolvedMovie]()
    for movie in drawn:
        others = [other for other in drawn if other not in chosen and other is not movie]
        keeps_all = {name for other in others for name in other.categories} >= movie.categories.keys()
        if keeps_all and (not chosen or sum(other.slots for other in chosen) + movie.slots / 2 <= wanted):
            chosen.append(movie)
    if not chosen:
        raise RecipeError("every movie is the only one of some category; split by time, or add movies")
    return [movie for movie in recipe.movies if movie not in chosen], [m for m in recipe.movies if m in chosen]


def _by_time(recipe: ResolvedRecipe, share: float, gap: float) -> Sides:
    sides: Sides = [], []
    for movie in recipe.movies:
        if movie.stretches is not None:
            raise RecipeError(f"{movie.name}: it has stretches already; split the recipe without them")
        u = uniform_at("split", recipe.seed, movie.name)
        with open_view(recipe, movie.name) as view:
            facts = view.facts
            start, stop = _between_cuts(view, movie.name, u * (1 - share) * facts.duration, share)
        half = max(gap / 2, facts.seconds_of(recipe.sampling.frames))
        parts = ((0.0, start - half), (stop + half, facts.duration)), ((start + half, stop - half),)
        for side, stretches in zip(sides, parts, strict=True):
            kept = tuple((round(begin, 3), round(end, 3)) for begin, end in stretches if end - begin > 2 * half)
            if not kept:
                raise RecipeError(
                    f"{movie.name}: {facts.duration:.1f} s with cuts at {start:.1f} s and {stop:.1f} s are too short "
                    f"to split with a gap of {gap} s; split by movie, or choose another share"
                )
            timestamps = max(1, round(movie.slots * sum(end - begin for begin, end in kept) / facts.duration))
            side.append(movie.model_copy(update={"stretches": kept, "timestamps": timestamps, "slots": timestamps}))
    return sides


def _between_cuts(view: MovieView, name: str, start: float, share: float) -> tuple[float, float]:
    """The moments of two cuts: one near ``start``, the other about ``share`` of the movie later."""
    apart, step, cuts = view.facts.seconds_of(WINDOW), view.facts.seconds_of(WINDOW - 1), list[float]()
    steps = [number // 2 + 1 if number % 2 else -(number // 2) for number in range(int(2 * SEARCHED / step) + 1)]
    for wanted in (start, start + share * view.facts.duration):
        moments = (wanted + step * number for number in steps)  # further and further away
        inside = (moment for moment in moments if step / 2 <= moment <= view.facts.duration - step / 2)
        found = (cut for cut in _cuts(view, inside) if all(abs(cut - other) > apart for other in cuts))
        if (cut := next(found, None)) is None:
            raise RecipeError(
                f"{name}: no cut within {SEARCHED:g} s of {wanted:.1f} s, so one shot would be in both recipes; "
                "split by movie"
            )
        cuts.append(cut)
    return min(cuts), max(cuts)


def _cuts(view: MovieView, moments: Iterable[float]) -> Iterator[float]:
    """The moments of the cuts inside windows around these moments, one per window at most."""
    for moment in moments:
        with suppress(WindowError):  # frames that cannot be decoded show no cut
            window = view.movie.window(moment, WINDOW)
            cells = cells_of(window.frames, view.cutter.grey, view.facts.active)
            if scores_of(cells)["cut"] >= 1:
                at = int(np.abs(np.diff(cells, axis=0)).sum((1, 2)).argmax())
                yield (window.pts[at] + window.pts[at + 1]) / 2 - view.facts.start


def _audited(view: MovieView, movie: ResolvedMovie, other: Movie) -> Finding:
    """Whether a cut lies between all parts of a movie that two recipes have."""
    reach = view.facts.seconds_of(view.cutter.recipe.sampling.frames / 2)
    step = view.facts.seconds_of(WINDOW - 1) / 2
    mine, theirs = (parts or ((0.0, view.facts.duration),) for parts in (movie.stretches, other.stretches))
    ordered = sorted([(*part, True) for part in mine] + [(*part, False) for part in theirs])
    proofs = []
    for (_, end, first_is_mine), (start, _, second_is_mine) in pairwise(ordered):
        if first_is_mine == second_is_mine:
            continue
        first, last = end + reach, start - reach
        moments = (first + number * step for number in range(int((last - first) / step) + 2 if last > first else 0))
        cut = next((cut for cut in _cuts(view, moments) if first < cut < last), None)
        if cut is None:
            why = "is in both" if end > start else "shows no cut, so a shot may be in both"
            return Finding(movie.name, False, f"{min(start, end):.1f} s to {max(start, end):.1f} s {why}")
        proofs.append(f"a cut at {cut:.2f} s")
    return Finding(movie.name, True, f"is divided by {' and '.join(proofs)}")


def _file(movie: Movie) -> str:
    """Recognises a movie file, wherever it lies and whatever its name, by its size and its first MiB."""
    with MovieFile(movie.path) as file:
        head = hashlib.sha256(file.read(1 << 20)).hexdigest()
        return f"{file.seek(0, 2)} {head}"
