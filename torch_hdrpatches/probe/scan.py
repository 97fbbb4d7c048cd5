"""What must be read of a movie to know it: its first picture, its end, and a few pictures from between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame

from ..errors import DamagedMovieError, UnsupportedMovieError
from ..frames import Box, Plane
from ..video.container import MAX_PIXELS
from ..video.decoder import MAX_REORDER, Coded, Counters, Source
from ..video.planes import planes_of

FIRST_PACKETS = 250
"""The first picture must be among so many packets, or the movie is damaged."""
SAMPLES = 8
"""Keyframes that are looked at for black bars."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first picture of a stream; times are in time base units."""

    frame: VideoFrame
    time: int
    """When the first picture is presented."""
    lasts: Fraction
    """How long one picture is presented, as far as the container says."""


def beginning_of(source: Source) -> Beginning:
    """Decode the first good picture of a source that was just opened. Raises :class:`MovieError`."""
    times: list[int] = []
    frames: list[VideoFrame] = []
    duration = 0
    for number in range(FIRST_PACKETS):
        coded = source.read()
        if coded is None:
            frames += [frame for _, frame in source.drain() if not frame.is_corrupt]
            break
        if coded.shows and coded.pts is not None and number <= MAX_REORDER:
            times.append(coded.pts)
        duration = duration or coded.duration
        if not frames:
            frames += [frame for _, frame in source.decode(coded) if not frame.is_corrupt]
        elif number > MAX_REORDER:
            break
    if not frames:
        raise DamagedMovieError(source.path, "none of its first pictures can be decoded")
    if frames[0].width * frames[0].height > MAX_PIXELS:
        raise UnsupportedMovieError(source.path, f"claims {frames[0].width}x{frames[0].height} pixels")
    rate = source.stream.average_rate or Fraction(25)
    return Beginning(frames[0], min(times, default=0), Fraction(duration) or 1 / rate / source.time_base)


def end_of(source: Source, beginning: Beginning) -> Fraction:
    """When the last picture ends, in time base units, by its packet: headers only say where to look for it."""
    if not source.timed:
        with _again(source) as whole:
            return sum(coded.shows for coded in _rest(whole)) * beginning.lasts
    second = int(1 / source.time_base) + 1
    claimed = beginning.time + int(claimed_seconds(source) / source.time_base)
    for step in range(20):
        aim = max(beginning.time - second, claimed - second * (4**step - 1))
        end = _latest(_rest(source), beginning) if source.seek(aim) else None
        if end is not None:
            return end
        if aim < beginning.time:
            break
    with _again(source) as whole:  # it cannot be sought
        end = _latest(_rest(whole), beginning)
    if end is None:
        raise DamagedMovieError(source.path, "no picture of it has a time stamp")
    return end


def claimed_seconds(source: Source) -> Fraction:
    """The duration that headers promise; 0: none."""
    if source.stream.duration:
        return source.stream.duration * source.time_base
    return Fraction(source.container.duration or 0, 1_000_000)


def lumas_between(source: Source, beginning: Beginning, end: Fraction) -> Iterator[Plane]:
    """Luma (height, width) of the first picture and of keyframes spread up to ``end``, as many as there are."""
    first = beginning.frame
    yield _luma(first)
    seen: set[int | None] = set()
    for number in range(SAMPLES if source.timed else 0):
        if not source.seek(beginning.time + int((end - beginning.time) * Fraction(2 * number + 1, 2 * SAMPLES))):
            return
        keyframe = source.read()
        if keyframe is None or keyframe.pts in seen:
            continue
        seen.add(keyframe.pts)
        for _, frame in [*source.decode(keyframe), *source.drain()]:
            same = (frame.format.name, frame.height, frame.width) == (first.format.name, first.height, first.width)
            if same and not frame.is_corrupt:
                yield _luma(frame)


def _luma(frame: VideoFrame) -> Plane:
    return planes_of(frame).y[: frame.height, : frame.width]


def _again(source: Source) -> Source:
    return Source(source.path, source.stream.index, Counters(), threads=1, strict=False)


def _rest(source: Source) -> Iterator[Coded]:
    return iter(source.read, None)


def _latest(packets: Iterable[Coded], beginning: Beginning) -> Fraction | None:
    ends = [
        coded.pts + (coded.duration or beginning.lasts) for coded in packets if coded.shows and coded.pts is not None
    ]
    return Fraction(max(ends)) if ends else None


DARK_MARGIN = 0.02
"""Luma codes up to this share of the code range above black count as black: noise and ringing stay below it."""
DARK_SHARE = 0.98
"""A row or column is a bar where at least this share of its pixels is black: a stray bright pixel changes nothing."""
SURE = 4
"""With fewer pictures than this only what is black on opposite sides alike is a bar: they may be of one dark scene."""
EDGE = 2
"""Rows or columns left out beside a bar: compression and scaling smear the bar's edge into the picture."""
MIN_SHARE = 0.2
"""An active area smaller than this share of the height or width is taken for a dark scene, not for bars."""


def active_area(lumas: Iterable[Plane], black: int, bits: int) -> Box:
    """The smallest box that holds what is not a black bar in any of ``lumas``; the whole picture if all is black.

    Args:
        lumas: Y planes (height, width) of pictures spread over a movie, all of one size.
        black: luma code of black.
        bits: bits per code.
    """
    rows: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None
    columns: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None
    count = 0
    for count, luma in enumerate(lumas, start=1):  # noqa: B007 - how many there were
        bright = luma > black + DARK_MARGIN * 2**bits
        lit_rows, lit_columns = bright.mean(axis=1) > 1 - DARK_SHARE, bright.mean(axis=0) > 1 - DARK_SHARE
        rows = lit_rows if rows is None else rows | lit_rows
        columns = lit_columns if columns is None else columns | lit_columns
    if rows is None or columns is None:
        raise ValueError("no pictures to look at")
    whole = Box(0, 0, len(rows), len(columns))
    if not rows.any() or not columns.any():
        return whole
    top, bottom = np.flatnonzero(rows)[[0, -1]]
    left, right = np.flatnonzero(columns)[[0, -1]]
    if count < SURE:
        top = min(top, whole.height - 1 - bottom)
        left = min(left, whole.width - 1 - right)
        bottom, right = whole.height - 1 - top, whole.width - 1 - left
    top, left = (int(start) + EDGE * bool(start) for start in (top, left))
    bottom, right = (
        int(stop) + 1 - EDGE * bool(stop + 1 < length)
        for stop, length in ((bottom, whole.height), (right, whole.width))
    )
    area = Box(top, left, bottom - top, right - left)
    if area.height < MIN_SHARE * whole.height or area.width < MIN_SHARE * whole.width:
        return whole
    return area
