"""Pictures of a movie with time stamps, exact to the frame, seeking and decoding as little as possible."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from enum import Enum, auto
from fractions import Fraction

from av.video.frame import VideoFrame

from ..errors import WindowError
from .decoder import MAX_REORDER, PAST_END_SECONDS, Coded, Counters, Source, Timed
from .demuxer import Demuxer, Stretch
from .facts import Facts


class Attempt(Enum):
    """How to come by a window; the next is made when one fails."""

    GO_ON = auto()
    """From where the decoder is, if that spares a seek."""
    FROM_KEYFRAME = auto()
    """From the keyframe that its first picture needs."""
    FURTHER_BACK = auto()
    """From a keyframe before that, and with every packet: not all that is flagged as a keyframe is one."""


class SeekingReader:
    """One open container and its decoder. What it gives does not depend on what it gave before, only its cost does."""

    def __init__(self, source: Source, facts: Facts, counters: Counters) -> None:
        self._source, self._counters = source, counters
        self._demuxer = Demuxer(source)
        self._second = 1 / source.time_base
        self._start = round(Fraction(facts.start) * self._second)
        self._frame_lasts = self._second / Fraction(facts.fps or 24)
        self._generous = False
        """Windows follow each other so closely that what lies just behind one is not dropped."""
        self._entries: dict[tuple[int, int | None, int], float | None] = {}
        """What :meth:`entry` found, by the keyframe's time and place in the file and the window's length."""
        self._begin_decoding(self._demuxer.stretch)

    def _begin_decoding(self, stretch: Stretch) -> None:
        """Forget what was decoded."""
        self._stretch = stretch
        """What is being decoded."""
        self._kept: dict[int, VideoFrame] = {}
        """Frames from the first picture of the last window on, by serial."""
        self._began = self._next = -1
        """Serials: the keyframe with which the decoder began, and the packet that it takes next."""
        self._drained = False

    def pictures(self, seconds: float, frames: int) -> list[Timed]:
        """The ``frames`` consecutive pictures around the one nearest to ``seconds`` after the presentation start.

        Raises :class:`WindowError`: ``past_end``, ``too_short`` or ``undecodable``.
        """
        target = self._start + Fraction(seconds) * self._second
        # The last two attempts depend on the file alone, and so does what is given: the first only saves their work.
        for attempt in Attempt:
            wanted, first = self._plan(target, frames, attempt)
            if self._decode(wanted, attempt):
                shown = self._in_order(wanted)[first : first + frames]
                return [Timed(coded.time / self._second, self._kept[coded.serial]) for coded in shown]
        raise WindowError("undecodable", f"{self._source.path} is damaged around {seconds:.3f} s")

    def entry(self, seconds: float, frames: int) -> float:
        """Where a window of ``frames`` begins with the keyframe at or before ``seconds``: decoding starts there anyway.

        Returns the seconds to ask :meth:`pictures` for; ``seconds`` where the movie has no such window.
        """
        self._demuxer.seek(math.floor(self._start + Fraction(seconds) * self._second))
        keyframe = self._demuxer.stretch.packets[0]
        address = keyframe.time, keyframe.packet.pos if keyframe.packet else None, frames
        if address not in self._entries:
            self._entries[address] = self._entry(frames)
        entry = self._entries[address]
        return seconds if entry is None else entry

    def _entry(self, frames: int) -> float | None:
        while True:
            times = [coded.time for coded in self._demuxer.stretch.shown(from_start=False)]
            if self._demuxer.ended or self._is_settled(times, frames - 1):
                break
            self._demuxer.read_on()
        if len(times) < frames:
            return None
        # A quarter of a picture later the same picture is the nearest, whatever the time base rounds away.
        return float((times[frames // 2] - self._start + self._frame_lasts / 4) / self._second)

    # Which pictures: the packets tell

    def _plan(self, target: Fraction, frames: int, attempt: Attempt) -> tuple[list[Coded], int]:
        """Pictures to decode, by time, and which of them is the first of the window."""
        half = frames // 2
        reach = math.floor(target - half * self._frame_lasts)
        if attempt is not Attempt.GO_ON or not self._demuxer.reaches(reach):
            self._demuxer.seek(reach)
        if attempt is Attempt.FURTHER_BACK and not self._demuxer.at_start():
            self._demuxer.seek(self._demuxer.stretch.before())
        while True:
            shown = self._demuxer.stretch.shown(from_start=self._demuxer.at_start())
            times = [coded.time for coded in shown]
            low = _nearest(times, target) - half
            if self._demuxer.at_start():
                low = max(low, 0)
            if low >= 0 and self._is_settled(times, low + max(frames - 1, half + 1)):
                return _with_neighbours(shown, low, frames)
            if not self._demuxer.ended and (low >= 0 or not times or times[-1] <= target):
                self._demuxer.read_on()
            elif self._demuxer.ended and times and target > times[-1] + PAST_END_SECONDS * self._second:
                last = float((times[-1] - self._start) / self._second)
                raise WindowError("past_end", f"{self._source.path} ends at {last:.3f} s")
            elif self._demuxer.ended and min(low, len(shown) - frames) >= 0:
                return _with_neighbours(shown, min(low, len(shown) - frames), frames)
            elif self._demuxer.at_start():
                raise WindowError("too_short", f"{self._source.path} has {len(shown)} pictures")
            else:
                self._demuxer.seek(self._demuxer.stretch.before())

    def _is_settled(self, times: list[int], high: int) -> bool:
        """Nothing that is still to be read can be presented up to the picture at ``high``."""
        return high < len(times) and len(times) - bisect_right(times, times[high]) > MAX_REORDER

    # Decoding

    def _decode(self, wanted: list[Coded], attempt: Attempt) -> bool:
        """Decode until all of ``wanted`` are kept or cannot come any more; False if one is damaged or missing."""
        if self._stretch is not self._demuxer.stretch:
            self._begin_decoding(self._demuxer.stretch)
        drop = attempt is not Attempt.FURTHER_BACK
        keyframe = self._stretch.keyframe_of(wanted[0]) if drop else self._stretch.packets[0]
        serials = {coded.serial for coded in wanted}
        first, last = wanted[0].time, wanted[-1].time
        missing = [coded for coded in wanted if coded.serial not in self._kept]
        goes_on = self._began <= keyframe.serial < self._next and all(self._can_come(coded) for coded in missing)
        if missing and not goes_on:
            self._generous |= any(coded.packet is None and not coded.fed for coded in missing)
            if keyframe.packet is None:
                return False
            self._source.flush()
            self._began = self._next = keyframe.serial
            self._drained = False
        behind = 0
        self._forget_pictures_before(first)
        while not serials <= self._kept.keys() and behind <= MAX_REORDER and not self._drained:
            coded = self._upcoming()
            if coded is None:
                behind += self._keep(self._source.drain(), last)
                self._drained = True
            elif (
                drop and coded.droppable and coded.serial not in serials and not (self._generous and coded.time > last)
            ):
                coded.packet = None
                self._counters.packets_dropped += 1
            else:
                behind += self._keep(self._source.decode(coded), last)
            self._forget_pictures_before(first)
        self._stretch.forget_before(keyframe)
        return serials <= self._kept.keys() and self._stretch.is_sound(wanted)

    def _keep(self, frames: Iterable[tuple[int, VideoFrame]], last: int) -> int:
        """Keep frames that came out of the decoder; how many are presented after ``last``."""
        behind = 0
        for serial, frame in frames:
            emitted = self._stretch.get(serial)
            if emitted is not None:
                emitted.emitted = True
                emitted.damaged |= frame.is_corrupt
                self._kept[serial] = frame
                behind += emitted.time > last
        return behind

    def _in_order(self, wanted: list[Coded]) -> list[Coded]:
        """As they are presented: of pictures with one time stamp, as the decoder gave them."""
        places = {serial: place for place, serial in enumerate(self._kept)}
        return sorted(wanted, key=lambda coded: (coded.time, places[coded.serial]))

    def _forget_pictures_before(self, time: int) -> None:
        """Pictures before a window are only passed through; forgetting them at once frees their memory."""
        self._kept = {serial: frame for serial, frame in self._kept.items() if self._is_from(serial, time)}

    def _is_from(self, serial: int, time: int) -> bool:
        coded = self._stretch.get(serial)
        return coded is not None and coded.time >= time

    def _can_come(self, coded: Coded) -> bool:
        if coded.fed:
            return not coded.emitted and not self._drained
        return coded.packet is not None and coded.serial >= self._next

    def _upcoming(self) -> Coded | None:
        """The next packet for the decoder."""
        coded = self._stretch.get(self._next) or self._demuxer.read()
        if coded is not None:
            self._next = coded.serial + 1
        return coded


def _with_neighbours(shown: list[Coded], low: int, frames: int) -> tuple[list[Coded], int]:
    """``frames`` pictures from ``low`` on, with those beside them that have the time stamp of the first or the last."""
    times = [coded.time for coded in shown]
    first = bisect_left(times, times[low])
    return shown[first : bisect_right(times, times[low + frames - 1])], low - first


def _nearest(times: list[int], target: Fraction) -> int:
    """Index of the time nearest to ``target``, the earlier of two; 0 if there are none."""
    after = bisect_left(times, target)
    if after and (after == len(times) or target - times[after - 1] <= times[after] - target):
        # Of several pictures at one time the first is meant.
        return bisect_left(times, times[after - 1])
    return after
