"""Windows of consecutive pictures of a movie, exact to the frame."""

from __future__ import annotations

from collections.abc import Mapping

from .counting import CountingReader
from .errors import WindowError
from .facts import Facts, probe
from .frames import Window
from .planes import planes_of
from .seeking import SeekingReader
from .source import Counters, Source


def open_movie(
    path: str, *, assume: Mapping[str, str] | None = None, facts: Facts | None = None, threads: int = 1
) -> Movie:
    """Open a movie; with ``facts`` given it is not probed again.

    Raises:
        MovieError: it gives nothing; why, and what would help.
    """
    return Movie(path, facts if facts is not None else probe(path, assume=assume), threads)


class Movie:
    """One open container and its decoder. A window does not depend on those before it, only its cost does."""

    def __init__(self, path: str, facts: Facts, threads: int = 1) -> None:
        self.path = path
        self.facts = facts
        self.counters = Counters()
        self._source = Source(path, facts.stream, self.counters, threads=threads, strict=True)
        try:
            self._reader = (SeekingReader if self._source.timed else CountingReader)(self._source, facts, self.counters)
        except BaseException:
            self._source.close()
            raise

    def __enter__(self) -> Movie:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the decoder and the file."""
        self._source.close()

    def window(self, seconds: float, frames: int = 7) -> Window:
        """The ``frames`` consecutive pictures around the one nearest to ``seconds`` after the presentation start.

        Near either end of the movie the nearest full window is given. The planes view the decoder's memory, which
        stays as it is for as long as they live.

        Raises:
            WindowError: with the reason ``past_end``, ``too_short``, ``undecodable`` or ``size_change``.
        """
        self.counters.windows += 1
        pictures = self._reader.pictures(seconds, frames)
        for _, frame in pictures:
            if (frame.width, frame.height) != (self.facts.width, self.facts.height):
                raise WindowError("size_change", f"{frame.width}x{frame.height} in {self.path}")
        return Window(
            pictures=tuple(planes_of(frame) for _, frame in pictures),
            pts=tuple(float(time) for time, _ in pictures),
            seconds=float(pictures[frames // 2].time) - self.facts.start,
        )
