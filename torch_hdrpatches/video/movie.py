"""An open movie, from which windows of consecutive frames are read."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

import torch.utils.data

from ..errors import DamagedMovieError, StorageError, WindowError
from ..frames import Window
from ..storage.remote import is_url
from .counting_reader import CountingReader
from .decoder import Decoder, TimedFrame, trim_memory
from .facts import Facts
from .movie_file import patiently, waits_for_bytes
from .planes import layout_of, planes_of
from .seeking_reader import SeekingReader

WINDOW_TIMEOUT_SECONDS = 120.0
"""Longest time for one window; the slowest correct one, 4K far from a keyframe, takes a few seconds."""
MAX_DECODER_THREADS = 4  # more slice threads wait for each other

Result = TypeVar("Result")


class MovieReader:
    """One open container and its decoder. A window does not depend on those before it, only its speed does."""

    def __init__(self, path: str, facts: Facts, threads: int = 1) -> None:
        self.path = path
        self.facts = facts
        self._call: TimedCall[list[TimedFrame]] | None = None
        trim_memory((facts.codec, facts.height, facts.width, facts.bits, facts.chroma))
        # It could be opened when its facts were read, so if it cannot be opened now, that will pass.
        self._decoder = patiently(path, partial(Decoder, path, facts.stream, threads=threads, strict=True))
        self.counters = self._decoder.counters
        try:
            self._reader = (SeekingReader if self._decoder.has_pts else CountingReader)(self._decoder, facts)
        except BaseException:
            self._decoder.close()
            raise

    def __enter__(self) -> MovieReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the decoder and the file."""
        if not (self._call and self._call.is_alive()):  # a decoder that hangs cannot be freed
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
            StorageError: the disk, the network or the system fails or takes too long.
        """
        self.counters.windows += 1
        decoded = self._decoded(seconds, frames)
        facts = self.facts
        for _, frame in decoded:
            layout = layout_of(frame.format.name)
            size = frame.width, frame.height
            if layout is None or (*size, *layout[:2]) != (facts.width, facts.height, facts.chroma, facts.bits):
                raise WindowError("size_change", f"{frame.width}x{frame.height} {frame.format.name} in {self.path}")
        return Window(
            frames=tuple(planes_of(frame) for _, frame in decoded),
            pts=tuple(float(time) for time, _ in decoded),
            seconds=float(decoded[frames // 2].seconds) - facts.start,
        )

    def _decoded(self, seconds: float, count: int) -> list[TimedFrame]:
        self._call = TimedCall(partial(self._reader.frames, seconds, count))
        try:
            return self._call.result(WINDOW_TIMEOUT_SECONDS)
        except TimeoutError as error:
            if is_url(self.path) or waits_for_bytes(self._call):
                remedy = "check that its disk or server responds, then run the same command again to resume"
                raise StorageError(f"{self.path}: reading gave {error}; {remedy}") from None
            raise DamagedMovieError(self.path, f"its decoder gave {error}", "remux or re-encode it") from None


class TimedCall(threading.Thread, Generic[Result]):
    """A call that runs in its own thread, because a call into C code that never returns cannot be interrupted."""

    def __init__(self, call: Callable[[], Result]) -> None:
        super().__init__(daemon=True)  # does not keep the interpreter from exiting
        self._call = call
        self._result: list[Result] = []
        self._error: list[BaseException] = []
        self.start()

    def run(self) -> None:
        """Run in the new thread, by ``start``."""
        try:
            self._result.append(self._call())
        except BaseException as error:  # noqa: BLE001 - raised again in result()
            self._error.append(error)

    def result(self, seconds: float) -> Result:
        """Return what the call returns, or raise what it raises.

        Raises TimeoutError after this many seconds; the call then goes on, and its resources stay in use. While the
        process is stopped (SIGSTOP, or a batch system's suspend), at most a second counts.
        """
        left = seconds
        while left > 0 and self.is_alive():
            step = min(left, 1.0)
            self.join(step)
            left -= step
        if self.is_alive():
            raise TimeoutError(f"no answer within {seconds:g} s")
        # Removed rather than kept: an error refers to its stack frames, and these to this call and a decoder.
        if self._error:
            raise self._error.pop()
        return self._result.pop()


def decoder_threads() -> int:
    """The number of decoder threads to use in this process: as many as it has cores that no other worker needs.

    ``OMP_NUM_THREADS``, which Ray and many job scripts set, counts as the number of cores.
    """
    cores = int(os.environ.get("OMP_NUM_THREADS", 0)) or os.cpu_count() or 1
    worker = torch.utils.data.get_worker_info()
    if worker:
        return max(1, min(MAX_DECODER_THREADS, cores // worker.num_workers))
    return 1 if multiprocessing.parent_process() else min(MAX_DECODER_THREADS, cores)
