"""One movie under a recipe, open for a look: whole frames, cuts and brightness at chosen moments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..color.curves import ToneSettings
from ..color.grader import Grader
from ..errors import MovieError, WindowError
from ..frames import Plane, Window
from ..probe.facts_cache import known_facts
from ..probe.movie_facts import open_movie
from ..recipe.recipe import Recipe
from ..sampling import scene
from ..sampling.cutter import Cutter
from ..sampling.motion import cells_of
from ..sampling.sample import with_defaults
from ..sampling.stream import PatchStream
from ..video.facts import Facts
from ..video.movie import MovieReader, decoder_threads


@dataclass(frozen=True, slots=True)
class MovieView:
    """An open movie, seen under the settings of a recipe."""

    movie: MovieReader
    cutter: Cutter

    @property
    def facts(self) -> Facts:
        """What is known of the movie."""
        return self.cutter.facts

    def frame(self, seconds: float) -> Plane:
        """uint8 (H, W, 3): the whole frame nearest to ``seconds`` at the working size, tone-mapped, upright.

        Raises:
            WindowError: if it cannot be decoded.
        """
        return self.cutter.whole(self.movie.window(seconds, 1))

    def ends(self, window: Window) -> tuple[Plane, Plane]:
        """The first and the last frame of a window, as ``frame`` returns them."""
        first, last = (Window((window.frames[at],), (window.pts[at],), window.seconds) for at in (0, -1))
        return self.cutter.whole(first), self.cutter.whole(last)

    def cuts(self, seconds: float, frames: int) -> Iterator[float]:
        """The moment of the cut within a window of ``frames`` frames around ``seconds``, if there is one."""
        try:
            window = self.movie.window(seconds, frames)
        except WindowError:  # frames that cannot be decoded show no cut
            return
        cells = cells_of(window.frames, self.cutter.grey, self.facts.active)
        if scene.scores_of(cells)["cut"] >= 1:
            at = int(np.abs(np.diff(cells, axis=0)).sum((1, 2)).argmax())
            yield (window.pts[at] + window.pts[at + 1]) / 2 - self.facts.start

    def nits(self, seconds: float, edges: Plane) -> Plane:
        """int64: histogram of the luma of one frame's active picture, in cd/m2 between these edges.

        Raises:
            WindowError: if the frame cannot be decoded.
        """
        luma = self.movie.window(seconds, 1).frames[0].y
        top, left, height, width = self.facts.active
        counts = np.bincount(luma[top : top + height, left : left + width].ravel(), minlength=2**self.facts.bits)
        return np.histogram(self._light, edges, weights=counts)[0].astype(np.int64)

    def sdr_of(self, nits: Plane) -> Plane:
        """float64: the SDR codes (0 to 255) of neutral greys of these cd/m2."""
        return np.interp(nits, self._light, self.cutter.grey)

    @property
    def _light(self) -> Plane:
        """cd/m2 of a neutral grey, by luma code. The tone settings do not change it."""
        return Grader(self.facts.tags, self.facts.bits, ToneSettings(), self.facts.max_cll).nits


@contextmanager
def open_view(recipe: Recipe, name: str) -> Iterator[MovieView]:
    """Open a movie of a resolved recipe.

    Raises:
        MovieError: if it cannot be used; says why, and what would help.
    """
    movie = next(movie for movie in recipe.movies if movie.name == name)
    facts = known_facts(movie.path, movie.assume)
    with open_movie(movie.path, assume=movie.assume, facts=facts, threads=decoder_threads()) as opened:
        yield MovieView(opened, Cutter(recipe, facts, with_defaults({})))


def probe_all(stream: PatchStream) -> tuple[dict[str, Facts], dict[str, str]]:
    """The facts of every movie that can be used, and for each other one the reason, by name."""
    facts, failures = dict[str, Facts](), dict[str, str]()
    for movie in stream.recipe.movies:
        try:
            facts[movie.name] = stream.facts(movie.name)
        except MovieError as failure:
            failures[movie.name] = str(failure)
    return facts, failures
