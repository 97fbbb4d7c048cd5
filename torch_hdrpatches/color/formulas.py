"""The published colour formulas in float64: transfer functions, matrices, primaries and code ranges.

*Signal* is encoded by a transfer function (0..1); *light* is linear.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from .names import CHROMATICITIES, LUMA_COEFFICIENTS, accepted_name

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

PQ_WHITE_NITS = 10_000.0
"""cd/m2 of PQ signal 1 (SMPTE ST 2084)."""
HLG_WHITE_NITS = 1_000.0
"""cd/m2 of HLG signal 1 on the nominal HLG display (BT.2100)."""
HLG_GAMMA = 1.2
"""System gamma of the nominal HLG display (BT.2100, table 5)."""

HLG_TOP = 1.5
"""Highest HLG signal that is kept: super-whites are legal in HLG. PQ and SDR signal ends at 1."""
PQ_M1, PQ_M2 = 2610 / 16384, 2523 / 32
PQ_C1, PQ_C2, PQ_C3 = 3424 / 4096, 2413 / 128, 2392 / 128
HLG_A, HLG_B, HLG_C = 0.17883277, 0.28466892, 0.55991073


def eotf_pq(signal: ArrayLike) -> Array:
    """Light in cd/m2 of PQ signal (SMPTE ST 2084, eq. 4.1); signal is clamped to 0..1."""
    root = np.clip(np.asarray(signal, np.float64), 0.0, 1.0) ** (1 / PQ_M2)
    return PQ_WHITE_NITS * (np.maximum(root - PQ_C1, 0.0) / (PQ_C2 - PQ_C3 * root)) ** (1 / PQ_M1)


def inverse_eotf_pq(nits: ArrayLike) -> Array:
    """PQ signal of light in cd/m2 (SMPTE ST 2084, eq. 5.2); light is clamped to 0..10000."""
    power = np.clip(np.asarray(nits, np.float64) / PQ_WHITE_NITS, 0.0, 1.0) ** PQ_M1
    return np.asarray(((PQ_C1 + PQ_C2 * power) / (1 + PQ_C3 * power)) ** PQ_M2)


def inverse_oetf_hlg(signal: ArrayLike) -> Array:
    """Scene light (0..1, above 1 for super-whites) of HLG signal (BT.2100, table 5); negative signal counts as 0."""
    signal = np.maximum(np.asarray(signal, np.float64), 0.0)
    # np.where evaluates both branches everywhere, so each one is clamped to where it is used.
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((np.maximum(signal, 0.5) - HLG_C) / HLG_A) + HLG_B) / 12)


def oetf_hlg(scene: ArrayLike) -> Array:
    """HLG signal of scene light (BT.2100, table 5); negative light counts as 0."""
    scene = np.maximum(np.asarray(scene, np.float64), 0.0)
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), HLG_A * np.log(12 * np.maximum(scene, 1 / 12) - HLG_B) + HLG_C)


def ootf_hlg_per_channel(scene: ArrayLike) -> Array:
    """Display light in cd/m2 of HLG scene light: the system gamma on each channel, as zimg does by default."""
    return np.asarray(HLG_WHITE_NITS * np.asarray(scene, np.float64) ** HLG_GAMMA)


def eotf_bt1886(signal: ArrayLike) -> Array:
    """Light relative to white of SDR signal, signal^2.4 (BT.1886, black at 0); negative signal counts as 0."""
    return np.asarray(np.maximum(np.asarray(signal, np.float64), 0.0) ** 2.4)


def inverse_eotf_bt1886(light: ArrayLike) -> Array:
    """SDR signal of light relative to white, light^(1/2.4); negative light counts as 0."""
    return np.asarray(np.maximum(np.asarray(light, np.float64), 0.0) ** (1 / 2.4))


def display_light(signal: Array, transfer: str) -> Array:
    """Light of neutral signal: in cd/m2, for SDR relative to white."""
    if transfer == "pq":
        return eotf_pq(signal)
    return ootf_hlg_per_channel(inverse_oetf_hlg(signal)) if transfer == "hlg" else eotf_bt1886(signal)


def top_signal(transfer: str) -> float:
    """The signal at which higher signal is clamped."""
    return HLG_TOP if transfer == "hlg" else 1.0


def luma_coefficients(matrix: str) -> tuple[float, float]:
    """(Kr, Kb) of a Y'CbCr matrix. Raises ValueError for any other matrix."""
    if matrix == "rgb":
        raise ValueError("matrix 'rgb' has no luma: its planes are G, B and R")
    return LUMA_COEFFICIENTS[accepted_name("matrix", matrix)]


def rgb_to_ycbcr(matrix: str) -> Array:
    """(3, 3) matrix from R'G'B' in 0..1 to Y' in 0..1 and Cb, Cr in -0.5..0.5 (H.273, 8.3)."""
    kr, kb = luma_coefficients(matrix)
    luma = np.array([kr, 1 - kr - kb, kb])
    blue, red = np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])
    return np.stack([luma, (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))])


def ycbcr_to_rgb(matrix: str) -> Array:
    """The inverse of ``rgb_to_ycbcr`` in closed form, so that grey (Cb = Cr = 0) stays exactly grey."""
    kr, kb = luma_coefficients(matrix)
    kg = 1 - kr - kb
    green_cb, green_cr = -2 * (1 - kb) * kb / kg, -2 * (1 - kr) * kr / kg
    return np.array([[1.0, 0.0, 2 * (1 - kr)], [1.0, green_cb, green_cr], [1.0, 2 * (1 - kb), 0.0]])


def rgb_to_xyz(primaries: str) -> Array:
    """(3, 3) matrix from linear RGB to CIE XYZ, white at Y = 1 (SMPTE RP 177)."""
    xy = np.array([*CHROMATICITIES[accepted_name("primaries", primaries)], (0.3127, 0.3290)])  # R, G, B and white D65
    xyz = np.column_stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(axis=1)) / xy[:, 1]]).T
    return np.asarray(xyz[:, :3] * np.linalg.solve(xyz[:, :3], xyz[:, 3]))


def rgb_to_rgb(source: str, target: str) -> Array:
    """(3, 3) matrix from linear RGB in the primaries ``source`` to linear RGB in ``target``; both have white D65."""
    if source == target:
        return np.eye(3)
    return np.asarray(np.linalg.solve(rgb_to_xyz(target), rgb_to_xyz(source)))


class CodeRange(NamedTuple):
    """Signal of integer codes is ``(code - zero) / span``."""

    luma_zero: float
    luma_span: float
    chroma_zero: float
    chroma_span: float


def code_range(range_: str, bits: int) -> CodeRange:
    """Codes of Y', R', G', B' (0..1) and of Cb, Cr (-0.5..0.5) in the range ``tv`` or ``pc`` (BT.2100, table 9)."""
    if accepted_name("range", range_) == "pc":
        top = float(2**bits - 1)
        return CodeRange(0.0, top, float(2 ** (bits - 1)), top)
    step = 2.0 ** (bits - 8)
    return CodeRange(16 * step, 219 * step, 128 * step, 224 * step)
