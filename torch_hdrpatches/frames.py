"""Decoded pictures as plain data: planes as the decoder left them, and windows of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Plane: TypeAlias = np.ndarray[Any, np.dtype[Any]]


class Box(NamedTuple):
    """A rectangle in pixels, as samples and tallies record it."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class ColorTags:
    """What a movie's code values mean, in FFmpeg's names (``color.py`` lists the valid ones)."""

    transfer: str
    """``pq``, ``hlg``, or an SDR name: ``bt709``, ``smpte170m``, ``iec61966-2-1``, ``bt2020-10``, ``bt2020-12``."""
    primaries: str
    """``bt2020``, ``bt709``, ``smpte432`` (P3-D65), ``bt470bg``, ``smpte170m``, ..."""
    matrix: str
    """``bt2020nc``, ``bt709``, ``bt470bg``, ``smpte170m``, ``smpte240m``, ``rgb`` (planes are G, B, R)."""
    range: str
    """``tv`` (limited) or ``pc`` (full)."""
    chroma_location: str = "left"
    """``left``, ``center``, ``topleft``, ``top``, ``bottomleft``, ``bottom``; matters for 4:2:0 and 4:2:2 only."""


@dataclass(frozen=True, slots=True)
class Planes:
    """One decoded picture, unconverted. The arrays view the decoder's memory and must not be written."""

    y: Plane
    """uint8 or uint16 (>= height, >= width): luma codes, rows as long as the decoder made them; G of a GBR picture."""
    cb: Plane
    """Cb codes (>= height/sub_y, >= width/sub_x); B of a GBR picture."""
    cr: Plane
    """Cr codes, as ``cb``; R of a GBR picture."""
    height: int
    """Luma rows of the picture."""
    width: int
    """Luma columns of the picture."""
    sub_y: int
    """1 or 2: luma rows per chroma row."""
    sub_x: int
    """1 or 2: luma columns per chroma column."""
    bits: int
    """Bits of a code value: 8, 10, 12, 16 (P010 stores 10 bits at the top of 16, so it counts as 16)."""


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive pictures of one movie, in presentation order."""

    frames: tuple[Planes, ...]
    pts: tuple[float, ...]
    """Presentation time stamps of the pictures in seconds, as the container has them."""
    seconds: float
    """Presentation time of the centre picture, measured from the movie's presentation start."""

    @property
    def centre(self) -> Planes:
        """The centre frame."""
        return self.frames[len(self.frames) // 2]


def readonly(plane: Plane) -> Plane:
    """The plane as compiled loops expect it: one kind of array, however the caller came by it."""
    view = np.ascontiguousarray(plane).view()
    view.flags.writeable = False
    return view
