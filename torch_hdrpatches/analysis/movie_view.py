"""Opens and probes the movies of a recipe for a closer look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ..errors import MovieError
from ..probe.facts_cache import known_facts
from ..recipe.recipe import Recipe
from ..sampling.cutter import Cutter
from ..sampling.sample import with_defaults
from ..sampling.stream import PatchStream
from ..video.facts import Facts
from ..video.movie import MovieReader, decoder_threads


class MovieView(NamedTuple):
    """An open movie, and the cutter that applies the settings of a recipe to its windows."""

    movie: MovieReader
    cutter: Cutter

    @property
    def facts(self) -> Facts:
        """What is known of the movie."""
        return self.cutter.facts


@contextmanager
def open_view(recipe: Recipe, name: str) -> Iterator[MovieView]:
    """Open a movie of a resolved recipe. Raises MovieError if it cannot be used."""
    movie = next(movie for movie in recipe.movies if movie.name == name)
    facts = known_facts(movie.path, movie.assume)
    with MovieReader(movie.path, facts, decoder_threads()) as opened:
        yield MovieView(opened, Cutter(recipe, facts, with_defaults({})))


def probe_all(stream: PatchStream) -> tuple[dict[str, Facts], dict[str, str]]:
    """By name: the facts of each movie that can be used, and the reason why each other movie cannot."""
    facts, failures = dict[str, Facts](), dict[str, str]()
    for movie in stream.recipe.movies:
        try:
            facts[movie.name] = stream.facts(movie.name)
        except MovieError as failure:
            failures[movie.name] = str(failure)
    return facts, failures
