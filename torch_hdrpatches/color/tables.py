"""The parameters of ``kernel`` for one movie: code range, matrices, and the tone curve as lookup tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy import float32 as f32

from ..frames import ColorTags
from . import formulas
from .curves import ToneSettings, tone_curve
from .formulas import Array
from .names import is_hdr

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]

SIGNAL_STEPS = 2**17
"""Size of the table indexed by signal. With a smaller one, errors show in dark saturated colours."""
ROOT_STEPS = 2**15
"""Size of a table indexed by the square root of light, for errors under 0.05 codes."""
WIDE_PRIMARIES = ("bt2020", "smpte432")
"""Primaries of SDR movies that are converted to BT.709; those of SD video are so close that they are kept."""


class Layout(NamedTuple):
    """The corner of the converted box, and the chroma samples: luma column x is at (x - x0) / sub_x, rows likewise."""

    top: int
    left: int
    sub_y: int
    sub_x: int
    y0: float
    x0: float
    rows: int
    columns: int
    """Chroma rows and columns of the frame; its planes may have more."""


class Matrix(NamedTuple):
    """Codes to R'G'B' clamped to 0..top."""

    planes_are_rgb: bool
    """The planes are G, B and R, and ``luma_zero`` and ``luma_scale`` apply to all three."""
    luma_zero: f32
    luma_scale: f32
    chroma_zero: f32
    red_cr: f32
    green_cb: f32
    green_cr: f32
    blue_cb: f32
    top: f32


class RootTable(NamedTuple):
    """A function of light x >= 0 as a table indexed by sqrt(x), as codes are spaced: entry i is f((i / scale)^2)."""

    entries: Any
    """float32 or uint8 (n,); the last one is used for all larger x."""
    scale: f32


class Tables(NamedTuple):
    """From R'G'B' as indices of ``light`` to SDR codes."""

    light: Floats
    """(n,): light relative to reference white, by signal; HLG scene light (0..1) if ``ootf`` has entries."""
    ootf: RootTable
    """float32: HLG display light / scene light, by scene luminance; without entries if ``light`` is display light."""
    scene_weights: Floats
    """(3,): weights of R, G and B in scene luminance."""
    gamut: Floats
    """(3, 3): linear RGB to BT.709 primaries; rows sum to 1."""
    luma_weights: Floats
    """(3,): weights of R, G and B in the luminance that decides on desaturation."""
    desat: f32
    """Luminance above which colours are desaturated; 0: never."""
    curve: RootTable
    """float32: the tone curve f as a factor, f(x) / x."""
    sdr_codes: RootTable
    """uint8: the SDR code of light in 0..1."""


def matrix_of(tags: ColorTags, bits: int, top: float, top_signal: float = 1.0) -> Matrix:
    """Codes of ``bits`` to R'G'B' in which ``top_signal`` is ``top``; higher signal is clamped."""
    one = top / top_signal
    codes = formulas.code_range(tags.range, bits)
    chroma = np.zeros((3, 3)) if tags.matrix == "rgb" else formulas.ycbcr_to_rgb(tags.matrix) * one / codes.chroma_span
    return Matrix(
        tags.matrix == "rgb",
        f32(codes.luma_zero),
        f32(one / codes.luma_span),
        f32(codes.chroma_zero),
        red_cr=f32(chroma[0, 2]),
        green_cb=f32(chroma[1, 1]),
        green_cr=f32(chroma[1, 2]),
        blue_cb=f32(chroma[2, 1]),
        top=f32(top),
    )


def tables_of(tags: ColorTags, settings: ToneSettings, peak_nits: float) -> Tables:
    """The tables of an HDR movie, or of an SDR movie in wide primaries, which has no tone curve."""
    hdr = is_hdr(tags.transfer)
    by_luminance = tags.transfer == "hlg" and settings.hlg_ootf == "luminance"
    white = settings.reference_white if hdr else 1.0
    signal = np.linspace(0.0, formulas.top_signal(tags.transfer), SIGNAL_STEPS)
    light = formulas.display_light(signal, tags.transfer) / white
    gamut = formulas.rgb_to_rgb(tags.primaries, "bt709")
    kr, kb = formulas.luma_coefficients("bt2020nc" if tags.matrix == "rgb" else tags.matrix)
    ootf, curve = RootTable(np.empty(0, f32), f32(0)), RootTable(np.ones(2, f32), f32(0))
    if by_luminance:  # BT.2100, table 5
        gain, power = formulas.HLG_WHITE_NITS / white, formulas.HLG_GAMMA - 1
        ootf = root_table(lambda luminance: gain * luminance**power, float(formulas.inverse_oetf_hlg(formulas.HLG_TOP)))
    if hdr:
        brightest = light[-1] * np.maximum(gamut, 0).sum(axis=1).max()
        curve = root_table(lambda light: curve_factor(settings, peak_nits, light), brightest)
    return Tables(
        light=(formulas.inverse_oetf_hlg(signal) if by_luminance else light).astype(f32),
        ootf=ootf,
        scene_weights=formulas.rgb_to_xyz(tags.primaries)[1].astype(f32),
        gamut=gamut.astype(f32),
        luma_weights=np.array([kr, 1 - kr - kb, kb], f32),
        desat=f32(settings.desat if hdr else 0.0),
        curve=curve,
        sdr_codes=root_table(lambda light: np.floor(255 * formulas.inverse_eotf_bt1886(light) + 0.5), 1.0, np.uint8),
    )


def curve_factor(settings: ToneSettings, peak_nits: float, light: Array) -> Array:
    """The tone curve f as f(x) / x at increasing values of light. Raises ValueError for a user's invalid curve."""
    light = np.maximum(light, light[1])  # avoids 0 / 0; black is 0 for any finite factor
    toned = tone_curve(settings, peak_nits)(light)
    if toned.shape != light.shape or not np.isfinite(toned).all():
        raise ValueError(f"curve {settings.curve!r} must return one finite value for each value of light")
    return toned / light


def root_table(function: Callable[[Array], Array], highest: float, dtype: type = f32) -> RootTable:
    """The table of ``function`` for light from 0 to ``highest``."""
    roots = np.linspace(0.0, np.sqrt(highest), ROOT_STEPS + 1)
    return RootTable(function(roots**2).astype(dtype), f32(ROOT_STEPS / roots[-1]))
