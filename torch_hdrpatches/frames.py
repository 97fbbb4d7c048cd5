"""Decoded frames as plain data: planes of code values, and windows of consecutive frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Plane: TypeAlias = np.ndarray[Any, np.dtype[Any]]


class Box(NamedTuple):
    """A rectangle in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns: ``plane[box.slices]``."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


@dataclass(frozen=True, slots=True)
class ColorTags:
    """How code values encode colour, in FFmpeg's names (``color/names.py`` lists the valid ones)."""

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
    """One decoded frame, not converted. The arrays are views of the decoder's memory and must not be written."""

    y: Plane
    """uint8 or uint16 (>= height, >= width): luma code values, with the decoder's padding; G of a GBR frame."""
    cb: Plane
    cr: Plane
    """Cb and Cr codes (>= height/sub_y, >= width/sub_x); B and R of a GBR frame."""
    height: int
    width: int
    """Luma rows and columns without padding."""
    sub_y: int
    sub_x: int
    """1 or 2: luma rows per chroma row, and luma columns per chroma column."""
    bits: int
    """Bits per code value: 8, 10, 12, 16 (16 for P010, which stores 10 bits in the upper bits of 16)."""


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive frames of one movie, in presentation order."""

    frames: tuple[Planes, ...]
    pts: tuple[float, ...]
    """Presentation timestamps of the frames in seconds, as stored in the container."""
    seconds: float
    """Presentation time of the centre frame, measured from the start of the movie."""

    @property
    def centre(self) -> Planes:
        """The centre frame."""
        return self.frames[len(self.frames) // 2]


def readonly(plane: Plane) -> Plane:
    """A read-only contiguous view: compiled loops are then specialised for one type of array only."""
    view = np.ascontiguousarray(plane).view()
    view.flags.writeable = False
    return view
