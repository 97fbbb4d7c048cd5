"""Test frames for colour conversion, and their expected codes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.helpers import reference
from torch_hdrpatches.color import ToneSettings
from torch_hdrpatches.frames import Box, ColorTags, Planes

Codes = np.ndarray[Any, np.dtype[Any]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

PQ = ColorTags("pq", "bt2020", "bt2020nc", "tv")
HLG = ColorTags("hlg", "bt2020", "bt2020nc", "tv")
SDR = ColorTags("bt709", "bt709", "bt709", "tv")
CHART = Box(0, 0, 320, 512)
"""The whole frame of ``patches``."""


def patches(transfer: str, seed: int = 0) -> Floats:
    """float64 (320, 512, 3): R'G'B' in 0..1 of 640 patches: neutrals, primaries and secondaries, random colours."""
    rng = np.random.default_rng(seed)
    neutrals = np.geomspace(0.05, 10_000, 64)[:, None] * np.ones(3)
    hues = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]])
    primaries = (np.geomspace(0.05, 4000, 32)[:, None, None] * hues).reshape(-1, 3)
    nits = np.concatenate([neutrals, primaries, 10 ** rng.uniform(-2, 3.6, (384, 3))])
    signal = reference.pq_signal(nits) if transfer == "pq" else reference.hlg_signal(np.minimum(nits, 1000) / 1000)
    return signal.reshape(20, 32, 3).repeat(16, axis=0).repeat(16, axis=1)


def coded(rgb: Floats, tags: ColorTags, bits: int, sub_y: int = 1, sub_x: int = 1) -> Planes:
    """R'G'B' as a frame of integer codes; chroma is the mean of its block. Planes are padded with garbage."""
    height, width, _ = rgb.shape
    step, full = 2 ** (bits - 8), 2**bits - 1
    black, span, chroma_span = (0, full, full) if tags.range == "pc" else (16 * step, 219 * step, 224 * step)
    if tags.matrix == "rgb":
        planes = [rgb[..., channel] * span + black for channel in (1, 2, 0)]
    else:
        kr, kb = reference.KR_KB[tags.matrix]
        luma = rgb @ [kr, 1 - kr - kb, kb]
        chroma = [(rgb[..., 2] - luma) / (2 - 2 * kb), (rgb[..., 0] - luma) / (2 - 2 * kr)]
        odd = ((0, -height % sub_y), (0, -width % sub_x))
        blocks = [np.pad(plane, odd, "edge").reshape(math.ceil(height / sub_y), sub_y, -1, sub_x) for plane in chroma]
        planes = [luma * span + black, *(block.mean(axis=(1, 3)) * chroma_span + 128 * step for block in blocks)]
    dtype = np.uint8 if bits == 8 else np.uint16
    codes = [np.clip(np.floor(plane + 0.5), 0, full).astype(dtype) for plane in planes]
    y, cb, cr = (np.pad(plane, ((0, 2), (0, 6)), constant_values=full) for plane in codes)
    return Planes(y, cb, cr, height, width, sub_y, sub_x, bits)


def noise(bits: int = 10, sub_y: int = 2, sub_x: int = 2, height: int = 90, width: int = 130, seed: int = 0) -> Planes:
    """Random codes, legal and illegal ones."""
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if bits == 8 else np.uint16
    rows, columns = -(-height // sub_y), -(-width // sub_x)
    shapes = [(height, width + 6), (rows, columns + 3), (rows + 1, columns + 3)]
    y, cb, cr = (rng.integers(0, 2**bits, shape).astype(dtype) for shape in shapes)
    return Planes(y, cb, cr, height, width, sub_y, sub_x, bits)


def whole(frame: Planes) -> Box:
    return Box(0, 0, frame.height, frame.width)


def ramp(bits: int, tags: ColorTags = PQ) -> Planes:
    """Every luma code once, with neutral chroma."""
    codes = np.arange(2**bits, dtype=np.uint8 if bits == 8 else np.uint16)[None, :]
    neutral = codes if tags.matrix == "rgb" else np.full_like(codes, 2 ** (bits - 1))
    return Planes(codes, neutral, neutral, 1, 2**bits, 1, 1, bits)


def assert_within_one_code(codes: Codes, exact: Codes, rare: float = 1e-5) -> None:
    """All but a share of ``rare`` of the samples are at most 1 code from the exact value, rounded half up."""
    difference = np.abs(codes.astype(np.int64) - np.floor(exact + 0.5).astype(np.int64))
    assert (difference > 1).mean() <= rare, f"{(difference > 1).mean():.1e} off by more than 1, most {difference.max()}"
    assert (difference > 0).mean() < 0.02


def expected(frame: Planes, tags: ColorTags, settings: ToneSettings, peak: float) -> Codes:
    white = settings.reference_white
    assert isinstance(settings.curve, str)
    curve = reference.CURVES[settings.curve]
    return reference.sdr(
        frame,
        tags,
        lambda x: curve(x, peak / white, white),
        desat=settings.desat,
        reference_white=white,
        by_luminance=settings.hlg_ootf == "luminance",
    )
