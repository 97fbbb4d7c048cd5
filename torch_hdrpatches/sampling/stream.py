"""The stream of samples, defined once: a pure function of (recipe, epoch, slot)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from ..errors import MovieError
from ..frames import Plane
from ..probe.facts_cache import known_facts
from ..probe.movie_facts import open_movie
from ..recipe.recipe import Recipe
from ..video.facts import Facts
from ..video.movie import MovieReader, decoder_threads
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
        TypeError: if there is no such option.
    """

    def __init__(self, recipe: str | Path | Mapping[str, Any] | Recipe, **options: Unpack[SampleOptions]) -> None:
        self.recipe = Recipe.load(recipe).resolved()
        self.plan = Plan(self.recipe)
        self.options = with_defaults(options)
        self._cutters: dict[str, Cutter | MovieError] = {}

    def outcome(self, epoch: int, movie: str, slot: int) -> Outcome:
        """The result of one slot. Decodes the slot's whole run, so that damaged movies give the same result, too.

        Raises:
            LookupError: if there is no such slot.
        """
        outcomes = self.run(epoch, self.plan.run_of(movie, slot))
        return next(outcome for outcome in outcomes if outcome.slot == slot)

    def run(self, epoch: int, run: Run, categories: Collection[str] | None = None) -> Iterator[Outcome]:
        """The outcomes of a run's slots in slot order, decoded in one forward sweep.

        Args:
            epoch: jitter and crops differ by epoch.
            run: from ``plan.runs``.
            categories: the categories to sample; None: all. If empty, windows are checked and no sample is made.
        """
        due = run.first
        try:
            movie, cutter = self._open(run)
            with movie:
                for outcome in Sweep(self.recipe, movie, cutter, epoch, categories).outcomes(run):
                    due = outcome.slot + 1
                    yield outcome
        except MovieError as error:
            failure = copy(error)  # without its traceback, which keeps a decoder alive
            for slot in range(due, run.stop):
                yield Outcome(run.name, epoch, slot, failure=failure)

    def facts(self, movie: str) -> Facts:
        """What is known of a movie. Probes the file unless this stream has done so before.

        Raises:
            LookupError: if the recipe has no such movie.
            MovieError: if the movie cannot be used.
        """
        run = self.plan.run_of(movie, 0)
        if movie not in self._cutters:
            self._open(run)[0].close()
        known = self._cutters[movie]
        if isinstance(known, MovieError):
            raise known
        return known.facts

    def picture(self, movie: str, seconds: float) -> Plane:
        """uint8 (H, W, 3): the whole frame nearest to ``seconds`` at the working size, tone-mapped, upright.

        Raises:
            LookupError: if the recipe has no such movie.
            MovieError, WindowError: if the frame cannot be decoded.
        """
        reader, cutter = self._open(self.plan.run_of(movie, 0))
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
                cutter = Cutter(self.recipe, movie.facts, self.options)
            except MovieError:
                movie.close()
                raise
        except MovieError as failure:
            self._cutters[run.name] = copy(failure)
            raise
        self._cutters[run.name] = cutter
        return movie, cutter
