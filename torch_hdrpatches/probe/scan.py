"""Reads parts of a movie: its first frame, its end, and frames in between, in which black bars are found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame

from ..errors import DamagedMovieError, UnsupportedMovieError
from ..frames import Box, Plane
from ..video.container import MAX_PIXELS
from ..video.decoder import MAX_REORDER, CodedFrame, Decoder
from ..video.planes import planes_of

SAMPLES = 8  # keyframes in which black bars are searched, besides the first frame


@dataclass(frozen=True, slots=True)
class FirstFrame:
    """The first frame of a stream; times are in time base units."""

    frame: VideoFrame
    pts: int
    duration: Fraction
    """How long one frame is shown, as far as the container says."""


def first_frame(decoder: Decoder) -> FirstFrame:
    """Decode the first undamaged frame of a file that was just opened."""
    times: list[int] = []
    frames: list[VideoFrame] = []
    duration = 0
    for number in range(250):  # packets; a movie of which none of these can be decoded is damaged
        coded = decoder.read()
        if coded is None:
            frames += [frame for _, frame in decoder.decode(None) if not frame.is_corrupt]
            break
        if coded.shows and coded.pts is not None and number <= MAX_REORDER:
            times.append(coded.pts)
        duration = duration or coded.duration
        if not frames:
            frames += [frame for _, frame in decoder.decode(coded) if not frame.is_corrupt]
        elif number > MAX_REORDER:
            break
    if not frames:
        raise DamagedMovieError(decoder.path, "none of its first frames can be decoded")
    if frames[0].width * frames[0].height > MAX_PIXELS:
        raise UnsupportedMovieError(decoder.path, f"claims {frames[0].width}x{frames[0].height} pixels")
    rate = decoder.stream.average_rate or Fraction(25)
    return FirstFrame(frames[0], min(times, default=0), Fraction(duration) or 1 / rate / decoder.time_base)


def end_time(decoder: Decoder, first: FirstFrame) -> Fraction:
    """When the last frame ends, in time base units: by its packet, because headers may be wrong."""
    if not decoder.has_pts:
        with Decoder(decoder.path, decoder.stream.index) as whole:
            return sum(coded.shows for coded in whole) * first.duration
    second = int(1 / decoder.time_base) + 1
    claimed = first.pts + int(header_seconds(decoder) / decoder.time_base)
    for step in range(20):
        aim = max(first.pts - second, claimed - second * (4**step - 1))
        end = _latest_end(decoder, first) if decoder.seek(aim) else None
        if end is not None:
            return end
        if aim < first.pts:
            break
    with Decoder(decoder.path, decoder.stream.index) as whole:  # seeking is impossible
        end = _latest_end(whole, first)
    if end is None:
        raise DamagedMovieError(decoder.path, "none of its frames has a time stamp")
    return end


def header_seconds(decoder: Decoder) -> Fraction:
    """The duration according to the headers; 0 = none given."""
    if decoder.stream.duration:
        return decoder.stream.duration * decoder.time_base
    return Fraction(decoder.container.duration or 0, 1_000_000)


def luma_samples(decoder: Decoder, first: FirstFrame, end: Fraction) -> Iterator[Plane]:
    """Luma (height, width) of the first frame and of up to ``SAMPLES`` keyframes spread up to ``end``."""
    expected = first.frame.format.name, first.frame.height, first.frame.width
    yield _luma(first.frame)
    seen: set[int | None] = set()
    for number in range(SAMPLES if decoder.has_pts else 0):
        if not decoder.seek(first.pts + int((end - first.pts) * Fraction(2 * number + 1, 2 * SAMPLES))):
            return
        keyframe = decoder.read()
        if keyframe is None or keyframe.pts in seen:
            continue
        seen.add(keyframe.pts)
        for _, frame in [*decoder.decode(keyframe), *decoder.decode(None)]:
            if (frame.format.name, frame.height, frame.width) == expected and not frame.is_corrupt:
                yield _luma(frame)


def _luma(frame: VideoFrame) -> Plane:
    return planes_of(frame).y[: frame.height, : frame.width]


def _latest_end(packets: Iterable[CodedFrame], first: FirstFrame) -> Fraction | None:
    shown = (coded for coded in packets if coded.shows)
    ends = [coded.pts + (coded.duration or first.duration) for coded in shown if coded.pts is not None]
    return Fraction(max(ends)) if ends else None


DARK_MARGIN = 0.02
"""Luma codes up to this share of the code range above black count as black, to allow for noise and ringing."""
DARK_SHARE = 0.98
"""A row or column belongs to a bar if at least this share of its pixels is black; the rest may be stray pixels."""
ENOUGH_FRAMES = 4
"""With fewer frames, which may all be from one dark scene, bars must be equally wide on opposite sides."""
EDGE = 2  # rows or columns cut off beside a bar, because compression and scaling smear its edge
MIN_SHARE = 0.2  # of the height or width: a smaller active area is a dark scene rather than a frame with bars


def active_area(lumas: Iterable[Plane], black: int, bits: int) -> Box:
    """The smallest box that contains everything but black bars; the whole frame if all of it is black.

    ``lumas`` are Y planes (height, width) of frames spread over a movie, all of one size; ``black`` is a luma code.
    """
    lit_rows, lit_columns = [], []
    for luma in lumas:
        bright = luma > black + DARK_MARGIN * 2**bits
        lit_rows.append(bright.mean(axis=1) > 1 - DARK_SHARE)
        lit_columns.append(bright.mean(axis=0) > 1 - DARK_SHARE)
    if not lit_rows:
        raise ValueError("active_area needs at least one frame")
    is_sure = len(lit_rows) >= ENOUGH_FRAMES
    rows, columns = np.any(lit_rows, axis=0), np.any(lit_columns, axis=0)
    height, width = len(rows), len(columns)
    if rows.any() and columns.any():
        top, bottom = _lit_range(rows, is_sure)
        left, right = _lit_range(columns, is_sure)
        if bottom - top >= MIN_SHARE * height and right - left >= MIN_SHARE * width:
            return Box(top, left, bottom - top, right - left)
    return Box(0, 0, height, width)


def _lit_range(lit: np.ndarray[tuple[int], np.dtype[np.bool_]], is_sure: bool) -> tuple[int, int]:
    """Start and stop of the rows (or columns) between two bars."""
    start, stop = int(lit.argmax()), len(lit) - int(lit[::-1].argmax())
    if not is_sure:
        start = min(start, len(lit) - stop)
        stop = len(lit) - start
    return start + EDGE * (start > 0), stop - EDGE * (stop < len(lit))
