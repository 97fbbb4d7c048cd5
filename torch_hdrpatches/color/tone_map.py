"""Tone mapping as a torch module, on any device."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ..frames import ColorTags
from . import formulas
from .curves import CurveName, ToneSettings, UserCurve
from .names import is_hdr
from .tables import tables_of


class ToneMap(nn.Module):
    """HDR signal in BT.2020 primaries to SDR, within 1 code of ``Grader.sdr``.

    The input is (..., 3, H, W): uint16 (65535 is signal 1) or floating point in 0..1 (HLG: 0..1.5). The output has the
    same shape in ``dtype``: floating point in 0..1, or uint8 rounded half up. All arithmetic is float32, also under
    autocast and after ``.half()``, and gradients are finite everywhere.
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
        if not is_hdr(transfer):
            raise ValueError(f"transfer is {transfer!r}, expected 'pq' or 'hlg'")
        if not (dtype.is_floating_point or dtype == torch.uint8):
            raise ValueError(f"dtype is {dtype}, expected torch.uint8 or a floating-point type")
        self.transfer = transfer
        self.settings = ToneSettings(curve, reference_white, peak, desat, hlg_ootf)
        self.dtype = dtype
        tables = tables_of(ColorTags(transfer, "bt2020", "bt2020nc", "tv"), self.settings, peak)
        weights = (tables.gamut, tables.luma_weights, tables.scene_weights)
        self._gamut, self._luma_weights, self._scene_weights = (table.tolist() for table in weights)
        self._curve_scale = float(tables.curve.scale)
        # Kept as integers, because .half() and .to(torch.bfloat16) would round a buffer of float32.
        self.register_buffer("curve_bits", torch.from_numpy(tables.curve.entries).view(torch.int32), persistent=False)

    def extra_repr(self) -> str:
        """The settings, as ``print`` shows them."""
        return f"{self.transfer!r}, {self.settings}, dtype={self.dtype}"

    def forward(self, signal: Tensor) -> Tensor:
        """Tone-map ``signal``."""
        if signal.dtype == torch.uint16:
            signal = signal.to(torch.float32) / 65535
        elif signal.is_floating_point():
            signal = signal.to(torch.float32)
        else:
            raise TypeError(f"signal is {signal.dtype}, expected uint16 or floating point")
        light = self._desaturated(self._bt709(self._display_light(signal)))
        light = light * self._curve_factor(light.amax(-3, keepdim=True).clamp(min=1e-6))
        # The slope of the power function at 0 is infinite, so light below 1e-9 (0.05 codes) becomes 0.
        sdr = torch.where(light > 1e-9, light.clamp(1e-9, 1) ** (1 / 2.4), 0.0)
        return (sdr * 255 + 0.5).to(torch.uint8) if self.dtype == torch.uint8 else sdr.to(self.dtype)

    def _display_light(self, signal: Tensor) -> Tensor:
        """Light relative to reference white: ``formulas.eotf_pq``, or ``formulas.inverse_oetf_hlg`` and the OOTF."""
        white = self.settings.reference_white
        if self.transfer == "pq":
            root = signal.clamp(1e-7, 1) ** (1 / formulas.PQ_M2)
            ratio = (root - formulas.PQ_C1).clamp(min=0) / (formulas.PQ_C2 - formulas.PQ_C3 * root)
            return ratio ** (1 / formulas.PQ_M1) * (formulas.PQ_WHITE_NITS / white)
        signal = signal.clamp(0, formulas.HLG_TOP)
        upper = (torch.exp((signal.clamp(min=0.5) - formulas.HLG_C) / formulas.HLG_A) + formulas.HLG_B) / 12
        scene = torch.where(signal <= 0.5, signal**2 / 3, upper)
        if self.settings.hlg_ootf == "per_channel":
            return scene**formulas.HLG_GAMMA * (formulas.HLG_WHITE_NITS / white)
        luminance = _weighted(scene, self._scene_weights).clamp(min=1e-12)
        return scene * (luminance ** (formulas.HLG_GAMMA - 1) * (formulas.HLG_WHITE_NITS / white))

    def _bt709(self, light: Tensor) -> Tensor:
        """BT.2020 to BT.709 primaries, without matmul (half precision under autocast); grey stays exactly grey."""
        red, green, blue = light.unbind(-3)
        (_, rg, rb), (gr, _, gb), (br, bg, _) = self._gamut
        red_709 = red + (rg * (green - red) + rb * (blue - red))
        green_709 = green + (gr * (red - green) + gb * (blue - green))
        blue_709 = blue + (br * (red - blue) + bg * (green - blue))
        return torch.stack((red_709, green_709, blue_709), dim=-3)

    def _desaturated(self, light: Tensor) -> Tensor:
        """FFmpeg's ``tonemap=desat``."""
        if self.settings.desat == 0:
            return light
        luma = _weighted(light, self._luma_weights)
        fade = (luma - self.settings.desat).clamp(min=1e-6) / luma.clamp(min=1e-6)
        return light + (luma - light) * fade

    def _curve_factor(self, light: Tensor) -> Tensor:
        """The tone curve f as f(x) / x, interpolated linearly between the entries of its table."""
        entries = self.curve_bits.view(torch.float32)
        last = entries.numel() - 1
        position = (light.sqrt() * self._curve_scale).clamp(max=last)
        lower = position.detach().long().clamp(0, last - 1)  # NaN as an index would lie outside the table
        return torch.lerp(entries[lower], entries[lower + 1], position - lower)


def _weighted(rgb: Tensor, weights: list[float]) -> Tensor:
    """(..., 1, H, W): the luminance of (..., 3, H, W)."""
    red, green, blue = rgb.unbind(-3)
    return (weights[0] * red + weights[1] * green + weights[2] * blue).unsqueeze(-3)
