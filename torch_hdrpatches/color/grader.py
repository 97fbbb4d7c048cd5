"""Conversion of one movie's frames to SDR codes or HDR signal, on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from ..frames import Box, ColorTags, Planes, readonly
from . import formulas
from .curves import ToneSettings
from .kernel import convert
from .names import CHROMA_SITING, accepted_name, is_hdr
from .tables import SIGNAL_STEPS, WIDE_PRIMARIES, Layout, Matrix, Tables, matrix_of, tables_of

Codes: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Grader:
    """Converts frames of one movie to RGB by one static tone curve; a pickle holds the settings, not the tables."""

    tags: ColorTags
    bits: int
    """Bits of a code value, 8 to 16, as in ``Planes``."""
    settings: ToneSettings
    peak: float
    """The movie's peak in cd/m2 (``curves.peak_nits``); unused for an SDR movie."""

    def __post_init__(self) -> None:
        for field, name in asdict(self.tags).items():
            if accepted_name(field, name) != name:
                raise ValueError(f"{field} is {name!r}, expected its canonical name {accepted_name(field, name)!r}")
        if not 8 <= self.bits <= 16:
            raise ValueError(f"bits is {self.bits}, expected 8..16")

    def __reduce__(self) -> tuple[Any, ...]:
        return Grader, (self.tags, self.bits, self.settings, self.peak)

    def sdr(self, frames: Sequence[Planes], box: Box) -> Codes:
        """uint8 (T, height, width, 3): RGB of the box in BT.709, gamma 2.4; tone-mapped if the movie is HDR."""
        if not is_hdr(self.tags.transfer) and self.tags.primaries not in WIDE_PRIMARIES:
            return self._converted(frames, box, np.uint8, matrix_of(self.tags, self.bits, 255))
        return self._converted(frames, box, np.uint8, *self._tone_mapping)

    def signal(self, frames: Sequence[Planes], box: Box) -> Codes:
        """uint16 (T, height, width, 3): R'G'B' of a PQ or HLG movie in BT.2020 primaries; signal 1 is 65535."""
        if not is_hdr(self.tags.transfer):
            raise ValueError(f"transfer is {self.tags.transfer!r}: HDR output needs a PQ or HLG movie")
        out = self._converted(frames, box, np.uint16, matrix_of(self.tags, self.bits, 65535))
        return out if self.tags.primaries == "bt2020" else self._to_bt2020(out)

    @cached_property
    def grey(self) -> Codes:
        """uint8 (2**bits,): SDR code of a neutral pixel, by luma code."""
        codes = np.arange(2**self.bits, dtype=np.uint8 if self.bits == 8 else np.uint16)[None, :]
        neutral = codes if self.tags.matrix == "rgb" else np.full_like(codes, 2 ** (self.bits - 1))
        ramp = Planes(codes, neutral, neutral, 1, codes.size, 1, 1, self.bits)
        return self.sdr([ramp], Box(0, 0, 1, codes.size))[0, 0, :, 0].copy()

    @cached_property
    def nits(self) -> Codes:
        """float32 (2**bits,): cd/m2 of a neutral pixel on the display for which the movie is graded, by luma code."""
        codes = formulas.code_range(self.tags.range, self.bits)
        signal = (np.arange(2**self.bits) - codes.luma_zero) / codes.luma_span
        signal = np.clip(signal, 0, formulas.top_signal(self.tags.transfer))
        light = formulas.display_light(signal, self.tags.transfer)
        return (light if is_hdr(self.tags.transfer) else light * 100).astype(np.float32)  # white of BT.1886: 100 cd/m2

    def _converted(
        self, frames: Sequence[Planes], box: Box, dtype: type, matrix: Matrix, tables: Tables | None = None
    ) -> Codes:
        out: Codes = np.empty((len(frames), box.height, box.width, 3), dtype)
        for frame, target in zip(frames, out, strict=True):
            layout, planes = self._layout(frame, box), (readonly(frame.y), readonly(frame.cb), readonly(frame.cr))
            convert(*planes, layout, matrix, tables, target)
        return out

    def _layout(self, frame: Planes, box: Box) -> Layout:
        top, left, height, width = map(int, box)
        if min(box) < 0 or top + height > frame.height or left + width > frame.width:
            raise ValueError(f"{box} is not inside a frame of {frame.height} x {frame.width}")
        if frame.bits != self.bits:
            raise ValueError(f"a frame has {frame.bits} bits, expected {self.bits} as in the movie")
        sub_y, sub_x = int(frame.sub_y), int(frame.sub_x)
        luma, chroma = (frame.height, frame.width), (-(-int(frame.height) // sub_y), -(-int(frame.width) // sub_x))
        for plane, (rows, columns) in ((frame.y, luma), (frame.cb, chroma), (frame.cr, chroma)):
            if plane.ndim != 2 or plane.shape[0] < rows or plane.shape[1] < columns:
                raise ValueError(f"a plane is {plane.shape}, expected at least {rows} x {columns}")
        y0, x0 = CHROMA_SITING[self.tags.chroma_location]
        return Layout(top, left, sub_y, sub_x, y0 * (sub_y - 1), x0 * (sub_x - 1), *chroma)

    @cached_property
    def _tone_mapping(self) -> tuple[Matrix, Tables]:
        matrix = matrix_of(self.tags, self.bits, SIGNAL_STEPS - 1, formulas.top_signal(self.tags.transfer))
        return matrix, tables_of(self.tags, self.settings, self.peak)

    def _to_bt2020(self, codes: Codes) -> Codes:
        """Codes of ``signal`` converted to BT.2020 primaries in the same linear light as in ``sdr``."""
        gamut = formulas.rgb_to_rgb(self.tags.primaries, "bt2020")
        signal = codes / 65535
        if self.tags.transfer == "pq":
            signal = formulas.inverse_eotf_pq(formulas.eotf_pq(signal) @ gamut.T)
        else:
            power = formulas.HLG_GAMMA if self.settings.hlg_ootf == "per_channel" else 1.0
            light = formulas.inverse_oetf_hlg(signal) ** power @ gamut.T
            signal = formulas.oetf_hlg(np.maximum(light, 0.0) ** (1 / power))
        return np.floor(np.clip(signal, 0, 1) * 65535 + 0.5).astype(np.uint16)
