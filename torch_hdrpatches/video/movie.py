"""Windows of consecutive pictures of a movie, exact to the frame."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from functools import partial

import torch.utils.data

from ..errors import DamagedMovieError, StorageError, WindowError
from ..frames import Window
from ..storage.remote import is_url
from .counting_reader import CountingReader
from .decoder import Counters, Source, Timed, prepare_for
from .facts import Facts
from .planes import layout_of, planes_of
from .seeking_reader import SeekingReader
from .timeout import Watched

PATIENCE_SECONDS = 120.0
"""A window that takes longer than this will not come: the slowest honest one, 4K far from a keyframe, takes a few."""


class MovieReader:
    """One open container and its decoder. A window does not depend on those before it, only its cost does."""

    def __init__(self, path: str, facts: Facts, threads: int = 1) -> None:
        self.path = path
        self.facts = facts
        self.counters = Counters()
        self._call: Watched[list[Timed]] | None = None
        prepare_for((facts.codec, facts.height, facts.width, facts.bits, facts.chroma))
        self._source = Source(path, facts.stream, self.counters, threads=threads, strict=True)
        try:
            self._reader = (SeekingReader if self._source.timed else CountingReader)(self._source, facts, self.counters)
        except BaseException:
            self._source.close()
            raise

    def __enter__(self) -> MovieReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def entry(self, seconds: float, frames: int = 7) -> float:
        """The seconds near ``seconds`` whose window is cheapest: it begins with the keyframe at or before that time."""
        return self._reader.entry(seconds, frames)

    def close(self) -> None:
        """Free the decoder and the file."""
        if not (self._call and self._call.is_running):  # what a hanging decoder holds cannot be freed
            self._source.close()

    def _watched(self, call: Callable[[], list[Timed]]) -> list[Timed]:
        self._call = Watched(call)
        try:
            return self._call.result(PATIENCE_SECONDS)
        except TimeoutError as error:
            if is_url(self.path):
                raise StorageError(f"{self.path}: {error}; is its store slow? The same command goes on later") from None
            raise DamagedMovieError(self.path, f"its decoder gave {error}", "remux or re-encode it") from None

    def window(self, seconds: float, frames: int = 7) -> Window:
        """The ``frames`` consecutive pictures around the one nearest to ``seconds`` after the presentation start.

        Near either end of the movie the nearest full window is given. The planes view the decoder's memory, which
        stays as it is for as long as they live.

        Raises:
            WindowError: with the reason ``past_end``, ``too_short``, ``undecodable`` or ``size_change``.
        """
        self.counters.windows += 1
        pictures = self._watched(partial(self._reader.pictures, seconds, frames))
        known = self.facts.width, self.facts.height, self.facts.bits, self.facts.chroma
        for _, frame in pictures:
            layout = layout_of(frame.format.name)
            if layout is None or (frame.width, frame.height, layout.bits, layout.chroma) != known:
                found = f"{frame.width}x{frame.height} {frame.format.name}"
                raise WindowError("size_change", f"{found} in {self.path}")
        return Window(
            frames=tuple(planes_of(frame) for _, frame in pictures),
            pts=tuple(float(time) for time, _ in pictures),
            seconds=float(pictures[frames // 2].time) - self.facts.start,
        )


MAX_DECODER_THREADS = 4
"""More slice threads than this wait for each other."""


def decoder_threads() -> int:
    """Threads that a decoder may use here: the cores that no other worker of this DataLoader or pool needs.

    One decoder per core gives the most pictures per second, so that a worker has one thread where there are as many
    workers as cores. ``OMP_NUM_THREADS``, which Ray and many job scripts set, counts as the number of cores.
    """
    cores = int(os.environ.get("OMP_NUM_THREADS", 0)) or os.cpu_count() or 1
    info = torch.utils.data.get_worker_info()
    if info:
        return max(1, min(MAX_DECODER_THREADS, cores // info.num_workers))
    return 1 if multiprocessing.parent_process() else min(MAX_DECODER_THREADS, cores)
