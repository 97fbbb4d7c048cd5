"""Pictures of a movie with time stamps, exact to the frame, seeking and decoding as little as possible."""

from __future__ import annotations

import math
from bisect import bisect_left
from fractions import Fraction

from av.video.frame import VideoFrame

from .errors import DamagedMovieError, WindowError
from .facts import Facts
from .source import MAX_REORDER, PAST_END_SECONDS, Coded, Counters, Source, Timed

READ_AHEAD = 24
PATIENCE_SECONDS = 5
"""So far is read on, rather than sought, where the container has no index to say whether a keyframe lies between."""


class SeekingReader:
    """One open container and its decoder. What it gives does not depend on what it gave before, only its cost does."""

    def __init__(self, source: Source, facts: Facts, counters: Counters) -> None:
        self._source, self._facts, self._counters = source, facts, counters
        self._second = 1 / self._source.time_base
        self._start = round(Fraction(facts.start) * self._second)
        self._generous = False
        """Windows follow each other so closely that what lies just behind one is not dropped."""
        self._clear()
        first = self._read()
        if first is None:
            raise DamagedMovieError(source.path, "holds no keyframe")
        self._first = (first.pts, first.dts)
        self._seek_to_start()  # Matroska reads its index at the first seek only

    def pictures(self, seconds: float, frames: int) -> list[Timed]:
        """The ``frames`` consecutive pictures around the one nearest to ``seconds`` after the presentation start.

        Raises :class:`WindowError`: ``past_end``, ``too_short`` or ``undecodable``.
        """
        target = self._start + Fraction(seconds) * self._second
        wanted = self._plan(target, frames, fresh=False)
        if not self._decode(wanted, self._keyframe_of(wanted[0]), drop=True):
            wanted = self._plan(target, frames, fresh=True)
            self._decode(wanted, self._keyframe_of(wanted[0]), drop=True)
        if not self._sound(wanted):
            # Once more from one keyframe further back and without dropping: this attempt depends on the file only.
            wanted = self._plan(target, frames, fresh=True, back=True)
            self._decode(wanted, self._stretch[0], drop=False)
            if not self._sound(wanted):
                raise WindowError("undecodable", f"{self._source.path} is damaged around {seconds:.3f} s")
        return [Timed(_time(coded) / self._second, self._kept[coded.serial]) for coded in wanted]

    # Which pictures: known from the packets alone

    def _plan(self, target: Fraction, frames: int, *, fresh: bool, back: bool = False) -> list[Coded]:
        half = frames // 2
        reach = math.floor(target - half * self._second / Fraction(self._facts.fps or 24))
        if fresh or self._must_seek(reach):
            self._seek(reach)
            if back:
                self._seek(self._before())
        while True:
            shown = self._shown()
            times = [_time(coded) for coded in shown]
            after = bisect_left(times, target)
            centre = after - 1 if after and (after == len(times) or target - times[after - 1] <= times[after] - target) else after
            low = centre - half
            if low < 0 and self._at_start():
                low = 0
            high = low + max(frames - 1, half + 1)
            if low >= 0 and self._settled(times, high):
                return shown[low : low + frames]
            if not self._ended and (low >= 0 or not times or times[-1] <= target):
                self._read_on()
                continue
            if self._ended and times and target > times[-1] + PAST_END_SECONDS * self._second:
                raise WindowError("past_end", f"{self._source.path} ends at {float((times[-1] - self._start) / self._second):.3f} s")
            if self._ended and low >= 0:
                low = min(low, len(shown) - frames)
            if low >= 0:
                return shown[low : low + frames]
            if self._at_start():
                raise WindowError("too_short", f"{self._source.path} has {len(shown)} pictures")
            self._seek(self._before())

    def _shown(self) -> list[Coded]:
        """The pictures of the stretch in presentation order; those before its keyframe belong to the stretch before."""
        floor = _time(self._stretch[0]) if self._stretch and not self._at_start() else -math.inf
        shown = [c for c in self._stretch if c.shows and c.pts is not None and c.pts >= floor]
        return sorted(shown, key=lambda c: (_time(c), c.serial))

    def _settled(self, times: list[int], high: int) -> bool:
        """Nothing that is still to be read can be presented before the picture at ``high``."""
        return high < len(times) and len(times) - bisect_left(times, times[high] + 1) > MAX_REORDER

    def _keyframe_of(self, coded: Coded) -> Coded:
        """The latest keyframe from which ``coded`` can be decoded: leading pictures need the one before theirs."""
        keys = (c for c in reversed(self._stretch) if c.key and c.serial <= coded.serial and _time(c) <= _time(coded))
        return next(keys, self._stretch[0])

    # Reading and seeking

    def _read(self) -> Coded | None:
        coded = self._source.read()
        if coded is None:
            self._ended = True
        else:
            self._stretch.append(coded)
            self._newest = max(self._newest, coded.pts if coded.pts is not None else self._newest)
        return coded

    def _read_on(self) -> None:
        for _ in range(READ_AHEAD):
            if self._read() is None:
                break

    def _clear(self) -> None:
        """Forget what was read and decoded."""
        self._stretch: list[Coded] = []
        """What was read since the last seek, without gaps, beginning with a keyframe."""
        self._ended = False
        self._newest: float = -math.inf
        self._kept: dict[int, VideoFrame] = {}
        """Frames from the first picture of the last window on, by serial."""
        self._began = self._next = -1
        self._drained = False

    def _at_start(self) -> bool:
        return bool(self._stretch) and (self._stretch[0].pts, self._stretch[0].dts) == self._first

    def _before(self) -> int:
        """A time that lies before the stretch."""
        return min(t for t in (self._stretch[0].pts, self._stretch[0].dts) if t is not None) - 1

    def _must_seek(self, reach: int) -> bool:
        if not self._stretch or reach < _time(self._stretch[0]):
            return not self._at_start()
        if self._ended or reach <= self._newest:
            return False
        index = self._source.stream.index_entries
        at = index.search_timestamp(reach - self._index_lag())
        if at >= 0 and index[at].timestamp > self._newest:
            return True
        if len(index) and index[-1].timestamp > self._newest:
            return False
        return reach - self._newest > PATIENCE_SECONDS * self._second

    def _index_lag(self) -> int:
        """MP4 indexes decoding times, Matroska presentation times."""
        index = self._source.stream.index_entries
        return max(0, (self._first[0] or 0) - index[0].timestamp) if len(index) else 0

    def _seek(self, time: int) -> None:
        """Begin a new stretch at a keyframe presented at or before ``time``, or with the movie."""
        aim = time - self._index_lag()
        for attempt in range(12):
            if not self._source.seek(aim):
                break
            self._clear()
            first = self._read()
            if first is not None and (_time(first) <= time or self._at_start()):
                return
            aim = min(aim - 1, self._before() if first is not None else aim) - round(self._second * (2**attempt - 1))
        self._seek_to_start()

    def _seek_to_start(self) -> None:
        pts, dts = self._first
        if self._source.seek(min(t for t in (pts, dts) if t is not None)):
            self._clear()
            if self._read() is not None and self._at_start():
                return
        self._source.reopen()
        self._clear()
        self._read()

    # Decoding

    def _decode(self, wanted: list[Coded], keyframe: Coded, *, drop: bool) -> bool:
        """Decode until all of ``wanted`` are kept, or cannot come any more; False if their packets are gone."""
        serials = {coded.serial for coded in wanted}
        missing = [coded for coded in wanted if coded.serial not in self._kept]
        if missing and not (self._began <= keyframe.serial < self._next and all(self._can_come(c) for c in missing)):
            self._generous |= any(c.packet is None and not c.fed and c.serial < self._next for c in missing)
            if keyframe.packet is None:
                return False
            self._source.flush()
            self._began = self._next = keyframe.serial
            self._drained = False
        first, last = _time(wanted[0]), _time(wanted[-1])
        passed = False
        while not passed and not serials <= self._kept.keys():
            coded = self._upcoming()
            if coded is None:
                self._drained = True
                frames = self._source.drain()
            elif drop and coded.droppable and coded.serial not in serials and not (self._generous and _time(coded) > last):
                coded.packet = None
                self._counters.packets_dropped += 1
                continue
            else:
                frames = self._source.decode(coded)
                passed = coded.serial > wanted[-1].serial + 4 * MAX_REORDER
            for serial, frame in frames:
                emitted = self._known(serial)
                if emitted is None:
                    continue
                emitted.emitted = True
                emitted.damaged |= frame.is_corrupt
                if _time(emitted) >= first:
                    self._kept[serial] = frame
                passed |= _time(emitted) > last
            passed |= self._drained
        self._forget(first, keyframe)
        return True

    def _can_come(self, coded: Coded) -> bool:
        if coded.fed:
            return not coded.emitted and not self._drained
        return coded.packet is not None and coded.serial >= self._next

    def _upcoming(self) -> Coded | None:
        """The next packet for the decoder."""
        coded = self._known(self._next) or self._read()
        if coded is not None:
            self._next = coded.serial + 1
        return coded

    def _known(self, serial: int) -> Coded | None:
        at = serial - self._stretch[0].serial
        return self._stretch[at] if 0 <= at < len(self._stretch) else None

    def _forget(self, first: int, keyframe: Coded) -> None:
        """Keep no pictures before ``first`` and no packets before the keyframe."""
        self._kept = {serial: frame for serial, frame in self._kept.items() if self._is_kept(serial, first)}
        del self._stretch[: keyframe.serial - self._stretch[0].serial]

    def _is_kept(self, serial: int, first: int) -> bool:
        coded = self._known(serial)
        return coded is not None and _time(coded) >= first

    def _sound(self, wanted: list[Coded]) -> bool:
        """All of ``wanted`` came out whole, and nothing that they are predicted from is damaged or lost."""
        first, last = wanted[0], wanted[-1]
        for coded in self._stretch:
            if coded.emitted and not coded.shows and _time(first) <= _time(coded) <= _time(last):
                return False
        return all(coded.serial in self._kept and not self._tainted(coded, first) for coded in wanted)

    def _tainted(self, coded: Coded, first: Coded) -> bool:
        if coded.damaged:
            return True
        keyframe = self._keyframe_of(coded)
        for past in self._stretch[keyframe.serial - self._stretch[0].serial :]:
            if past.serial >= coded.serial:
                return False
            lost = past.fed and past.shows and not past.emitted and _time(keyframe) <= _time(past) < _time(first)
            if (past.damaged or lost) and not past.droppable:
                return True
        return False


def _time(coded: Coded) -> int:
    return coded.pts if coded.pts is not None else coded.dts if coded.dts is not None else 0
