"""Reads the packets around a time: onwards from the current position, or after seeking a keyframe."""

from __future__ import annotations

import math

from ..errors import DamagedMovieError
from .decoder import MAX_REORDER, CodedFrame, Decoder

READ_AHEAD = 8  # packets
NO_INDEX_READ_SECONDS = 5  # without an index, times up to this far ahead are reached by reading on, not by seeking
MAX_SEEKS = 12  # attempts to land at or before a time, each further back; then the movie is read from its beginning


class Demuxer:
    """The packets of an open container with time stamps. Times are in units of its time base."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._second = 1 / decoder.time_base
        first = self._begin_span()
        if first is None:
            raise DamagedMovieError(decoder.path, "has no keyframe")
        self._first = first
        self._seek_to_start()  # Matroska's index is read at the first seek only

    def _begin_span(self) -> CodedFrame | None:
        self.span = PacketSpan()
        """Everything read since the last seek."""
        self.ended = False
        """The span reaches the end of the movie."""
        return self.read()

    def read(self) -> CodedFrame | None:
        """Append the next packet to the span and return it; None at the end."""
        coded = self._decoder.read()
        if coded is None:
            self.ended = True
        else:
            self.span.append(coded)
        return coded

    def read_on(self) -> None:
        """Append the next packets to the span."""
        for _ in range(READ_AHEAD):
            if self.read() is None:
                break

    def at_start(self) -> bool:
        """Whether the span begins with the first packet of the movie."""
        packets = self.span.packets
        return bool(packets) and (packets[0].pts, packets[0].dts) == (self._first.pts, self._first.dts)

    def reaches(self, time: int) -> bool:
        """Whether to read on to ``time``: a seek would not land on a later keyframe."""
        if not self.span.packets or time < self.span.packets[0].time:
            return self.at_start()
        if self.ended or time <= self.span.newest:
            return True
        index = self._decoder.stream.index_entries
        at = index.search_timestamp(time - self._index_lag())
        if at >= 0 and index[at].timestamp > self.span.newest:
            return False  # there is a keyframe in between
        if len(index) and index[-1].timestamp > self.span.newest:
            return True  # there is none: the index covers this part of the movie
        return time - self.span.newest <= NO_INDEX_READ_SECONDS * self._second

    def _index_lag(self) -> int:
        """Presentation time of a keyframe minus its time in the index, which MP4 counts in decoding time."""
        index = self._decoder.stream.index_entries
        return max(0, self._first.time - index[0].timestamp) if len(index) else 0

    def seek(self, time: int) -> None:
        """Start a new span at a keyframe at or before ``time``, or at the beginning of the movie."""
        indexed = len(self._decoder.stream.index_entries) > 0
        # Without an index the container finds the time itself rather than the keyframe before it.
        aim = time - (self._index_lag() if indexed else round(self._second))
        for attempt in range(MAX_SEEKS):
            if not self._decoder.seek(aim):
                break
            first = self._begin_span()
            if first is not None and (first.time <= time or self.at_start()):
                return
            landed = self.span.time_before() if first is not None else aim
            aim = min(aim - 1, landed) - round(self._second * (2**attempt - 1))
        self._seek_to_start()

    def seek_further_back(self) -> None:
        """Start a new span at a keyframe before the current span."""
        self.seek(self.span.time_before())

    def _seek_to_start(self) -> None:
        times = [time for time in (self._first.pts, self._first.dts) if time is not None]
        if times and self._decoder.seek(min(times)):
            self._begin_span()
            if self.at_start():
                return
        self._decoder.reopen()
        self._begin_span()


class PacketSpan:
    """Consecutive packets in decoding order, beginning with a keyframe."""

    def __init__(self) -> None:
        self.packets: list[CodedFrame] = []
        self.newest: float = -math.inf
        """The latest presentation time so far."""

    def append(self, coded: CodedFrame) -> None:
        """Add the next packet."""
        self.packets.append(coded)
        if coded.pts is not None:
            self.newest = max(self.newest, coded.pts)

    def get(self, serial: int) -> CodedFrame | None:
        """The packet with this serial number; None if the span does not include it."""
        at = serial - self.packets[0].serial if self.packets else -1
        return self.packets[at] if 0 <= at < len(self.packets) else None

    def forget_before(self, coded: CodedFrame) -> None:
        """Drop all packets before ``coded``."""
        del self.packets[: coded.serial - self.packets[0].serial]

    def time_before(self) -> int:
        """A time just before the span."""
        first = self.packets[0]
        return min(first.time, first.time if first.dts is None else first.dts) - 1

    def shown(self, *, from_start: bool) -> list[CodedFrame]:
        """The shown frames in presentation order.

        Those presented before the keyframe are left out except at the start of the movie, because frames that were not
        read belong between them.
        """
        floor = -math.inf if from_start or not self.packets else self.packets[0].time
        shown = [coded for coded in self.packets if coded.shows and coded.pts is not None and coded.pts >= floor]
        return sorted(shown, key=lambda coded: (coded.time, coded.serial))

    def keyframe_of(self, coded: CodedFrame) -> CodedFrame:
        """The latest keyframe from which ``coded`` can be decoded; for a leading frame, the one before its keyframe."""
        past = reversed(self.packets[: coded.serial - self.packets[0].serial + 1])
        return next((key for key in past if key.is_key and key.time <= coded.time), self.packets[0])

    def is_intact(self, window: list[CodedFrame]) -> bool:
        """Whether no frame of a decoded window, and no frame that it may be predicted from, is damaged or lost."""
        first, last = window[0].time, window[-1].time
        serials = [coded.serial for coded in window]
        if max(serials) - min(serials) > len(window) + 2 * MAX_REORDER:
            return False  # time stamps start again in the middle of the file, so these frames are no neighbours
        if any(coded.decoded and not coded.shows and first <= coded.time <= last for coded in self.packets):
            return False
        return not any(coded.damaged or self._has_bad_reference(coded, first) for coded in window)

    def _has_bad_reference(self, coded: CodedFrame, window_start: int) -> bool:
        keyframe, base = self.keyframe_of(coded), self.packets[0].serial
        for past in self.packets[keyframe.serial - base : coded.serial - base]:
            if past.pts is not None and past.pts < keyframe.time:
                continue  # a leading frame: no frame presented after the keyframe refers to it
            lost = past.sent and past.shows and past.time < window_start and not past.decoded
            if (past.damaged or lost) and not past.droppable:
                return True
        return False
