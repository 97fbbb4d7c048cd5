"""Converts linear light to the code values of a movie, and draws and reads frame numbers."""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..color.formulas import (
    HLG_GAMMA,
    HLG_WHITE_NITS,
    code_range,
    inverse_eotf_bt1886,
    inverse_eotf_pq,
    oetf_hlg,
    rgb_to_ycbcr,
)
from ..errors import RecipeError
from ..frames import ColorTags

Light: TypeAlias = NDArray[np.float32]
"""float32 (H, W, 3): linear RGB in cd/m2."""
Codes: TypeAlias = NDArray[Any]
"""One plane of code values: float32 before rounding, uint8 or uint16 after."""
PlaneCodes: TypeAlias = tuple[Codes, Codes, Codes]
"""The planes of a frame: Y, Cb and Cr, or G, B and R if the matrix is ``rgb``."""

SDR_WHITE_NITS = 100.0

Taps: TypeAlias = tuple[float, float, float, float]
FIRST: Taps = (0.25, 0.5, 0.25, 0)
BETWEEN: Taps = (0.125, 0.375, 0.375, 0.125)
SECOND: Taps = (0, 0.25, 0.5, 0.25)
"""Low-pass filters that halve the number of samples; new samples lie at the first or second of a pair or between them.
Weights of the sample before the pair, its two samples, and the sample after it."""
SITINGS = {
    "left": (BETWEEN, FIRST),
    "center": (BETWEEN, BETWEEN),
    "topleft": (FIRST, FIRST),
    "top": (FIRST, BETWEEN),
    "bottomleft": (SECOND, FIRST),
    "bottom": (SECOND, BETWEEN),
}
"""Chroma location -> filters along columns and along rows."""


def signal_of(light: Light, transfer: str) -> Light:
    """Signal (0 to 1) of display light. White is 100 cd/m2 for SDR; the display's peak is 1000 cd/m2 for HLG."""
    if transfer == "pq":
        signal = inverse_eotf_pq(light)
    elif transfer == "hlg":
        display = np.clip(light / HLG_WHITE_NITS, 0, 1)
        # Inverse OOTF of BT.2100: the scene's luminance is Ys, the display's Yd = Ys^1.2.
        luminance = np.maximum(display @ rgb_to_ycbcr("bt2020nc")[0], 1e-9)
        signal = oetf_hlg(np.minimum(display * luminance[..., None] ** (1 / HLG_GAMMA - 1), 1))
    elif transfer == "iec61966-2-1":
        white = np.clip(light / SDR_WHITE_NITS, 0, 1)
        signal = np.where(white <= 0.0031308, 12.92 * white, 1.055 * white ** (1 / 2.4) - 0.055)
    else:
        signal = inverse_eotf_bt1886(np.minimum(light / SDR_WHITE_NITS, 1))
    return signal.astype(np.float32)


def halve(plane: Codes, axis: int, taps: Taps) -> Codes:
    """Half as many samples along an axis; edges are replicated."""
    rows = np.moveaxis(plane, axis, 0)
    padded = np.concatenate([rows[:1], rows, rows[-1:]])
    before, first, second, after = (tap * padded[start:][: len(rows) : 2] for start, tap in enumerate(taps))
    return np.moveaxis(before + first + second + after, 0, axis)


@dataclass(frozen=True, slots=True)
class Coding:
    """How a movie codes light: its colour tags, bit depth and chroma format."""

    tags: ColorTags
    bits: int
    chroma: str
    """``420``, ``422`` or ``444``."""

    @property
    def subs(self) -> tuple[tuple[int, int], ...]:
        """Luma rows and columns per sample of each plane."""
        return (1, 1), self.sub, self.sub

    @property
    def sub(self) -> tuple[int, int]:
        """Luma rows and columns per chroma sample."""
        return {"420": (2, 2), "422": (1, 2), "444": (1, 1)}[self.chroma]

    def planes(self, light: Light) -> PlaneCodes:
        """Unrounded float32 codes."""
        signal = signal_of(light, self.tags.transfer)
        zero, span, chroma_zero, chroma_span = map(np.float32, code_range(self.tags.range, self.bits))
        if self.tags.matrix == "rgb":
            r, g, b = np.moveaxis(zero + span * signal, -1, 0)
            return g, b, r
        y, cb, cr = np.moveaxis(signal @ rgb_to_ycbcr(self.tags.matrix).T.astype(np.float32), -1, 0)
        cb, cr = (chroma_zero + chroma_span * self.subsample(plane) for plane in (cb, cr))
        return zero + span * y, cb, cr

    def subsample(self, plane: Codes) -> Codes:
        """A plane of luma size, reduced to the size of the chroma planes."""
        for axis in (1, 0):
            if self.sub[axis] == 2:
                plane = halve(plane, axis, SITINGS[self.tags.chroma_location][axis])
        return plane

    def rounded(self, plane: Codes) -> Codes:
        """Code values as integers: uint8 for 8 bits, else uint16."""
        rint = np.rint(plane)
        return np.clip(rint, 0, (1 << self.bits) - 1, out=rint).astype(np.uint8 if self.bits == 8 else np.uint16)


CELL = 8
"""Height and width of a cell, in movie pixels. A mark consists of cells: bright or dark squares, one bit each."""
ROWS, COLUMNS = 5, 6
PERIOD = 96
"""Distance from one mark to the next in movie pixels, in both directions."""
MARK_TOP, MARK_LEFT = (PERIOD - ROWS * CELL) // 2, (PERIOD - COLUMNS * CELL) // 2
DARK_NITS, BRIGHT_NITS = 2.0, 80.0


def _cells(number: int) -> NDArray[np.bool_]:
    """bool (ROWS * COLUMNS,): a bright and a dark cell, the number in 16 bits of Gray code, 12 bits of its CRC-32."""
    word = (number ^ number >> 1) << 12 | zlib.crc32(number.to_bytes(2, "little")) & 0xFFF
    return np.array([True, False, *(bool(word >> bit & 1) for bit in range(28))])


def stamp(planes: PlaneCodes, coding: Coding, number: int, active: tuple[int, int, int, int]) -> None:
    """Draw a frame's number all over unrounded planes, in place; ``active`` is (top, left, bottom, right)."""
    if not 0 <= number < 1 << 16:
        raise RecipeError(f"frame number {number} does not fit into a mark; numbers go from 0 to 65535")
    mark = np.kron(_cells(number).reshape(ROWS, COLUMNS), np.ones((CELL, CELL), bool))
    dark, bright = (
        [plane[0, 0] for plane in coding.planes(np.full((2, 2, 3), nits, np.float32))]
        for nits in (DARK_NITS, BRIGHT_NITS)
    )
    top, left, bottom, right = active
    tops = [y for y in range(MARK_TOP, bottom - ROWS * CELL + 1, PERIOD) if y >= top]
    lefts = [x for x in range(MARK_LEFT, right - COLUMNS * CELL + 1, PERIOD) if x >= left]
    for plane, low, high, (sub_y, sub_x) in zip(planes, dark, bright, coding.subs, strict=True):
        block = np.where(mark[::sub_y, ::sub_x], high, low)
        for y, x in product(tops, lefts):
            plane[y // sub_y :, x // sub_x :][: block.shape[0], : block.shape[1]] = block


def read_number(image: Any, top: float = 0, left: float = 0, scale: float = 1.0) -> int:
    """The number of the frame from which a crop was taken.

    Marks with a wrong checksum are ignored; the others vote.

    Args:
        image: The crop: (H, W) luma or (3, H, W) RGB, any real dtype, array or tensor. It should cover at least about
            160 x 160 movie pixels, so that a whole mark is inside.
        top: Row of the crop in the whole frame, in pixels of the crop's own size.
        left: Column of the crop in the whole frame, as ``top``.
        scale: Crop pixels per movie pixel; less than 1 for a downscaled crop.

    Raises:
        ValueError: No mark has a valid checksum, or the vote is a tie.
    """
    pixels = np.asarray(image)
    gray = pixels.mean(axis=0) if pixels.ndim == 3 else pixels.astype(np.float64)
    height, width = gray.shape
    inner = np.array([-0.25, 0.0, 0.25]) * CELL  # three samples per cell and direction
    rows, columns = (((np.arange(n) + 0.5)[:, None] * CELL + inner).ravel() for n in (ROWS, COLUMNS))
    tops = _mark_starts(MARK_TOP, ROWS * CELL, top, height, scale)
    lefts = _mark_starts(MARK_LEFT, COLUMNS * CELL, left, width, scale)
    votes: Counter[int] = Counter()
    for mark_top, mark_left in product(tops, lefts):
        y = np.floor((mark_top + rows) * scale - top).astype(int)
        x = np.floor((mark_left + columns) * scale - left).astype(int)
        number = _decoded(gray[np.ix_(y, x)].reshape(ROWS, 3, COLUMNS, 3).mean(axis=(1, 3)).ravel())
        if number is not None:
            votes[number] += 1
    ranking = votes.most_common(2)
    if not ranking or (len(ranking) == 2 and ranking[0][1] == ranking[1][1]):
        found = f"marks disagree: {dict(votes)}" if votes else "no mark with a valid checksum"
        raise ValueError(f"{found} in a {height}x{width} crop at ({top}, {left}), scale {scale}")
    return ranking[0][0]


def _mark_starts(first: int, size: int, start: float, length: int, scale: float) -> list[int]:
    """First movie pixel of each mark that lies wholly inside a crop, along one axis."""
    inside = range(first, int((start + length) / scale) - size + 1, PERIOD)
    return [at for at in inside if at * scale >= start]


def _decoded(samples: NDArray[np.float64]) -> int | None:
    """The number of a mark, from the mean of each cell; None if this is no valid mark."""
    bright, dark = samples[0], samples[1]
    if bright - dark < 0.15 * bright:
        return None
    bits = samples > (bright + dark) / 2
    number = sum(int(bit) << place for place, bit in enumerate(bits[14:]))  # as Gray code
    for shift in (8, 4, 2, 1):
        number ^= number >> shift
    return number if np.array_equal(bits, _cells(number)) else None
