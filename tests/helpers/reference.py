"""Reference colour conversion of whole frames in float64, written independently of the package.

The order and the constants are those of FFmpeg 5.1's ``zscale`` (zimg 3.0) and ``tonemap`` filters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from torch_hdrpatches.frames import ColorTags, Planes

Array = np.ndarray[Any, np.dtype[np.float64]]

BT2020_TO_BT709 = np.array(
    [
        [1.66049100, -0.58764114, -0.07284986],
        [-0.12455047, 1.13289990, -0.00834942],
        [-0.01815076, -0.10057890, 1.11872966],
    ]
)
P3_D65_TO_BT709 = np.array(
    [
        [1.22494018, -0.22494018, 0.0],
        [-0.04205695, 1.04205695, 0.0],
        [-0.01963755, -0.07863605, 1.09827360],
    ]
)
GAMUTS = {"bt2020": BT2020_TO_BT709, "smpte432": P3_D65_TO_BT709, "bt709": np.eye(3)}
KR_KB = {"bt2020nc": (0.2627, 0.0593), "bt709": (0.2126, 0.0722), "smpte170m": (0.299, 0.114), "rgb": (0.2627, 0.0593)}
SITING = {
    "left": (0.0, 0.5),
    "center": (0.5, 0.5),
    "topleft": (0.0, 0.0),
    "top": (0.5, 0.0),
    "bottomleft": (0.0, 1.0),
    "bottom": (0.5, 1.0),
}
"""(x, y) of the first chroma sample in luma pixels."""


def signal(frame: Planes, tags: ColorTags) -> Array:
    """float64 (H, W, 3): R'G'B' of the whole frame, not clipped."""
    height, width, bits = frame.height, frame.width, frame.bits
    y = frame.y[:height, :width].astype(np.float64)
    x0, y0 = SITING[tags.chroma_location]
    rows = (np.arange(height) - y0) / 2 if frame.sub_y == 2 else np.arange(height, dtype=np.float64)
    columns = (np.arange(width) - x0) / 2 if frame.sub_x == 2 else np.arange(width, dtype=np.float64)
    chroma_height, chroma_width = math.ceil(height / frame.sub_y), math.ceil(width / frame.sub_x)
    cb, cr = (
        _bilinear(plane[:chroma_height, :chroma_width].astype(np.float64), rows, columns)
        for plane in (frame.cb, frame.cr)
    )
    step = 2 ** (bits - 8)
    full = 2**bits - 1
    black, white = (0, full) if tags.range == "pc" else (16 * step, 235 * step)
    if tags.matrix == "rgb":
        return (np.stack([cr, y, cb], axis=-1) - black) / (white - black)
    span = full if tags.range == "pc" else 224 * step
    luma, u, v = (y - black) / (white - black), (cb - 128 * step) / span, (cr - 128 * step) / span
    kr, kb = KR_KB[tags.matrix]
    red, blue = luma + 2 * (1 - kr) * v, luma + 2 * (1 - kb) * u
    return np.stack([red, (luma - kr * red - kb * blue) / (1 - kr - kb), blue], axis=-1)


def _bilinear(plane: Array, rows: Array, columns: Array) -> Array:
    """The plane at these coordinates, interpolated between the four nearest samples; edges are repeated."""

    def along(values: Array, at: Array, axis: int) -> Array:
        low = np.floor(at).astype(int)
        share = (at - low).reshape((-1, 1) if axis == 0 else (1, -1))
        last = values.shape[axis] - 1
        near, far = (values.take(np.clip(index, 0, last), axis) for index in (low, low + 1))
        return near * (1 - share) + far * share

    return along(along(plane, rows, 0), columns, 1)


def pq_nits(signal: Array) -> Array:
    """cd/m2 of PQ signal (SMPTE ST 2084)."""
    power = np.clip(signal, 0, 1) ** (32 / 2523)
    light = np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)
    return 10000 * light ** (16384 / 2610)


def pq_signal(nits: Array) -> Array:
    """PQ signal of cd/m2."""
    power = (np.asarray(nits, np.float64) / 10000) ** (2610 / 16384)
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** (2523 / 32)


def hlg_scene(signal: Array) -> Array:
    """Scene light of HLG signal (BT.2100); super-whites to 1.5 are kept."""
    clamped = np.clip(signal, 0, 1.5)
    return np.where(clamped <= 0.5, clamped**2 / 3, (np.exp((clamped - 0.55991073) / 0.17883277) + 0.28466892) / 12)


def hlg_signal(scene: Array) -> Array:
    """HLG signal of scene light (BT.2100)."""
    upper = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), upper)


def hlg_nits(signal: Array, by_luminance: bool = False) -> Array:
    """cd/m2 of HLG signal (..., 3) in BT.2020 on a display of 1000 cd/m2."""
    scene = hlg_scene(signal)
    if by_luminance:
        return 1000 * scene * (scene @ [0.2627, 0.6780, 0.0593])[..., None] ** 0.2
    return 1000 * scene**1.2


def light(signal: Array, tags: ColorTags, reference_white: float = 100.0, by_luminance: bool = False) -> Array:
    """Linear RGB in the frame's primaries, relative to reference white."""
    if tags.transfer == "pq":
        return pq_nits(signal) / reference_white
    return hlg_nits(signal, by_luminance) / reference_white


def tone_mapped(rgb: Array, tags: ColorTags, curve: Callable[[Array], Array], desat: float = 2.0) -> Array:
    """FFmpeg's ``tonemap``: linear RGB in BT.709 primaries, scaled by the curve of its largest channel."""
    if desat > 0:
        kr, kb = KR_KB[tags.matrix]
        luma = (rgb @ [kr, 1 - kr - kb, kb])[..., None]
        over = np.maximum(luma - desat, 1e-6) / np.maximum(luma, 1e-6)
        rgb = rgb * (1 - over) + luma * over
    largest = np.maximum(rgb.max(axis=-1, keepdims=True), 1e-6)
    return rgb * (curve(largest) / largest)


def sdr(
    frame: Planes,
    tags: ColorTags,
    curve: Callable[[Array], Array],
    *,
    desat: float = 2.0,
    reference_white: float = 100.0,
    by_luminance: bool = False,
) -> Array:
    """float64 (H, W, 3): SDR codes 0..255 of an HDR frame before rounding."""
    linear = light(signal(frame, tags), tags, reference_white, by_luminance) @ GAMUTS[tags.primaries].T
    return 255 * np.clip(tone_mapped(linear, tags, curve, desat), 0, 1) ** (1 / 2.4)


def sdr_of_sdr(frame: Planes, tags: ColorTags) -> Array:
    """float64 (H, W, 3): codes 0..255 of an SDR frame before rounding, in BT.709 primaries."""
    clamped = np.clip(signal(frame, tags), 0, 1)
    if tags.primaries in ("bt2020", "smpte432"):
        clamped = np.clip(clamped**2.4 @ GAMUTS[tags.primaries].T, 0, 1) ** (1 / 2.4)
    return 255 * clamped


# --- curves: x relative to reference white, p the peak likewise, w reference white in cd/m2 --------------------------


def mobius(x: Array, p: float, w: float = 100.0) -> Array:
    j = 0.3
    a = -j * j * (p - 1) / (j * j - 2 * j + p)
    b = (j * j - 2 * j * p + p) / max(p - 1, 1e-6)
    return np.where(x <= j, x, (b * b + 2 * b * j + j * j) / (b - a) * (x + a) / (x + b))


def hable(x: Array, p: float, w: float = 100.0) -> Array:
    def f(v: Any) -> Any:
        return (v * (v * 0.15 + 0.05) + 0.004) / (v * (v * 0.15 + 0.5) + 0.06) - 0.02 / 0.3

    return f(x) / f(p)


def reinhard(x: Array, p: float, w: float = 100.0) -> Array:
    return x / (x + 1) * (p + 1) / p


def gamma(x: Array, p: float, w: float = 100.0) -> Array:
    return np.where(x > 0.05, (x / p) ** (1 / 1.8), x * (0.05 / p) ** (1 / 1.8) / 0.05)


def linear(x: Array, p: float, w: float = 100.0) -> Array:
    return x / p


def clip(x: Array, p: float, w: float = 100.0) -> Array:
    return np.clip(x, 0, 1)


def none(x: Array, p: float, w: float = 100.0) -> Array:
    return x


def bt2390(x: Array, p: float, w: float = 100.0) -> Array:
    """ITU-R BT.2390, EETF steps 1 to 5, with both blacks at 0."""
    source = pq_signal(p * w)
    e1 = np.minimum(pq_signal(np.minimum(x, p) * w) / source, 1)
    max_lum = pq_signal(w) / source
    ks = 1.5 * max_lum - 0.5
    t = (e1 - ks) / (1 - ks)
    p_of_e = (2 * t**3 - 3 * t**2 + 1) * ks + (t**3 - 2 * t**2 + t) * (1 - ks) + (-2 * t**3 + 3 * t**2) * max_lum
    return pq_nits(np.where(e1 < ks, e1, p_of_e) * source) / w


def bt2446a(x: Array, p: float, w: float = 100.0) -> Array:
    """ITU-R BT.2446 method A, steps 1 to 3."""
    rho_hdr = 1 + 32 * (p * w / 10000) ** (1 / 2.4)
    rho_sdr = 1 + 32 * (w / 10000) ** (1 / 2.4)
    y = np.clip(x / p, 0, 1) ** (1 / 2.4)
    yp = np.log(1 + (rho_hdr - 1) * y) / math.log(rho_hdr)
    yc = np.where(
        yp <= 0.7399, 1.077 * yp, np.where(yp < 0.9909, -1.151 * yp**2 + 2.7811 * yp - 0.6302, 0.5 * yp + 0.5)
    )
    return ((rho_sdr**yc - 1) / (rho_sdr - 1)) ** 2.4


CURVES = {f.__name__: f for f in (none, linear, gamma, clip, reinhard, hable, mobius, bt2390, bt2446a)}
