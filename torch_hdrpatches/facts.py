"""What a movie is: its stream, size, times, colour tags and HDR metadata, and whether it can be used."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from av.video.frame import VideoFrame

from .color import MATRICES, PRIMARIES, RANGES, TRANSFERS, accepted_name, is_hdr
from .crop import active_area
from .errors import DamagedMovieError, RecipeError, UnsupportedMovieError, UntaggedMovieError
from .frames import Box, ColorTags
from .metadata import Metadata, metadata_of
from .planes import layout_of, planes_of
from .source import Coded, Source

REORDER = 17
"""So many packets on, nothing is still to come that is presented before the first picture."""
BAR_SAMPLES = 8
"""Keyframes that are looked at for black bars."""

DOLBY_TAGS = ("dvh1", "dvhe", "dav1", "dvav", "dva1")
ASSUMABLE = ("transfer", "primaries", "matrix", "range", "chroma_location", "scan")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a movie is. Sizes are as decoded, before rotation; light is in cd/m2, 0 = unknown."""

    path: str
    stream: int
    """Index of the video stream in its container."""
    codec: str
    width: int
    height: int
    bits: int
    """Bits per code value as ``Planes`` has them."""
    chroma: str
    """``420``, ``422``, ``444`` or ``gbr``."""
    fps: float
    """Average; 0 = unknown."""
    start: float
    """Presentation time stamp of the first picture, in seconds."""
    duration: float
    """Seconds from the first picture to the end of the last one, as found at the end of the file; > 0."""
    tags: ColorTags
    mastering_peak: float
    max_cll: float
    max_fall: float
    dolby_vision: str
    """Profile, e.g. ``8.1``; empty without Dolby Vision."""
    hdr10_plus: bool
    rotation: int
    """0, 90, 180 or 270 degrees clockwise, to be applied for display."""
    sample_aspect_ratio: tuple[int, int]
    active: Box
    """The picture without black bars, in decoded pixels."""
    warnings: tuple[str, ...]
    """What is odd about the movie, one sentence each."""


def probe(path: str, *, assume: Mapping[str, str] | None = None) -> Facts:
    """Look into a movie. ``assume`` fills colour tags that the file does not carry, and ``scan="progressive"``
    overrules pictures that are flagged as interlaced.

    Raises:
        MovieError: the movie gives nothing, and why.
        RecipeError: ``assume`` names something that cannot be assumed.
    """
    assumed = _assumed(assume or {})
    with Source(path) as source:
        stream, context = source.stream, source.stream.codec_context
        container_tags = _tags(context.colorspace, context.color_primaries, context.color_trc, context.color_range)
        tag = _text_tag(context)
        frame, start, tick = _first_picture(source)
        layout = layout_of(frame.format.name)
        if layout is None:
            raise UnsupportedMovieError(path, f"pixel format {frame.format.name} is not read", "re-encode it as YCbCr or GBR")
        if frame.interlaced_frame and assumed.get("scan") != "progressive":
            raise UnsupportedMovieError(
                path, "is interlaced", 'deinterlace it first, or say assume = { scan = "progressive" } if it is not'
            )
        found = metadata_of(frame, stream)
        frame_tags = _tags(frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range)
        if layout.chroma != "gbr" and frame_tags.get("matrix") == "rgb":
            del frame_tags["matrix"]  # identity is no matrix for YCbCr planes
        warnings = list(found.warnings)
        for field, name in container_tags.items():
            if field in frame_tags and frame_tags[field] != name:
                warnings.append(f"the container says {field} {name}, the pictures say {frame_tags[field]}")
        known = {**container_tags, **frame_tags}
        profile = _dolby_profile(path, source, tag, found, known.get("transfer", ""))
        tags = _color_tags(path, known, assumed, found.chroma_location, layout.chroma)
        fps = _fps(source, tick)
        end = _end(source, start, tick)
        warnings += _oddities(source, end - start, frame, profile)
        sar = stream.sample_aspect_ratio or Fraction(1)
        black = 0 if tags.range == "pc" else 16 << layout.bits - 8
        if tags.matrix == "rgb":
            black = 0 if tags.range == "pc" else 16 << layout.bits - 8
        lumas = _samples(source, frame, start, end)
        return Facts(
            path=path,
            stream=stream.index,
            codec=context.codec.canonical_name,
            width=frame.width,
            height=frame.height,
            bits=layout.bits,
            chroma=layout.chroma,
            fps=fps,
            start=float(start * source.time_base) if source.timed else 0.0,
            duration=float((end - start) * source.time_base),
            tags=tags,
            mastering_peak=found.mastering_peak,
            max_cll=found.max_cll,
            max_fall=found.max_fall,
            dolby_vision=profile,
            hdr10_plus=found.hdr10_plus,
            rotation=-frame.rotation % 360,
            sample_aspect_ratio=(sar.numerator, sar.denominator),
            active=active_area(lumas, black, layout.bits),
            warnings=tuple(warnings),
        )
