"""HDR to SDR: a movie's pictures cropped, tone-mapped and coded as RGB, on the CPU and in torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from . import color
from .curves import PRESETS, ToneSettings, implausible_peaks, peak_nits, tone_curve
from .frames import Box, ColorTags, Planes
from .kernel import Matrix, Sampling, Tables, sdr_codes, signal_codes

Codes: TypeAlias = np.ndarray[Any, np.dtype[Any]]

__all__ = ["PRESETS", "Grader", "ToneSettings", "implausible_peaks", "peak_nits"]

WIDE_PRIMARIES = ("bt2020", "smpte432")
LIGHT_SIZE, CURVE_SIZE, SHADE_SIZE = 131072, 16384, 16385
HLG_TOP = 1.5


@dataclass(frozen=True)
class Grader:
    """Turns one movie's pictures into RGB. Built once per movie, so that one static curve serves all its pictures."""

    tags: ColorTags
    bits: int
    settings: ToneSettings
    peak: float

    def __reduce__(self) -> tuple[Any, ...]:
        return Grader, (self.tags, self.bits, self.settings, self.peak)

    @property
    def is_hdr(self) -> bool:
        return color.is_hdr(self.tags.transfer)

    def sdr(self, pictures: Sequence[Planes], box: Box) -> Codes:
        out = np.empty((len(pictures), box.height, box.width, 3), np.uint8)
        for picture, target in zip(pictures, out, strict=True):
            if self._tables is None:
                signal_codes(*self._arguments(picture, box), self._matrix(255.0), target)
            else:
                sdr_codes(*self._arguments(picture, box), self._sdr_matrix, self._tables, target)
        return out

    def signal(self, pictures: Sequence[Planes], box: Box) -> Codes:
        if not self.is_hdr:
            raise ValueError(f"HDR output needs an HDR source, and this one has transfer {self.tags.transfer}")
        out = np.empty((len(pictures), box.height, box.width, 3), np.uint16)
        for picture, target in zip(pictures, out, strict=True):
            signal_codes(*self._arguments(picture, box), self._matrix(65535.0), target)
        return out

    @cached_property
    def grey(self) -> Codes:
        codes = np.arange(2**self.bits, dtype=np.uint8 if self.bits == 8 else np.uint16)[None, :]
        neutral = codes if self.tags.matrix == "rgb" else np.full_like(codes, 2 ** (self.bits - 1))
        ramp = Planes(codes, neutral, neutral, 1, codes.size, 1, 1, self.bits)
        return self.sdr([ramp], Box(0, 0, 1, codes.size))[0, 0, :, 0].copy()

    def _arguments(self, picture: Planes, box: Box) -> tuple[Any, ...]:
        y, cb, cr = (_readonly(plane) for plane in (picture.y, picture.cb, picture.cr))
        location = self.tags.chroma_location
        x0 = 0.5 if location in ("center", "top", "bottom") else 0.0
        y0 = 0.0 if location.startswith("top") else 1.0 if location.startswith("bottom") else 0.5
        sampling = Sampling(
            picture.sub_y,
            picture.sub_x,
            y0 if picture.sub_y == 2 else 0.0,
            x0 if picture.sub_x == 2 else 0.0,
            -(-picture.height // picture.sub_y),
            -(-picture.width // picture.sub_x),
        )
        return y, cb, cr, box.top, box.left, sampling

    def _matrix(self, full: float, top: float | None = None) -> Matrix:
        codes = color.code_range(self.tags.range, self.bits)
        if self.tags.matrix == "rgb":
            m = np.zeros((3, 3))
        else:
            m = color.ycbcr_to_rgb(self.tags.matrix) * full / codes.chroma_span
        return Matrix(
            self.tags.matrix == "rgb",
            *map(
                np.float32,
                (
                    codes.luma_zero,
                    full / codes.luma_span,
                    codes.chroma_zero,
                    m[0, 2],
                    m[1, 1],
                    m[1, 2],
                    m[2, 1],
                    full if top is None else top,
                ),
            ),
        )

    @property
    def _limit(self) -> float:
        return HLG_TOP if self.tags.transfer == "hlg" else 1.0

    @cached_property
    def _sdr_matrix(self) -> Matrix:
        return self._matrix((LIGHT_SIZE - 1) / self._limit, LIGHT_SIZE - 1)

    @cached_property
    def _tables(self) -> Tables | None:
        return make_tables(self.tags, self.settings, self.peak, self._limit)


def make_tables(tags, settings, peak, limit):
    f32 = np.float32
    signal = np.linspace(0, limit, LIGHT_SIZE)
    white = settings.reference_white
    luminance = np.ones(3) / 3
    ootf, ootf_scale = np.empty(0, f32), f32(0)
    desat = settings.desat or np.inf
    if tags.transfer == "pq":
        light = color.eotf_pq(signal) / white
    elif tags.transfer == "hlg":
        light = color.ootf_hlg_per_channel(color.inverse_oetf_hlg(signal)) / white
        if settings.hlg_ootf == "luminance":
            light = color.inverse_oetf_hlg(signal)
            luminance = color.rgb_to_xyz(tags.primaries)[1]
            ootf_scale = f32((CURVE_SIZE - 1) / np.sqrt(light[-1]))
            ys = (np.arange(CURVE_SIZE) / ootf_scale) ** 2
            ootf = (color.HLG_WHITE_NITS * ys**0.2 / white).astype(f32)
    elif tags.primaries in WIDE_PRIMARIES:
        light = color.eotf_bt1886(signal)
        desat = np.inf
    else:
        return None
    gamut = color.rgb_to_rgb(tags.primaries, "bt709")
    kr, kb = color.luma_coefficients("bt2020nc" if tags.matrix == "rgb" else tags.matrix)
    brightest = 100.0 * 100 / white * 1.7 if len(ootf) == 0 else 1000 * light[-1] ** 1.2 / white * 1.7
    brightest = max(light[-1] * 1.7, 1000 * light[-1] ** 1.2 / white * 1.7 if len(ootf) else 0)
    curve_scale = f32((CURVE_SIZE - 1) / np.sqrt(brightest))
    x = (np.arange(CURVE_SIZE) / np.float64(curve_scale)) ** 2
    x[0] = x[1] / 16
    curve = tone_curve(settings, peak)(x) / x if color.is_hdr(tags.transfer) else np.ones_like(x)
    shade = np.floor(255 * (np.arange(SHADE_SIZE) / (SHADE_SIZE - 1)) ** (2 / 2.4) + 0.5).astype(np.uint8)
    return Tables(
        light.astype(f32), ootf, ootf_scale, luminance.astype(f32), gamut.astype(f32),
        np.array([kr, 1 - kr - kb, kb], f32), f32(desat), curve.astype(f32), curve_scale, shade,
    )


def _readonly(plane: Codes) -> Codes:
    view = np.ascontiguousarray(plane).view()
    view.flags.writeable = False
    return view
