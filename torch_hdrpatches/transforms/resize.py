"""A region of a decoded picture at the working size: still code values, chroma at every pixel, 16 bits."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..frames import Box, ColorTags, Planes
from . import filters
from .filters import Taps

_SITING = {
    "left": (0.5, 0.0),
    "center": (0.5, 0.5),
    "topleft": (0.0, 0.0),
    "top": (0.0, 0.5),
    "bottomleft": (1.0, 0.0),
    "bottom": (1.0, 0.5),
}
"""Where the first chroma sample lies in luma pixels, down and across, where chroma is subsampled (H.273, 8.7)."""


def working_size(height: int, width: int, frame_size: tuple[int, int] | None) -> tuple[int, int]:
    """The (height, width) to which a picture is scaled to fit inside ``frame_size``, which is (width, height).

    Never larger than the picture. The side that limits fits exactly; the other keeps the aspect, rounded half up to a
    whole pixel and at least one. ``None`` leaves the picture as it is.
    """
    if frame_size is None or (width <= frame_size[0] and height <= frame_size[1]):
        return height, width
    widest, highest = frame_size
    if height * widest <= width * highest:
        return max(1, (2 * height * widest + width) // (2 * width)), widest
    return highest, max(1, (2 * width * highest + height) // (2 * height))


def resample(picture: Planes, box: Box, working: tuple[int, int], tags: ColorTags) -> Planes:
    """The pixels ``box`` of the picture scaled to ``working`` (height, width): 4:4:4 uint16 planes of 16 bits.

    Bicubic, antialiased, on code values; edges repeat. A box is bit for bit a piece of the whole scaled picture, and
    only the rows and columns that it needs are read. Codes are brought to 16 bits so that the formulas of their range
    hold there: limited range times 2^(16 - bits), full range to 0..65535 with colourless chroma at 32768.
    """
    if tags.chroma_location not in _SITING:
        raise ValueError(f"chroma_location is {tags.chroma_location!r}, expected one of {', '.join(_SITING)}")
    limited = tags.range == "tv"
    gain = 2.0 ** (16 - picture.bits) if limited else 65535 / (2**picture.bits - 1)
    offset = 0.0 if tags.matrix == "rgb" else 32768 - gain * 2 ** (picture.bits - 1)
    (py, px), rows, columns = _SITING[tags.chroma_location], (box.top, box.height), (box.left, box.width)
    luma = (
        _axis(picture.height, working[0]).part(*rows),
        _axis(picture.width, working[1]).part(*columns),
    )
    chroma = (
        _axis(picture.height, working[0], picture.sub_y, py).part(*rows),
        _axis(picture.width, working[1], picture.sub_x, px).part(*columns),
    )
    y, cb, cr = (
        filters.apply(plane, *axes, gain=gain, offset=shift, limit=65535, dtype=np.uint16)
        for plane, axes, shift in ((picture.y, luma, 0.0), (picture.cb, chroma, offset), (picture.cr, chroma, offset))
    )
    return Planes(y, cb, cr, box.height, box.width, sub_y=1, sub_x=1, bits=16)


@lru_cache(maxsize=32)
def _axis(decoded: int, working: int, subsampling: int = 1, siting: float = 0.0) -> Taps:
    """Taps of a whole axis; ``decoded`` and ``siting`` (of no meaning without subsampling) are in luma pixels."""
    ratio = decoded / working
    centres = (np.arange(working) + 0.5) * ratio - 0.5
    if subsampling > 1:
        centres = (centres - siting) / subsampling
    stretch = max(1.0, ratio / subsampling)
    return filters.taps(filters.CUBIC, centres, -(-decoded // subsampling), stretch, filters.replicate)
