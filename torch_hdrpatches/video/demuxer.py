"""Packets around any time of a movie: read on from where the container is, or from a keyframe that is sought."""

from __future__ import annotations

import math

from ..errors import DamagedMovieError
from .decoder import MAX_REORDER, Coded, Source

READ_AHEAD = 8
"""Packets that are read at a time."""
PATIENCE_SECONDS = 5
"""So far is read on, rather than sought, where the container has no index to say whether a keyframe lies between."""
MAX_SEEKS = 12
"""Attempts, each further back than the one before, to land at or before a time; then it is read from the beginning."""


class Demuxer:
    """One open container with time stamps. Times are in units of its time base, seeks decided by its index."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._second = 1 / source.time_base
        first = self._begin_stretch()
        if first is None:
            raise DamagedMovieError(source.path, "holds no keyframe")
        self._first = first
        self._seek_to_start()  # Matroska reads its index at the first seek only

    def _begin_stretch(self) -> Coded | None:
        """Forget what was read; the packet with which what follows begins, None if there is none."""
        self.stretch = Stretch()
        """What was read since the last seek."""
        self.ended = False
        """There is nothing behind the stretch."""
        return self.read()

    def read(self) -> Coded | None:
        """The next packet, which the stretch has then; None at the end."""
        coded = self._source.read()
        if coded is None:
            self.ended = True
        else:
            self.stretch.append(coded)
        return coded

    def read_on(self) -> None:
        """Read some packets."""
        for _ in range(READ_AHEAD):
            if self.read() is None:
                break

    def at_start(self) -> bool:
        """The stretch begins with the movie."""
        first = self.stretch.packets[0] if self.stretch.packets else None
        return first is not None and (first.pts, first.dts) == (self._first.pts, self._first.dts)

    def reaches(self, time: int) -> bool:
        """Reading on comes to ``time`` without passing a keyframe from which it is nearer."""
        if not self.stretch.packets or time < self.stretch.packets[0].time:
            return self.at_start()
        if self.ended or time <= self.stretch.newest:
            return True
        index = self._source.stream.index_entries
        at = index.search_timestamp(time - self._index_lag())
        if at >= 0 and index[at].timestamp > self.stretch.newest:
            return False  # there is a keyframe between
        if len(index) and index[-1].timestamp > self.stretch.newest:
            return True  # there is none, as the index goes on and does not say so
        return time - self.stretch.newest <= PATIENCE_SECONDS * self._second

    def _index_lag(self) -> int:
        """How much earlier the index dates a keyframe: MP4 by decoding time, Matroska by presentation time."""
        index = self._source.stream.index_entries
        return max(0, self._first.time - index[0].timestamp) if len(index) else 0

    def seek(self, time: int) -> None:
        """Begin a new stretch at a keyframe that is presented at or before ``time``, or with the movie."""
        indexed = len(self._source.stream.index_entries) > 0
        # Without an index the container finds the time rather than the keyframe before it.
        aim = time - (self._index_lag() if indexed else round(self._second))
        for attempt in range(MAX_SEEKS):
            if not self._source.seek(aim):
                break
            first = self._begin_stretch()
            if first is not None and (first.time <= time or self.at_start()):
                return
            landed = self.stretch.before() if first is not None else aim
            aim = min(aim - 1, landed) - round(self._second * (2**attempt - 1))
        self._seek_to_start()

    def _seek_to_start(self) -> None:
        times = [time for time in (self._first.pts, self._first.dts) if time is not None]
        if times and self._source.seek(min(times)):
            self._begin_stretch()
            if self.at_start():
                return
        self._source.reopen()
        self._begin_stretch()


class Stretch:
    """Neighbouring packets in decoding order, beginning with a keyframe."""

    def __init__(self) -> None:
        self.packets: list[Coded] = []
        self.newest: float = -math.inf
        """The latest presentation time so far."""

    def append(self, coded: Coded) -> None:
        """Add the packet that follows."""
        self.packets.append(coded)
        if coded.pts is not None:
            self.newest = max(self.newest, coded.pts)

    def get(self, serial: int) -> Coded | None:
        """The packet with this serial, if it is part of the stretch."""
        at = serial - self.packets[0].serial if self.packets else -1
        return self.packets[at] if 0 <= at < len(self.packets) else None

    def forget_before(self, coded: Coded) -> None:
        """Begin with ``coded``."""
        del self.packets[: coded.serial - self.packets[0].serial]

    def before(self) -> int:
        """A time that lies before the stretch."""
        first = self.packets[0]
        return min(time for time in (first.pts, first.dts, first.time) if time is not None) - 1

    def shown(self, *, from_start: bool) -> list[Coded]:
        """The pictures in presentation order.

        Those before the keyframe follow pictures of the stretch before; they count only at the start of the movie.
        """
        floor = -math.inf if from_start or not self.packets else self.packets[0].time
        shown = [coded for coded in self.packets if coded.shows and coded.pts is not None and coded.pts >= floor]
        return sorted(shown, key=lambda coded: (coded.time, coded.serial))

    def keyframe_of(self, coded: Coded) -> Coded:
        """The latest keyframe from which ``coded`` can be decoded: leading pictures need the one before theirs."""
        past = reversed(self.packets[: coded.serial - self.packets[0].serial + 1])
        return next((key for key in past if key.key and key.time <= coded.time), self.packets[0])

    def is_sound(self, window: list[Coded]) -> bool:
        """Nothing in a decoded window, and nothing that its pictures are predicted from, is damaged or lost."""
        first, last = window[0], window[-1]
        serials = [coded.serial for coded in window]
        if max(serials) - min(serials) > len(window) + 2 * MAX_REORDER:
            return False  # times begin anew in the middle of the file, so that this is no stretch of the movie
        unforeseen = (coded for coded in self.packets if coded.emitted and not coded.shows)
        if any(first.time <= coded.time <= last.time for coded in unforeseen):
            return False
        return not any(coded.damaged or self._is_tainted(coded, first.time) for coded in window)

    def _is_tainted(self, coded: Coded, window_begins: int) -> bool:
        keyframe = self.keyframe_of(coded)
        base = self.packets[0].serial
        for past in self.packets[keyframe.serial - base : coded.serial - base]:
            if past.pts is not None and past.pts < keyframe.time:
                continue  # a leading picture: none that is presented after the keyframe refers to it
            lost = past.fed and past.shows and past.time < window_begins and not past.emitted
            if (past.damaged or lost) and not past.droppable:
                return True
        return False
