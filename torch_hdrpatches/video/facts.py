"""The properties of a movie: its stream, size, times, colour tags and HDR metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..frames import Box, ColorTags


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a movie. Sizes are as decoded, before rotation; luminance is in cd/m2, 0 = unknown."""

    path: str
    stream: int
    """Index of the video stream in its container."""
    codec: str
    width: int
    height: int
    bits: int
    """Bits per code value, as in ``Planes``."""
    chroma: str
    """``420``, ``422``, ``444`` or ``gbr``."""
    fps: float
    """Average frames per second; 0 = unknown."""
    start: float
    """Presentation time stamp of the first frame, in seconds."""
    duration: float
    """Seconds from the first frame to the end of the last one, measured at the end of the file; > 0."""
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
    """The frame without black bars, in decoded pixels."""
    warnings: tuple[str, ...]
    """What is unusual about the movie, in sentences."""

    @property
    def has_bars(self) -> bool:
        """Whether the frame has black bars."""
        return self.active != Box(0, 0, self.height, self.width)

    @property
    def frame_count(self) -> float:
        """An estimate; 0 = unknown."""
        return self.duration * self.fps

    @property
    def nominal_fps(self) -> float:
        """The frame rate to calculate with: 24 where it is unknown."""
        return self.fps or 24

    def seconds_of(self, frames: float) -> float:
        """How long this many frames last."""
        return frames / self.nominal_fps


def facts_of(fields: Mapping[str, Any]) -> Facts:
    """The inverse of ``dataclasses.asdict``, also after a round trip through JSON."""
    tuples = {name: tuple(fields[name]) for name in ("sample_aspect_ratio", "warnings")}
    return Facts(**{**fields, **tuples, "tags": ColorTags(**fields["tags"]), "active": Box(*fields["active"])})
