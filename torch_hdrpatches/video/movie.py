"""An open movie, from which windows of consecutive frames are read."""

from __future__ import annotations

import multiprocessing
import os
from functools import partial

import torch.utils.data
from av.video.frame import VideoFrame

from ..errors import DamagedMovieError, StorageError, WindowError
from ..frames import Window
from ..storage.remote import is_url
from .counting_reader import CountingReader
from .decoder import Counters, Decoder, TimedFrame, trim_memory_on_change
from .facts import Facts
from .planes import layout_of, planes_of
from .seeking_reader import SeekingReader
from .timeout import TimedCall

WINDOW_TIMEOUT_SECONDS = 120.0
"""Longest time for one window; the slowest correct one, 4K far from a keyframe, takes a few seconds."""
MAX_DECODER_THREADS = 4
"""More slice threads than this wait for each other."""


class MovieReader:
    """One open container and its decoder. A window does not depend on those before it, only its speed does."""

    def __init__(self, path: str, facts: Facts, threads: int = 1) -> None:
        self.path = path
        self.facts = facts
        self._call: TimedCall[list[TimedFrame]] | None = None
        trim_memory_on_change((facts.codec, facts.height, facts.width, facts.bits, facts.chroma))
        self._decoder = Decoder(path, facts.stream, threads=threads, strict=True)
        try:
            self._reader = (SeekingReader if self._decoder.has_pts else CountingReader)(self._decoder, facts)
        except BaseException:
            self._decoder.close()
            raise

    @property
    def counters(self) -> Counters:
        """The work done so far."""
        return self._decoder.counters

    def __enter__(self) -> MovieReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the decoder and the file."""
        if not (self._call and self._call.is_running):  # a decoder that hangs cannot be freed
            self._decoder.close()

    def snap_to_keyframe(self, seconds: float, frames: int = 7) -> float:
        """The time whose window begins with the keyframe at or before ``seconds``: the cheapest window nearby."""
        return self._reader.snap_to_keyframe(seconds, frames)

    def window(self, seconds: float, frames: int = 7) -> Window:
        """The ``frames`` consecutive frames around the one nearest to ``seconds`` after the presentation start.

        Near either end of the movie this is the nearest full window. The planes view the decoder's memory, which stays
        valid and unchanged as long as they exist.

        Raises:
            WindowError: with the reason ``past_end``, ``too_short``, ``undecodable`` or ``size_change``.
            DamagedMovieError: the decoder does not return.
            StorageError: reading from a URL takes too long.
        """
        self.counters.windows += 1
        decoded = self._decoded(seconds, frames)
        for _, frame in decoded:
            self._check_format(frame)
        return Window(
            frames=tuple(planes_of(frame) for _, frame in decoded),
            pts=tuple(float(time) for time, _ in decoded),
            seconds=float(decoded[frames // 2].seconds) - self.facts.start,
        )

    def _decoded(self, seconds: float, count: int) -> list[TimedFrame]:
        self._call = TimedCall(partial(self._reader.frames, seconds, count))
        try:
            return self._call.result(WINDOW_TIMEOUT_SECONDS)
        except TimeoutError as error:
            if is_url(self.path):
                remedy = "check that the server responds, then run the same command again to resume"
                raise StorageError(f"{self.path}: reading gave {error}; {remedy}") from None
            raise DamagedMovieError(self.path, f"its decoder gave {error}", "remux or re-encode it") from None

    def _check_format(self, frame: VideoFrame) -> None:
        layout, facts = layout_of(frame.format.name), self.facts
        expected = facts.width, facts.height, facts.bits, facts.chroma
        if layout is None or (frame.width, frame.height, layout.bits, layout.chroma) != expected:
            raise WindowError("size_change", f"{frame.width}x{frame.height} {frame.format.name} in {self.path}")


def decoder_threads() -> int:
    """The number of decoder threads to use in this process: the cores that no other worker needs.

    One decoder per core gives the most frames per second, so a worker gets one thread if there are as many workers as
    cores. ``OMP_NUM_THREADS``, which Ray and many job scripts set, counts as the number of cores.
    """
    cores = int(os.environ.get("OMP_NUM_THREADS", 0)) or os.cpu_count() or 1
    worker = torch.utils.data.get_worker_info()
    if worker:
        return max(1, min(MAX_DECODER_THREADS, cores // worker.num_workers))
    return 1 if multiprocessing.parent_process() else min(MAX_DECODER_THREADS, cores)
