"""Packets read without gaps: their order of presentation, which keyframe a picture needs, and what is damaged."""

from __future__ import annotations

import math

from .source import MAX_REORDER, Coded


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
