"""HDR to SDR: ``Grader`` for one movie's pictures on the CPU, ``ToneMap`` for HDR tensors in torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from . import color
from .curves import PRESETS, CurveName, ToneSettings, UserCurve, implausible_peaks, peak_nits
from .frames import Box, ColorTags, Plane, Planes, readonly
from .kernel import write_sdr, write_signal
from .tables import (
    HLG_TOP,
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

__all__ = ["PRESETS", "Grader", "ToneMap", "ToneSettings", "implausible_peaks", "peak_nits"]

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
            if color.accepted_name(field.name, name) != name:
                raise ValueError(f"{field.name} {name!r} is called {color.accepted_name(field.name, name)!r} here")
        if not 8 <= self.bits <= 16:
            raise ValueError(f"bits is {self.bits}, expected 8..16")

    def __reduce__(self) -> tuple[Any, ...]:
        return Grader, (self.tags, self.bits, self.settings, self.peak)

    def sdr(self, pictures: Sequence[Planes], box: Box) -> Codes:
        """uint8 (T, height, width, 3): RGB of the box, tone-mapped if the movie is HDR; BT.709, gamma 2.4."""
        out = np.empty((len(pictures), box.height, box.width, 3), np.uint8)
        for picture, target in zip(pictures, out, strict=True):
            where = self._arguments(picture, box)
            if color.is_hdr(self.tags.transfer) or self.tags.primaries in WIDE_PRIMARIES:
                write_sdr(*where, self._index_matrix, self._tables, target)
            else:
                write_signal(*where, matrix_of(self.tags, self.bits, 255, 255), target)
        return out

    def signal(self, pictures: Sequence[Planes], box: Box) -> Codes:
        """uint16 (T, height, width, 3): PQ or HLG R'G'B' of the box in BT.2020 primaries, 65535 is signal 1.

        Raises ValueError for an SDR movie.
        """
        if not color.is_hdr(self.tags.transfer):
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
        codes = color.code_range(self.tags.range, self.bits)
        signal = (np.arange(2**self.bits) - codes.luma_zero) / codes.luma_span
        light = display_light(np.clip(signal, 0, top_signal(self.tags.transfer)), self.tags.transfer)
        return (light if color.is_hdr(self.tags.transfer) else light * SDR_WHITE_NITS).astype(np.float32)

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
        gamut = color.rgb_to_rgb(self.tags.primaries, "bt2020")
        signal = codes / 65535
        if self.tags.transfer == "pq":
            signal = color.inverse_eotf_pq(color.eotf_pq(signal) @ gamut.T)
        else:
            power = color.HLG_GAMMA if self.settings.hlg_ootf == "per_channel" else 1.0
            light = color.inverse_oetf_hlg(signal) ** power @ gamut.T
            signal = color.oetf_hlg(np.maximum(light, 0.0) ** (1 / power))
        return np.floor(np.clip(signal, 0, 1) * 65535 + 0.5).astype(np.uint16)


class ToneMap(nn.Module):
    """HDR signal in BT.2020 primaries to SDR, batched, on any device; within 1 code of ``Grader.sdr``.

    Takes (..., 3, H, W): uint16 (65535 is signal 1) or floating point in 0..1 (HLG: to 1.5). Gives the same shape in
    ``dtype``: floating point in 0..1, or uint8 rounded half up. The work is done in float32 whatever comes in, under
    autocast and after ``.half()`` too, and gradients are finite everywhere.
    """

    curve_bits: Tensor

    def __init__(
        self,
        transfer: Literal["pq", "hlg"] = "pq",
        curve: CurveName | UserCurve = "mobius",
        reference_white: float = 100.0,
        peak: float = 1000.0,
        desat: float = 2.0,
        hlg_ootf: Literal["per_channel", "luminance"] = "per_channel",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if transfer not in color.HDR_TRANSFERS:
            raise ValueError(f"transfer is {transfer!r}, expected 'pq' or 'hlg'")
        if not (dtype.is_floating_point or dtype == torch.uint8):
            raise ValueError(f"dtype is {dtype}, expected torch.uint8 or a floating-point type")
        self.transfer = transfer
        self.settings = ToneSettings(curve, reference_white, peak, desat, hlg_ootf)
        self.dtype = dtype
        movie = tables_of(ColorTags(transfer, "bt2020", "bt2020nc", "tv"), self.settings, peak)
        self._gamut: list[list[float]] = movie.gamut.tolist()
        self._luma_weights: list[float] = movie.luma_weights.tolist()
        self._scene_weights: list[float] = movie.scene_weights.tolist()
        self._curve_scale = float(movie.curve.scale)
        # As bits: .half() and .to(torch.bfloat16) would round float32 entries.
        self.register_buffer("curve_bits", torch.from_numpy(movie.curve.entries).view(torch.int32), persistent=False)

    def extra_repr(self) -> str:
        """What ``print`` shows of the module."""
        return f"{self.transfer!r}, {self.settings}, dtype={self.dtype}"

    def forward(self, signal: Tensor) -> Tensor:
        """SDR of HDR signal."""
        if signal.dtype == torch.uint16:
            signal = signal.to(torch.float32) / 65535
        elif signal.is_floating_point():
            signal = signal.to(torch.float32)
        else:
            raise TypeError(f"signal is {signal.dtype}, expected uint16 or floating point")
        light = self._desaturated(self._bt709(self._display_light(signal)))
        light = light * self._curve_factor(light.amax(-3, keepdim=True).clamp(min=1e-6))
        # The root's slope at black is infinite: below 1e-9 (0.05 codes) it is cut off.
        sdr = torch.where(light > 1e-9, light.clamp(1e-9, 1) ** (1 / 2.4), 0.0)
        return (sdr * 255 + 0.5).to(torch.uint8) if self.dtype == torch.uint8 else sdr.to(self.dtype)

    def _display_light(self, signal: Tensor) -> Tensor:
        """Relative to reference white: ``color.eotf_pq``, or ``color.inverse_oetf_hlg`` and then the OOTF."""
        white = self.settings.reference_white
        if self.transfer == "pq":
            root = signal.clamp(1e-7, 1) ** (1 / color.PQ_M2)
            ratio = (root - color.PQ_C1).clamp(min=0) / (color.PQ_C2 - color.PQ_C3 * root)
            return ratio ** (1 / color.PQ_M1) * (color.PQ_WHITE_NITS / white)
        signal = signal.clamp(0, HLG_TOP)
        upper = (torch.exp((signal.clamp(min=0.5) - color.HLG_C) / color.HLG_A) + color.HLG_B) / 12
        scene = torch.where(signal <= 0.5, signal**2 / 3, upper)
        if self.settings.hlg_ootf == "per_channel":
            return scene**color.HLG_GAMMA * (color.HLG_WHITE_NITS / white)
        luminance = _weighted(scene, self._scene_weights).clamp(min=1e-12)
        return scene * (luminance ** (color.HLG_GAMMA - 1) * (color.HLG_WHITE_NITS / white))

    def _bt709(self, light: Tensor) -> Tensor:
        """Change of primaries: no matmul, which autocast would do in half precision, and grey stays exactly grey."""
        red, green, blue = light.unbind(-3)
        (_, rg, rb), (gr, _, gb), (br, bg, _) = self._gamut
        return torch.stack(
            (
                red + (rg * (green - red) + rb * (blue - red)),
                green + (gr * (red - green) + gb * (blue - green)),
                blue + (br * (red - blue) + bg * (green - blue)),
            ),
            dim=-3,
        )

    def _desaturated(self, light: Tensor) -> Tensor:
        """FFmpeg's ``tonemap=desat``."""
        if self.settings.desat == 0:
            return light
        luma = _weighted(light, self._luma_weights)
        fade = (luma - self.settings.desat).clamp(min=1e-6) / luma.clamp(min=1e-6)
        return light + (luma - light) * fade

    def _curve_factor(self, light: Tensor) -> Tensor:
        """The tone curve f as f(x) / x, from its table, linearly between entries."""
        entries = self.curve_bits.view(torch.float32)
        last = entries.numel() - 1
        position = (light.sqrt() * self._curve_scale).clamp(max=last)
        lower = position.detach().long().clamp(0, last - 1)  # NaN must not reach beyond the table
        return torch.lerp(entries[lower], entries[lower + 1], position - lower)


def _weighted(rgb: Tensor, weights: list[float]) -> Tensor:
    """(..., 1, H, W): the luminance of (..., 3, H, W)."""
    red, green, blue = rgb.unbind(-3)
    return (weights[0] * red + weights[1] * green + weights[2] * blue).unsqueeze(-3)
