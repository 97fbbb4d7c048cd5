"""What must be read of a movie to know it: its first picture, its end, and a few pictures from between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from av.video.frame import VideoFrame

from .container import MAX_PIXELS
from .errors import DamagedMovieError, UnsupportedMovieError
from .frames import Plane
from .planes import planes_of
from .source import MAX_REORDER, Coded, Counters, Source

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
