"""Pictures of a file without presentation times, as raw streams are: they are counted from its beginning."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from fractions import Fraction

from av.video.frame import VideoFrame

from ..errors import WindowError
from .decoder import MAX_REORDER, PAST_END_SECONDS, Coded, Counters, Source, Timed
from .facts import Facts


@dataclass(frozen=True, slots=True)
class Counted:
    """A frame, its number in presentation order, and the packet that it came from."""

    number: int
    serial: int
    frame: VideoFrame


class CountingReader:
    """One open file and its decoder, which goes forward, or begins anew."""

    def __init__(self, source: Source, facts: Facts, counters: Counters) -> None:
        self._source, self._facts, self._counters = source, facts, counters
        self._total = round(facts.duration * facts.fps)
        self._begin()

    def _begin(self) -> None:
        self._coded: list[Coded] = []
        """All packets so far."""
        self._ended = False
        self._count = 0
        """Pictures that came out so far."""
        self._kept: deque[Counted] = deque()
        """Those from the beginning of the last window on."""

    def entry(self, seconds: float, frames: int) -> float:
        """The same ``seconds``: a stream that is decoded from its beginning has no cheaper place."""
        return seconds

    def pictures(self, seconds: float, frames: int) -> list[Timed]:
        """The ``frames`` consecutive pictures around the one nearest to ``seconds``.

        Raises :class:`WindowError`: ``past_end``, ``too_short`` or ``undecodable``.
        """
        place = Fraction(seconds) * Fraction(self._facts.fps)
        if place > self._total - 1 + PAST_END_SECONDS * self._facts.fps:
            raise WindowError("past_end", f"{self._source.path} ends at {self._facts.duration:.3f} s")
        if self._total < frames:
            raise WindowError("too_short", f"{self._source.path} has {self._total} pictures")
        centre = max(0, math.ceil(place - Fraction(1, 2)))
        low = max(0, min(centre - frames // 2, self._total - frames))
        if low < (self._kept[0].number if self._kept else self._count):
            self._counters.seeks += 1
            self._source.reopen()
            self._begin()
        # Whatever is presented in the window was decoded one reordering later, and came out after another one.
        while self._count < low + frames + 2 * MAX_REORDER and not self._ended:
            self._decode_next(low)
        wanted = [counted for counted in self._kept if low <= counted.number < low + frames]
        if len(wanted) < frames or not self._sound(wanted):
            raise WindowError("undecodable", f"{self._source.path} is damaged around {seconds:.3f} s")
        return [Timed(counted.number / Fraction(self._facts.fps), counted.frame) for counted in wanted]

    def _decode_next(self, low: int) -> None:
        coded = self._source.read()
        if coded is None:
            self._ended = True
            frames = self._source.drain()
        else:
            self._coded.append(coded)
            frames = self._source.decode(coded)
        for serial, frame in frames:
            past = self._coded[serial - self._coded[0].serial]
            past.emitted = True
            past.damaged |= frame.is_corrupt
            if self._count >= low:
                self._kept.append(Counted(self._count, serial, frame))
            self._count += 1
        while self._kept and self._kept[0].number < low:
            self._kept.popleft()

    def _sound(self, wanted: list[Counted]) -> bool:
        """Nothing that they may be predicted from is damaged, and no picture around them is lost."""
        base = self._coded[0].serial
        serials = [counted.serial - base for counted in wanted]
        # Leading pictures need the keyframe before theirs, and which ones lead cannot be told without times.
        keys = [at for at, coded in enumerate(self._coded[: min(serials) + 1]) if coded.key][-2:]
        span = self._coded[keys[0] : max(serials) + 1 + MAX_REORDER]
        whole = not any(
            (coded.damaged and not coded.droppable) or (coded.shows and not coded.emitted) for coded in span
        )
        return whole and not any(self._coded[serial].damaged for serial in serials)
