"""Looks at moments of a movie apart from the stream: whole frames, where the cuts are, how bright it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..color.curves import ToneSettings, UserCurve
from ..color.grader import Grader
from ..errors import WindowError
from ..frames import Plane, Window
from ..probe.facts_cache import known_facts
from ..probe.probe import open_movie
from ..recipe.recipe import Recipe
from ..sampling import scene
from ..sampling.cutter import Cutter
from ..sampling.motion import cells_of
from ..sampling.sample import with_defaults
from ..video.facts import Facts
from ..video.movie import MovieReader, decoder_threads


@dataclass(frozen=True, slots=True)
class Examined:
    """A movie that is open, under a recipe."""

    movie: MovieReader
    cutter: Cutter

    @property
    def facts(self) -> Facts:
        """What the movie is."""
        return self.cutter.facts

    def frame(self, seconds: float) -> Plane:
        """uint8 (H, W, 3): the whole frame nearest to ``seconds`` at the working size, tone-mapped, upright.

        Raises:
            WindowError: if there is none.
        """
        return self.cutter.whole(self.movie.window(seconds, 1))

    def ends(self, window: Window) -> tuple[Plane, Plane]:
        """The first and the last whole frame of a window, as ``frame`` gives them."""
        one, other = (
            self.cutter.whole(Window((window.frames[at],), (window.pts[at],), window.seconds)) for at in (0, -1)
        )
        return one, other

    def cuts(self, seconds: float, pictures: int) -> Iterator[float]:
        """The moment of the cut among so many pictures around ``seconds``, if there is one to be seen."""
        try:
            window = self.movie.window(seconds, pictures)
        except WindowError:  # what cannot be decoded shows no cut
            return
        cells = cells_of(window.frames, self.cutter.grey, self.facts.active)
        if scene.kinds(cells)["cut"] >= 1:
            at = int(np.abs(np.diff(cells, axis=0)).sum((1, 2)).argmax())
            yield (window.pts[at] + window.pts[at + 1]) / 2 - self.facts.start

    def nits(self, seconds: float, edges: Plane) -> Plane:
        """int64: pixels of the active picture of one frame by the cd/m2 of their luma, between these edges.

        Raises:
            WindowError: if there is no such frame.
        """
        luma = self.movie.window(seconds, 1).frames[0].y
        top, left, height, width = self.facts.active
        counts = np.bincount(luma[top : top + height, left : left + width].ravel(), minlength=2**self.facts.bits)
        return np.histogram(self._light, edges, weights=counts)[0].astype(np.int64)

    def sdr_of(self, nits: Plane) -> Plane:
        """float64: the SDR code (0 to 255) that a neutral of so many cd/m2 becomes."""
        return np.interp(nits, self._light, self.cutter.grey)

    @property
    def _light(self) -> Plane:
        """cd/m2 of a neutral by its luma code; the tone settings do not matter to it."""
        return Grader(self.facts.tags, self.facts.bits, ToneSettings(), self.facts.max_cll).nits


@contextmanager
def examining(recipe: Recipe, name: str, curve: UserCurve | None = None) -> Iterator[Examined]:
    """Open a movie of a resolved recipe.

    Raises:
        MovieError: if it gives nothing; why, and what would help.
    """
    movie = next(movie for movie in recipe.movies if movie.name == name)
    facts = known_facts(movie.path, movie.assume)
    with open_movie(movie.path, assume=movie.assume, facts=facts, threads=decoder_threads()) as opened:
        yield Examined(opened, Cutter(recipe, facts, with_defaults({"curve": curve})))
