"""The numbers that the kernel works with: one movie's code range, matrices and tone curve, as tables."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy import float32 as f32

from ..frames import ColorTags, Planes
from . import formulas
from .curves import ToneSettings, tone_curve
from .formulas import Array
from .names import is_hdr

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]

SIGNAL_STEPS = 2**17
"""Entries of a table by signal. Fewer show: saturated colours near black are differences of such entries."""
ROOT_STEPS = 2**15
"""Entries of a table by square root of light: errors stay under 0.05 codes."""
HLG_TOP = 1.5
"""HLG signal is held in 0..this, PQ in 0..1: super-whites are legal in HLG."""
WIDE_PRIMARIES = ("bt2020", "smpte432")
"""Primaries of SDR pictures that are brought to BT.709; those of SD video are near enough to be shown as they are."""


class Sampling(NamedTuple):
    """Where chroma samples sit: luma column x is at chroma column (x - x0) / sub_x, and rows likewise."""

    sub_y: int
    sub_x: int
    y0: float
    x0: float
    rows: int
    """Chroma rows of the picture; the plane may have more."""
    columns: int
    """Chroma columns of the picture; the plane may have more."""


class Matrix(NamedTuple):
    """Codes to R'G'B', signal 1 at a scale of choice; results are held in 0..top."""

    planes_are_rgb: bool
    """The planes are G, B, R: ``luma_zero`` and ``luma_scale`` hold for all three."""
    luma_zero: f32
    luma_scale: f32
    chroma_zero: f32
    red_cr: f32
    green_cb: f32
    green_cr: f32
    blue_cb: f32
    top: f32


class RootTable(NamedTuple):
    """A function of x >= 0 by square root, which is near to how codes are spaced: entry i is that of (i / scale)^2."""

    entries: Any
    """float32 or uint8 (n,); the last one holds for all larger x."""
    scale: f32


class Tables(NamedTuple):
    """R'G'B' indices to SDR codes."""

    light: Floats
    """(n,): light relative to reference white, by signal; scene light (0..1) if there is an ``ootf``."""
    ootf: RootTable
    """float32: HLG display light / scene light, by scene luminance; no entries: ``light`` is display light."""
    scene_weights: Floats
    """(3,): R, G, B in that luminance."""
    gamut: Floats
    """(3, 3): linear RGB to BT.709 primaries; rows sum to 1."""
    luma_weights: Floats
    """(3,): R, G, B in the luminance that desaturation looks at."""
    desat: f32
    """Luminance above which colours fade to white; 0: never."""
    curve: RootTable
    """float32: the tone curve f as a factor, f(x) / x."""
    shade: RootTable
    """uint8: the SDR code of light in 0..1."""


def sampling_of(picture: Planes, chroma_location: str) -> Sampling:
    """Where the chroma of this picture sits."""
    x0 = 0.5 if chroma_location in ("center", "top", "bottom") else 0.0
    y0 = 0.0 if chroma_location.startswith("top") else 1.0 if chroma_location.startswith("bottom") else 0.5
    sub_y, sub_x = int(picture.sub_y), int(picture.sub_x)
    rows, columns = -(-int(picture.height) // sub_y), -(-int(picture.width) // sub_x)
    return Sampling(sub_y, sub_x, y0 * (sub_y - 1), x0 * (sub_x - 1), rows, columns)


def matrix_of(tags: ColorTags, bits: int, one: float, top: float) -> Matrix:
    """Codes of ``bits`` to R'G'B' where signal 1 is ``one``, held in 0..top."""
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


def top_signal(transfer: str) -> float:
    """The highest signal that counts; higher is held there."""
    return HLG_TOP if transfer == "hlg" else 1.0


def tables_of(tags: ColorTags, settings: ToneSettings, peak_nits: float) -> Tables:
    """The tables of an HDR movie; or of an SDR movie in wide primaries, which has no tone curve."""
    hdr = is_hdr(tags.transfer)
    by_luminance = tags.transfer == "hlg" and settings.hlg_ootf == "luminance"
    white = settings.reference_white if hdr else 1.0
    signal = np.linspace(0.0, top_signal(tags.transfer), SIGNAL_STEPS)
    light = display_light(signal, tags.transfer) / white
    gamut = formulas.rgb_to_rgb(tags.primaries, "bt709")
    brightest = light[-1] * np.maximum(gamut, 0).sum(axis=1).max()
    kr, kb = formulas.luma_coefficients("bt2020nc" if tags.matrix == "rgb" else tags.matrix)
    return Tables(
        light=(formulas.inverse_oetf_hlg(signal) if by_luminance else light).astype(f32),
        ootf=hlg_ootf_factor(white) if by_luminance else RootTable(np.empty(0, f32), f32(0)),
        scene_weights=formulas.rgb_to_xyz(tags.primaries)[1].astype(f32),
        gamut=gamut.astype(f32),
        luma_weights=np.array([kr, 1 - kr - kb, kb], f32),
        desat=f32(settings.desat if hdr else 0.0),
        curve=curve_factor(settings, peak_nits, brightest) if hdr else RootTable(np.ones(2, f32), f32(0)),
        shade=sdr_shade(),
    )


def display_light(signal: Array, transfer: str) -> Array:
    """cd/m2 of neutral signal; for SDR a fraction of white."""
    if transfer == "pq":
        return formulas.eotf_pq(signal)
    if transfer == "hlg":
        return formulas.ootf_hlg_per_channel(formulas.inverse_oetf_hlg(signal))
    return formulas.eotf_bt1886(signal)


def curve_factor(settings: ToneSettings, peak_nits: float, brightest: float) -> RootTable:
    """The tone curve as a factor, for light up to ``brightest`` (relative to reference white)."""
    light, scale = _squares(brightest)
    light[0] = light[1]  # black: the factor only has to be finite
    toned = tone_curve(settings, peak_nits)(light)
    if toned.shape != light.shape or not np.isfinite(toned).all():
        raise ValueError(f"curve {settings.curve!r} does not give one finite value per value of light")
    return RootTable((toned / light).astype(f32), scale)


def hlg_ootf_factor(white_nits: float) -> RootTable:
    """HLG display light relative to white over scene light, by scene luminance (BT.2100, table 5)."""
    luminance, scale = _squares(float(formulas.inverse_oetf_hlg(HLG_TOP)))
    return RootTable((formulas.HLG_WHITE_NITS / white_nits * luminance ** (formulas.HLG_GAMMA - 1)).astype(f32), scale)


def sdr_shade() -> RootTable:
    """8-bit SDR codes of light in 0..1, rounded half up."""
    light, scale = _squares(1.0)
    return RootTable(np.floor(255 * formulas.inverse_eotf_bt1886(light) + 0.5).astype(np.uint8), scale)


def _squares(highest: float) -> tuple[Array, f32]:
    """The x of a root table's entries, 0 to ``highest``, and its scale."""
    roots = np.linspace(0.0, np.sqrt(highest), ROOT_STEPS + 1)
    return roots**2, f32(ROOT_STEPS / roots[-1])
