"""Views the memory of a decoded frame as numpy arrays: Y, Cb and Cr."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane

from ..frames import Plane, Planes

_YUV = re.compile(r"yuvj?(420|422|444)p(9|10|12|14|16)?(?:le)?")
_GBR = re.compile(r"gbrp(9|10|12|14|16)?(?:le)?")
_INTERLEAVED = {"nv12": 8, "p010le": 16}
_SUBSAMPLING = {"420": (2, 2), "422": (1, 2), "444": (1, 1), "gbr": (1, 1)}


class Layout(NamedTuple):
    """How a pixel format stores a frame."""

    chroma: str
    """``420``, ``422``, ``444`` or ``gbr``."""
    bits: int
    is_interleaved: bool = False
    """Cb and Cr share one plane."""


def layout_of(pixel_format: str) -> Layout | None:
    """The layout of a pixel format, given by FFmpeg's name; None if the format is not supported."""
    if match := _YUV.fullmatch(pixel_format):
        return Layout(match[1], int(match[2] or 8))
    if match := _GBR.fullmatch(pixel_format):
        return Layout("gbr", int(match[1] or 8))
    bits = _INTERLEAVED.get(pixel_format)
    return Layout("420", bits, is_interleaved=True) if bits else None


def planes_of(frame: VideoFrame) -> Planes:
    """Read-only planes of ``frame`` that keep its memory alive; raises ValueError for unsupported pixel formats."""
    layout = layout_of(frame.format.name)
    if layout is None:
        raise ValueError(f"pixel format {frame.format.name} is not supported")
    planes = [_view(plane, layout.bits) for plane in frame.planes]
    if layout.is_interleaved:
        planes[1:] = [np.ascontiguousarray(planes[1][:, first::2]) for first in (0, 1)]
    sub_y, sub_x = _SUBSAMPLING[layout.chroma]
    y, cb, cr = planes[:3]
    return Planes(y, cb, cr, frame.height, frame.width, sub_y, sub_x, layout.bits)


def _view(plane: VideoPlane, bits: int) -> Plane:
    codes: Plane = np.frombuffer(memoryview(plane), np.dtype(np.uint8) if bits == 8 else np.dtype("<u2"))
    codes = codes.reshape(plane.height, -1)
    codes.flags.writeable = False
    return codes
