"""Scaling of a decoded frame to the working size, as 4:4:4 planes of 16-bit code values."""

from __future__ import annotations

from functools import partial

import numpy as np

from ..color.names import CHROMA_SITING, accepted_name
from ..frames import Box, ColorTags, Plane, Planes
from . import filters


def working_size(height: int, width: int, frame_size: tuple[int, int] | None) -> tuple[int, int]:
    """The (height, width) of a frame scaled down to fit inside ``frame_size``, which is (width, height).

    Frames are never enlarged. One side fits exactly; the other keeps the aspect ratio, rounded half up to a whole pixel
    and at least one. ``None`` keeps the size.
    """
    if frame_size is None or (width <= frame_size[0] and height <= frame_size[1]):
        return height, width
    widest, highest = frame_size
    if height * widest <= width * highest:
        return max(1, (2 * height * widest + width) // (2 * width)), widest
    return highest, max(1, (2 * width * highest + height) // (2 * height))


def resample(frame: Planes, box: Box, working: tuple[int, int], tags: ColorTags) -> Planes:
    """The pixels ``box`` of the frame scaled to ``working`` (height, width): 4:4:4 uint16 planes of 16 bits.

    Bicubic with antialiasing, on code values; edges repeat. A box equals the same box of the whole scaled frame bit for
    bit, and only the rows and columns that it needs are read. Codes are converted to 16 bits so that the formulas of
    their range still apply: limited range times 2^(16 - bits), full range to 0..65535 with neutral chroma at 32768.
    """
    siting_y, siting_x = CHROMA_SITING[accepted_name("chroma_location", tags.chroma_location)]
    gain = 2.0 ** (16 - frame.bits) if tags.range == "tv" else 65535 / (2**frame.bits - 1)
    offset = 0.0 if tags.matrix == "rgb" else 32768 - gain * 2 ** (frame.bits - 1)
    taps = partial(filters.scaling_taps, filters.CUBIC, edge=filters.replicate)

    def scaled(plane: Plane, offset: float, sub_y: int = 1, sub_x: int = 1) -> Plane:
        rows = taps(frame.height, working[0], subsampling=sub_y, siting=siting_y).part(box.top, box.height)
        columns = taps(frame.width, working[1], subsampling=sub_x, siting=siting_x).part(box.left, box.width)
        return filters.apply(plane, rows, columns, gain=gain, offset=offset, dtype=np.uint16)

    cb, cr = (scaled(plane, offset, frame.sub_y, frame.sub_x) for plane in (frame.cb, frame.cr))
    return Planes(scaled(frame.y, 0.0), cb, cr, box.height, box.width, sub_y=1, sub_x=1, bits=16)
