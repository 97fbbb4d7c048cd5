"""Finds frames of a file without presentation times, such as a raw stream, by counting from its beginning."""

from __future__ import annotations

import math
from fractions import Fraction

from av.video.frame import VideoFrame

from ..errors import WindowError
from .decoder import MAX_REORDER, PAST_END_SECONDS, CodedFrame, Decoder, TimedFrame
from .facts import Facts


class CountingReader:
    """Decodes forwards, and from the beginning again for an earlier window."""

    def __init__(self, decoder: Decoder, facts: Facts) -> None:
        self._decoder, self._facts = decoder, facts
        self._total = round(facts.frame_count)
        self._begin()

    def _begin(self) -> None:
        self._packets: list[CodedFrame] = []
        self._ended = False
        self._decoded = 0
        """Number of frames decoded so far."""
        self._kept: dict[int, tuple[int, VideoFrame]] = {}
        """Frames from the beginning of the last window on: number in presentation order to (serial number, frame)."""

    def snap_to_keyframe(self, seconds: float, count: int) -> float:
        """The same ``seconds``: no window is cheaper than another, because all are decoded from the beginning."""
        return seconds

    def frames(self, seconds: float, count: int) -> list[TimedFrame]:
        """As :meth:`SeekingReader.frames`."""
        position = Fraction(seconds) * Fraction(self._facts.fps)
        if position > self._total - 1 + PAST_END_SECONDS * self._facts.fps:
            raise WindowError("past_end", f"{self._decoder.path} ends at {self._facts.duration:.3f} s")
        if self._total < count:
            raise WindowError("too_short", f"{self._decoder.path} has {self._total} frames")
        centre = max(0, math.ceil(position - Fraction(1, 2)))
        first = max(0, min(centre - count // 2, self._total - count))
        if first < min(self._kept, default=self._decoded):
            self._decoder.reopen()
            self._begin()
        # All that is presented in the window was sent at most one reordering later, and came out at most another later.
        while self._decoded < first + count + 2 * MAX_REORDER and not self._ended:
            self._decode_next(first)
        window = {number: self._kept[number] for number in range(first, first + count) if number in self._kept}
        if len(window) < count or not self._is_intact([serial for serial, _ in window.values()]):
            raise WindowError("undecodable", f"{self._decoder.path} is damaged around {seconds:.3f} s")
        return [TimedFrame(number / Fraction(self._facts.fps), frame) for number, (_, frame) in window.items()]

    def _decode_next(self, first: int) -> None:
        coded = self._decoder.read()
        self._ended = coded is None
        if coded:
            self._packets.append(coded)
        for serial, frame in self._decoder.decode(coded):
            past = self._packets[serial - self._packets[0].serial]
            past.decoded = True
            past.damaged |= frame.is_corrupt
            if self._decoded >= first:
                self._kept[self._decoded] = serial, frame
            self._decoded += 1
        self._kept = {number: kept for number, kept in self._kept.items() if number >= first}

    def _is_intact(self, serials: list[int]) -> bool:
        """Whether no frame that the window may be predicted from is damaged, and no frame around it is lost."""
        positions = [serial - self._packets[0].serial for serial in serials]
        # Leading frames need the keyframe before theirs, and without times nobody knows which frames lead.
        keys = [at for at, coded in enumerate(self._packets[: min(positions) + 1]) if coded.is_key][-2:]
        needed = self._packets[keys[0] : max(positions) + 1 + MAX_REORDER]
        is_bad = any((coded.damaged and not coded.droppable) or (coded.shows and not coded.decoded) for coded in needed)
        return not is_bad and not any(self._packets[at].damaged for at in positions)
