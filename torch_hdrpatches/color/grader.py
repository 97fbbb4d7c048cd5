"""HDR to SDR for the pictures of one movie, on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from ..frames import Box, ColorTags, Plane, Planes, readonly
from . import formulas
from .curves import ToneSettings
from .kernel import write_sdr, write_signal
from .names import accepted_name, is_hdr
from .tables import (
    SIGNAL_STEPS,
    WIDE_PRIMARIES,
    Matrix,
    Sampling,
    Tables,
    display_light,
    matrix_of,
    sampling_of,
    tables_of,
    top_signal,
)

Codes: TypeAlias = np.ndarray[Any, np.dtype[Any]]

SDR_WHITE_NITS = 100.0
"""cd/m2 of SDR white, where SDR pictures are measured in cd/m2 (BT.1886)."""


@dataclass(frozen=True)
class Grader:
    """How one movie's pictures become RGB. One static curve per movie; pickles small, its tables are made anew."""

    tags: ColorTags
    bits: int
    """Bits of a code value, 8 to 16, as in ``Planes``."""
    settings: ToneSettings
    peak: float
    """cd/m2 of the movie's brightest light (``peak_nits``); without meaning for an SDR movie."""

    def __post_init__(self) -> None:
        """Raises ValueError for tags that cannot be converted, and says which and why."""
        for field in fields(self.tags):
            name = getattr(self.tags, field.name)
            if accepted_name(field.name, name) != name:
                raise ValueError(f"{field.name} {name!r} is called {accepted_name(field.name, name)!r} here")
        if not 8 <= self.bits <= 16:
            raise ValueError(f"bits is {self.bits}, expected 8..16")

    def __reduce__(self) -> tuple[Any, ...]:
        return Grader, (self.tags, self.bits, self.settings, self.peak)

    def sdr(self, pictures: Sequence[Planes], box: Box) -> Codes:
        """uint8 (T, height, width, 3): RGB of the box, tone-mapped if the movie is HDR; BT.709, gamma 2.4."""
        out = np.empty((len(pictures), box.height, box.width, 3), np.uint8)
        for picture, target in zip(pictures, out, strict=True):
            where = self._arguments(picture, box)
            if is_hdr(self.tags.transfer) or self.tags.primaries in WIDE_PRIMARIES:
                write_sdr(*where, self._index_matrix, self._tables, target)
            else:
                write_signal(*where, matrix_of(self.tags, self.bits, 255, 255), target)
        return out

    def signal(self, pictures: Sequence[Planes], box: Box) -> Codes:
        """uint16 (T, height, width, 3): PQ or HLG R'G'B' of the box in BT.2020 primaries, 65535 is signal 1.

        Raises ValueError for an SDR movie.
        """
        if not is_hdr(self.tags.transfer):
            raise ValueError(f"transfer is {self.tags.transfer!r}: HDR output needs a PQ or HLG movie")
        out = np.empty((len(pictures), box.height, box.width, 3), np.uint16)
        for picture, target in zip(pictures, out, strict=True):
            write_signal(*self._arguments(picture, box), matrix_of(self.tags, self.bits, 65535, 65535), target)
        return out if self.tags.primaries == "bt2020" else self._to_bt2020(out)

    @cached_property
    def grey(self) -> Codes:
        """uint8 (2**bits,): the SDR code of a neutral pixel, by its luma code."""
        codes = np.arange(2**self.bits, dtype=np.uint8 if self.bits == 8 else np.uint16)[None, :]
        neutral = codes if self.tags.matrix == "rgb" else np.full_like(codes, 2 ** (self.bits - 1))
        ramp = Planes(codes, neutral, neutral, 1, codes.size, 1, 1, self.bits)
        return self.sdr([ramp], Box(0, 0, 1, codes.size))[0, 0, :, 0].copy()

    @cached_property
    def nits(self) -> Codes:
        """float32 (2**bits,): cd/m2 of a neutral pixel on the display it was graded for, by its luma code."""
        codes = formulas.code_range(self.tags.range, self.bits)
        signal = (np.arange(2**self.bits) - codes.luma_zero) / codes.luma_span
        light = display_light(np.clip(signal, 0, top_signal(self.tags.transfer)), self.tags.transfer)
        return (light if is_hdr(self.tags.transfer) else light * SDR_WHITE_NITS).astype(np.float32)

    def _arguments(self, picture: Planes, box: Box) -> tuple[Plane, Plane, Plane, int, int, Sampling]:
        top, left, height, width = map(int, box)
        if min(box) < 0 or top + height > picture.height or left + width > picture.width:
            raise ValueError(f"{box} is not inside a picture of {picture.height} x {picture.width}")
        if picture.bits != self.bits:
            raise ValueError(f"a picture has {picture.bits} bits, the movie {self.bits}")
        where = sampling_of(picture, self.tags.chroma_location)
        shapes = ((picture.height, picture.width), (where.rows, where.columns), (where.rows, where.columns))
        for plane, (rows, columns) in zip((picture.y, picture.cb, picture.cr), shapes, strict=True):
            if plane.ndim != 2 or plane.shape[0] < rows or plane.shape[1] < columns:
                raise ValueError(f"a plane is {plane.shape}, expected at least {rows} x {columns}")
        return readonly(picture.y), readonly(picture.cb), readonly(picture.cr), top, left, where

    @cached_property
    def _index_matrix(self) -> Matrix:
        last = SIGNAL_STEPS - 1
        return matrix_of(self.tags, self.bits, last / top_signal(self.tags.transfer), last)

    @cached_property
    def _tables(self) -> Tables:
        return tables_of(self.tags, self.settings, self.peak)

    def _to_bt2020(self, codes: Codes) -> Codes:
        """The same colours in BT.2020 primaries, through the linear light that ``sdr`` works in."""
        gamut = formulas.rgb_to_rgb(self.tags.primaries, "bt2020")
        signal = codes / 65535
        if self.tags.transfer == "pq":
            signal = formulas.inverse_eotf_pq(formulas.eotf_pq(signal) @ gamut.T)
        else:
            power = formulas.HLG_GAMMA if self.settings.hlg_ootf == "per_channel" else 1.0
            light = formulas.inverse_oetf_hlg(signal) ** power @ gamut.T
            signal = formulas.oetf_hlg(np.maximum(light, 0.0) ** (1 / power))
        return np.floor(np.clip(signal, 0, 1) * 65535 + 0.5).astype(np.uint16)
