"""The stream of samples, defined once: a pure function of (recipe, epoch, slot)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from ..errors import MovieError, MovieOpenError, StorageError
from ..probe.facts_cache import known_facts
from ..recipe.recipe import Recipe, ResolvedRecipe
from ..recipe.settings import ResolvedMovie
from ..state_names import state_name
from ..storage.remote import is_url
from ..video.facts import Facts
from ..video.movie import MovieReader, decoder_threads
from ..video.movie_file import MovieFile, patiently
from .cutter import Cutter
from .plan import Plan, Run
from .sample import SampleOptions, with_defaults
from .sweep import Outcome, Sweep


class PatchStream:
    """The stream of one recipe. It keeps no decoder between runs, so it can be pickled and forked at any time.

    Args:
        recipe: a path, a mapping or a ``Recipe``.
        **options: see ``SampleOptions``.

    Raises:
        RecipeError: if the recipe is invalid, or names a file that does not exist.
        TypeError: if there is no such option, or nothing tells the state of a function.
        StorageError: by all methods, if the disk, the network or the system fails, or a movie that could be opened when
            the stream was made no longer can. This is no property of the movie, so no slot is given up for it.
    """

    def __init__(self, recipe: str | Path | Mapping[str, Any] | Recipe, **options: Unpack[SampleOptions]) -> None:
        self.recipe = Recipe.load(recipe).resolved()
        self.plan = Plan(self.recipe)
        self.options = with_defaults(options)
        self.names = {name: state_name(value) for name, value in self.options.items()}
        """The options as in the stream's identity: as they are now, because a function may fill a cache of its own."""
        self._cutters: dict[str, Cutter | MovieError] = dict(_unusable(self.recipe))

    def outcome(self, epoch: int, movie: str, slot: int) -> Outcome:
        """The result of one slot. Decodes the slot's whole run, so that damaged movies give the same result, too.

        Raises LookupError if there is no such slot.
        """
        return next(outcome for outcome in self.run(epoch, self.plan.run_of(movie, slot)) if outcome.slot == slot)

    def run(self, epoch: int, run: Run, categories: Collection[str] | None = None) -> Iterator[Outcome]:
        """The outcomes of a run's slots in slot order, decoded in one forward sweep.

        Args:
            epoch: jitter and crops differ by epoch.
            run: one of ``plan``.
            categories: the categories to sample; None: all. If empty, windows are checked and no sample is made.
        """
        due = run.first
        try:
            cutter = self._cutter(run)
            with MovieReader(run.movie.path, cutter.facts, decoder_threads()) as movie:
                for outcome in Sweep(movie, cutter, epoch, categories).outcomes(run):
                    due = outcome.slot + 1
                    yield outcome
        except MovieError as error:
            failure = copy(error)  # without its traceback, which keeps a decoder alive
            for slot in range(due, run.stop):
                yield Outcome(run.name, epoch, slot, failure=failure)

    def facts(self, movie: str) -> Facts:
        """What is known of a movie. Raises LookupError if the recipe does not have it, MovieError if it is unusable."""
        return self._cutter(self.plan.run_of(movie, 0)).facts

    def _cutter(self, run: Run) -> Cutter:
        """The movie's cutter; a movie that cannot be used is not probed again."""
        if run.name not in self._cutters:
            try:
                facts = _facts(run.movie)
                self._cutters[run.name] = Cutter(self.recipe, facts, self.options)
            except MovieError as failure:
                self._cutters[run.name] = copy(failure)
        known = self._cutters[run.name]
        if isinstance(known, MovieError):
            raise copy(known)
        return known


def _unusable(recipe: ResolvedRecipe) -> Iterator[tuple[str, MovieError]]:
    """The movies on disks that cannot be opened now. If another one cannot be opened later, that will pass."""
    for movie in recipe.movies:
        if not is_url(movie.path):
            try:
                MovieFile(movie.path).close()
            except MovieError as failure:
                yield movie.name, copy(failure)


def _facts(movie: ResolvedMovie) -> Facts:
    try:
        return patiently(movie.path, partial(known_facts, movie.path, movie.assume))
    except StorageError as error:
        if is_url(movie.path) and isinstance(error.__cause__, MovieOpenError):
            raise error.__cause__ from None  # nobody knows whether it could be opened before
        raise
