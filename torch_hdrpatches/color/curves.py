"""Tone curves from HDR to SDR light, their settings, and a movie's peak luminance.

A curve maps light relative to reference white (1.0) to SDR light (0..1; more is clipped), given the movie's peak in the
same unit. It is applied to the largest of R, G and B, and the other two are scaled by the same factor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from .formulas import PQ_WHITE_NITS, Array, eotf_pq, inverse_eotf_pq

UserCurve: TypeAlias = Callable[[Array, float], Array]
"""``f(light, peak) -> sdr_light``, element by element on float64 arrays relative to reference white."""

CurveName: TypeAlias = Literal["none", "linear", "gamma", "clip", "reinhard", "hable", "mobius", "bt2390", "bt2446a"]
DEFAULT_CURVE: CurveName = "mobius"

LOWEST_PEAK_NITS = 50.0
"""HDR metadata that give a lower peak in cd/m2 are implausible and ignored."""


@dataclass(frozen=True)
class ToneSettings:
    """Settings of tone mapping; the defaults are those of FFmpeg's ``tonemap=mobius`` at ``npl=100``."""

    curve: CurveName | UserCurve = DEFAULT_CURVE
    """A name, or a function (see ``UserCurve``)."""
    reference_white: float = 100.0
    """cd/m2 of light 1.0."""
    peak: float | Literal["auto"] = "auto"
    """Peak luminance in cd/m2; ``"auto"``: from the movie's metadata (``peak_nits``)."""
    desat: float = 2.0
    """Luminance relative to reference white above which colours are desaturated; 0: never."""
    hlg_ootf: Literal["per_channel", "luminance"] = "per_channel"
    """HLG's system gamma applied to each of R, G and B (as zimg does), or to luminance (BT.2100)."""

    def __post_init__(self) -> None:
        if not callable(self.curve) and self.curve not in CURVES:
            raise ValueError(f"curve {self.curve!r} is unknown; valid are {', '.join(CURVES)}, or a callable")
        if not 1 <= self.reference_white <= PQ_WHITE_NITS:
            raise ValueError(f"reference_white is {self.reference_white} cd/m2, expected 1..10000")
        if self.peak != "auto" and not 1 <= self.peak <= PQ_WHITE_NITS:
            raise ValueError(f"peak is {self.peak} cd/m2, expected 'auto' or 1..10000")
        if not 0 <= self.desat < np.inf:
            raise ValueError(f"desat is {self.desat}, expected 0 or more")
        if self.hlg_ootf not in ("per_channel", "luminance"):
            raise ValueError(f"hlg_ootf is {self.hlg_ootf!r}, expected 'per_channel' or 'luminance'")


def peak_nits(max_cll: float, mastering_peak: float) -> tuple[float, str]:
    """The movie's peak luminance in cd/m2 and its origin: ``maxcll``, ``mastering`` or ``assumed``.

    0 means "not given", and implausible values are ignored (``implausible_peaks`` lists them).
    """
    for nits, origin in ((max_cll, "maxcll"), (mastering_peak, "mastering")):
        if LOWEST_PEAK_NITS <= nits <= PQ_WHITE_NITS:
            return float(nits), origin
    return 1000.0, "assumed"  # as in FFmpeg's tonemap filter


def implausible_peaks(max_cll: float, mastering_peak: float) -> str:
    """A warning that names the values ignored by ``peak_nits`` and the peak used instead; ``""`` if there are none."""
    given = {"MaxCLL": max_cll, "mastering display peak": mastering_peak}
    ignored = [name for name, nits in given.items() if 0 < nits < LOWEST_PEAK_NITS or nits > PQ_WHITE_NITS]
    if not ignored:
        return ""
    nits, origin = peak_nits(max_cll, mastering_peak)
    source = {"maxcll": "from MaxCLL", "mastering": "from the mastering display", "assumed": "assumed"}[origin]
    named = " and ".join(f"{name} of {given[name]:g} cd/m2" for name in ignored) + (" are" if ignored[1:] else " is")
    return f"{named} outside {LOWEST_PEAK_NITS:g}..{PQ_WHITE_NITS:g} and ignored; the peak is {nits:g} cd/m2 ({source})"


def tone_curve(settings: ToneSettings, peak_nits: float) -> Callable[[Array], Array]:
    """The curve of ``settings`` for a movie with this peak, as a function of light relative to reference white.

    The peak relative to reference white is clamped to 1..100; at 1 every named curve is the identity.
    """
    curve, white = settings.curve, settings.reference_white
    peak = min(max(peak_nits / white, 1.0), 100.0)
    if callable(curve):
        return lambda light: np.asarray(curve(light, peak), np.float64)
    named = CURVES["none" if peak == 1.0 else curve]
    return lambda light: named(light, peak, white)


# --- curves: light and peak are relative to reference white, which is at white_nits cd/m2 ----------------------------


def gamma(light: Array, peak: float, white_nits: float) -> Array:
    """Power 1/1.8, linear below 0.05 (FFmpeg's ``tonemap=gamma``)."""
    return np.where(light > 0.05, (light / peak) ** (1 / 1.8), light * (0.05 / peak) ** (1 / 1.8) / 0.05)


def hable(light: Array, peak: float, white_nits: float) -> Array:
    """John Hable's filmic curve, scaled so that the peak becomes 1 (FFmpeg's ``tonemap=hable``)."""

    def filmic(x: Array) -> Array:
        a, b, c, d, e, f = 0.15, 0.50, 0.10, 0.20, 0.02, 0.30
        return (x * (x * a + b * c) + d * e) / (x * (x * a + b) + d * f) - e / f

    return filmic(light) / filmic(np.asarray(peak))


def mobius(light: Array, peak: float, white_nits: float) -> Array:
    """The identity up to 0.3, then a Möbius transform that maps the peak to 1 (FFmpeg's ``tonemap=mobius``)."""
    j = 0.3
    a = -(j**2) * (peak - 1) / (j**2 - 2 * j + peak)
    b = (j**2 - 2 * j * peak + peak) / max(peak - 1, 1e-6)
    scale = (b**2 + 2 * b * j + j**2) / (b - a)
    return np.where(light <= j, light, scale * (light + a) / (np.maximum(light, j) + b))


def bt2390(light: Array, peak: float, white_nits: float) -> Array:
    """The EETF of BT.2390 (section 5.4.1) on PQ signal, black at 0: the identity up to the knee, then a spline."""
    source_white = inverse_eotf_pq(peak * white_nits)
    top = inverse_eotf_pq(white_nits) / source_white
    knee = 1.5 * top - 0.5
    signal = np.minimum(inverse_eotf_pq(light * white_nits) / source_white, 1.0)
    t = (np.maximum(signal, knee) - knee) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * top
    return eotf_pq(np.where(signal < knee, signal, spline) * source_white) / white_nits


def bt2446a(light: Array, peak: float, white_nits: float) -> Array:
    """The curve of BT.2446 method A (section 4), logarithmic in signal of gamma 2.4."""
    hdr = 1 + 32 * (peak * white_nits / 10_000) ** (1 / 2.4)
    sdr = 1 + 32 * (white_nits / 10_000) ** (1 / 2.4)
    perceptual = np.log1p((hdr - 1) * np.minimum(light / peak, 1.0) ** (1 / 2.4)) / np.log(hdr)
    compressed = np.select(
        [perceptual <= 0.7399, perceptual < 0.9909],
        [1.0770 * perceptual, -1.1510 * perceptual**2 + 2.7811 * perceptual - 0.6302],
        0.5 * perceptual + 0.5,
    )
    return np.asarray(((sdr**compressed - 1) / (sdr - 1)) ** 2.4)


CURVES: Mapping[str, Callable[[Array, float, float], Array]] = {
    "none": lambda light, peak, white_nits: light,  # R, G and B are clipped at reference white one by one
    "linear": lambda light, peak, white_nits: light / peak,
    "gamma": gamma,
    "clip": lambda light, peak, white_nits: np.minimum(light, 1.0),  # keeps the proportion of R, G and B
    "reinhard": lambda light, peak, white_nits: light / (light + 1) * (peak + 1) / peak,  # as in FFmpeg
    "hable": hable,
    "mobius": mobius,
    "bt2390": bt2390,
    "bt2446a": bt2446a,
}
"""The named curves: ``f(light, peak, white_nits) -> sdr_light``."""

PRESETS: Mapping[str, ToneSettings] = {
    "ffmpeg": ToneSettings(),
    "bt2408": ToneSettings(curve="bt2390", reference_white=203.0, desat=0.0, hlg_ootf="luminance"),
}
"""``ffmpeg``: the defaults. ``bt2408``: HDR reference white of 203 cd/m2 and the curve of BT.2390."""
