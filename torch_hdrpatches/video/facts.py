"""What is known of a movie: its stream, size, times, colour tags and HDR metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..frames import Box, ColorTags


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
    """Bits per code value, as ``Planes`` has them."""
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
    """What is odd about the movie."""


def facts_of(fields: Mapping[str, Any]) -> Facts:
    """The facts that ``dataclasses.asdict`` and JSON made fields of."""
    return Facts(
        **{
            **fields,
            "tags": ColorTags(**fields["tags"]),
            "active": Box(*fields["active"]),
            "sample_aspect_ratio": tuple(fields["sample_aspect_ratio"]),
            "warnings": tuple(fields["warnings"]),
        }
    )
