"""Finds frames of a movie with time stamps: seeks to a keyframe and decodes only the frames that are needed."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from enum import Enum, auto
from fractions import Fraction

from av.video.frame import VideoFrame

from ..errors import WindowError
from .decoder import MAX_REORDER, PAST_END_SECONDS, CodedFrame, Decoder, TimedFrame
from .demuxer import Demuxer
from .facts import Facts


class Start(Enum):
    """Where decoding of a window starts; each is tried if the one before fails."""

    CURRENT_POSITION = auto()  # if that saves a seek
    KEYFRAME = auto()  # which the first frame of the window needs
    EARLIER_KEYFRAME = auto()  # skipping no packet, because some frames are flagged as keyframes and are none


class SeekingReader:
    """One open container and its decoder. Its results do not depend on earlier calls, only its speed does."""

    def __init__(self, decoder: Decoder, facts: Facts) -> None:
        self._decoder = decoder
        self._demuxer = Demuxer(decoder)
        self._second = 1 / decoder.time_base
        self._start = round(Fraction(facts.start) * self._second)
        self._frame_duration = self._second / Fraction(facts.nominal_fps)
        self._keeps_next = False
        """Droppable packets behind a window are decoded, because later windows are close to it."""
        self._keyframe_windows: dict[tuple[int, int | None, int], float | None] = {}
        """Results of :meth:`snap_to_keyframe` by the keyframe's time and file offset and the window's length."""
        self._begin_decoding()

    def _begin_decoding(self) -> None:
        """Forget all decoded frames, and decode the demuxer's current span."""
        self._span = self._demuxer.span
        self._kept: dict[int, VideoFrame] = {}
        """Decoded frames from the first frame of the last window on, by serial number."""
        self._first_sent = self._next = -1
        """Serial numbers of the keyframe at which decoding started and of the next packet to decode."""
        self._drained = False

    def frames(self, seconds: float, count: int) -> list[TimedFrame]:
        """The ``count`` consecutive frames around the one nearest to ``seconds`` after the presentation start.

        Raises :class:`WindowError`: ``past_end``, ``too_short`` or ``undecodable``.
        """
        target = self._start + Fraction(seconds) * self._second
        # The last two starts depend on the file alone, so the result does, too: the first only saves their work.
        for start in Start:
            window, first = self._find(target, count, start)
            if self._decode(window, start):
                # Frames with equal time stamps come in the order in which the decoder returned them.
                order = {serial: position for position, serial in enumerate(self._kept)}
                window.sort(key=lambda coded: (coded.time, order[coded.serial]))
                shown = window[first : first + count]
                return [TimedFrame(coded.time / self._second, self._kept[coded.serial]) for coded in shown]
        raise WindowError("undecodable", f"{self._decoder.path} is damaged around {seconds:.3f} s")

    def snap_to_keyframe(self, seconds: float, count: int) -> float:
        """The time to ask :meth:`frames` for so that the window begins with the keyframe at or before ``seconds``.

        That is the cheapest window nearby. Returns ``seconds`` where no full window follows the keyframe.
        """
        self._demuxer.seek(math.floor(self._start + Fraction(seconds) * self._second))
        keyframe = self._demuxer.span.packets[0]
        key = keyframe.time, keyframe.packet.pos if keyframe.packet else None, count
        if key not in self._keyframe_windows:
            self._keyframe_windows[key] = self._window_from_here(count)
        snapped = self._keyframe_windows[key]
        return seconds if snapped is None else snapped

    def _window_from_here(self, count: int) -> float | None:
        while True:
            times = [coded.time for coded in self._demuxer.span.shown(from_start=False)]
            if self._demuxer.ended or _is_settled(times, count - 1):
                break
            self._demuxer.read_on()
        if len(times) < count:
            return None
        # A quarter of a frame later, the same frame is still the nearest in spite of the time base's rounding.
        return float((times[count // 2] - self._start + self._frame_duration / 4) / self._second)

    def _find(self, target: Fraction, count: int, start: Start) -> tuple[list[CodedFrame], int]:
        """The frames to decode in presentation order, and the index of the first one of the window."""
        demuxer, half = self._demuxer, count // 2
        earliest = math.floor(target - half * self._frame_duration)
        if start is not Start.CURRENT_POSITION or not demuxer.reaches(earliest):
            demuxer.seek(earliest)
        if start is Start.EARLIER_KEYFRAME and not demuxer.at_start():
            demuxer.seek_further_back()
        while True:
            shown = demuxer.span.shown(from_start=demuxer.at_start())
            times = [coded.time for coded in shown]
            first = _nearest(times, target) - half
            if demuxer.at_start():
                first = max(first, 0)
            if first >= 0 and _is_settled(times, first + max(count - 1, half + 1)):
                return _with_equal_times(shown, first, count)
            if not demuxer.ended and (first >= 0 or not times or times[-1] <= target):
                demuxer.read_on()
            elif demuxer.ended and times and target > times[-1] + PAST_END_SECONDS * self._second:
                last = float((times[-1] - self._start) / self._second)
                raise WindowError("past_end", f"{self._decoder.path} ends at {last:.3f} s")
            elif demuxer.ended and min(first, len(shown) - count) >= 0:
                return _with_equal_times(shown, min(first, len(shown) - count), count)
            elif demuxer.at_start():
                raise WindowError("too_short", f"{self._decoder.path} has {len(shown)} frames")
            else:
                demuxer.seek_further_back()

    def _decode(self, window: list[CodedFrame], start: Start) -> bool:
        """Decode until all of ``window`` are kept or lost; False if one of them is damaged or lost."""
        if self._span is not self._demuxer.span:
            self._begin_decoding()
        skips = start is not Start.EARLIER_KEYFRAME
        keyframe = self._span.keyframe_of(window[0]) if skips else self._span.packets[0]
        serials = {coded.serial for coded in window}
        first, last = window[0].time, window[-1].time
        missing = [coded for coded in window if coded.serial not in self._kept]
        is_on_the_way = self._first_sent <= keyframe.serial < self._next and all(map(self._can_come, missing))
        if missing and not is_on_the_way:
            self._keeps_next |= any(coded.packet is None and not coded.sent for coded in missing)
            if keyframe.packet is None:
                return False
            self._decoder.flush()
            self._first_sent = self._next = keyframe.serial
            self._drained = False
        later = 0
        # Droppable packets up to this time are skipped unless they belong to the window.
        skip_until = -math.inf if not skips else last if self._keeps_next else math.inf
        self._forget_frames_before(first)
        while not serials <= self._kept.keys() and later <= MAX_REORDER and not self._drained:
            coded = self._span.get(self._next) or self._demuxer.read()
            self._drained = coded is None
            if coded:
                self._next = coded.serial + 1
            if coded and coded.droppable and coded.time <= skip_until and coded.serial not in serials:
                coded.packet = None
                self._decoder.counters.packets_dropped += 1
            else:
                later += self._decode_next(coded, last)
            self._forget_frames_before(first)
        self._span.forget_before(keyframe)
        return serials <= self._kept.keys() and self._span.is_intact(window)

    def _can_come(self, coded: CodedFrame) -> bool:
        """Whether the decoder can still output this frame without a seek."""
        if coded.sent:
            return not coded.decoded and not self._drained
        return coded.packet is not None and coded.serial >= self._next

    def _decode_next(self, packet: CodedFrame | None, last: int) -> int:
        """Decode a packet, or at the end all that is left; returns how many frames are presented after ``last``."""
        later = 0
        for serial, frame in self._decoder.decode(packet):
            coded = self._span.get(serial)
            if coded is not None:
                coded.decoded = True
                coded.damaged |= frame.is_corrupt
                self._kept[serial] = frame
                later += coded.time > last
        return later

    def _forget_frames_before(self, time: int) -> None:
        """Free the memory of frames that were decoded only because the window needs them as references."""
        for serial in list(self._kept):
            coded = self._span.get(serial)
            if coded is None or coded.time < time:
                del self._kept[serial]


def _is_settled(times: list[int], index: int) -> bool:
    """Whether no frame that is still to be read can be presented before or at ``times[index]``."""
    return index < len(times) and len(times) - bisect_right(times, times[index]) > MAX_REORDER


def _with_equal_times(shown: list[CodedFrame], first: int, count: int) -> tuple[list[CodedFrame], int]:
    """``count`` frames from ``first`` on, plus neighbours with the time stamp of the first or last one."""
    times = [coded.time for coded in shown]
    begin = bisect_left(times, times[first])
    return shown[begin : bisect_right(times, times[first + count - 1])], first - begin


def _nearest(times: list[int], target: Fraction) -> int:
    """Index of the time nearest to ``target``, the earlier of two; 0 if there are none."""
    after = bisect_left(times, target)
    if after and (after == len(times) or target - times[after - 1] <= times[after] - target):
        return bisect_left(times, times[after - 1])  # the first of several frames with this time stamp
    return after
