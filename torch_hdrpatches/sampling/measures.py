"""Simple measures of a patch: entropy, sharpness, mean luma, clipping, motion."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypeAlias, TypedDict

import numpy as np

from ..jit import compiled

Luma: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]
Counts: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Pixels: TypeAlias = np.ndarray[Any, np.dtype[np.unsignedinteger[Any]]]


class Measures(TypedDict):
    """The measures of a patch. All are floats."""

    entropy: float
    """Bits per pixel of the 8-bit luma histogram of ``gt``: 0 (flat) to 8."""
    sharpness: float
    """Variance of the Laplacian of the luma of ``gt``, in squared 8-bit codes."""
    mean_luma: float
    """Mean 8-bit luma code of ``gt``: 0 to 255."""
    clipped: float
    """Share of pixels of ``gt`` with a channel at its highest code: 0 to 1."""
    motion: float
    """Mean absolute luma difference from one ``lq`` frame to the next, in 8-bit codes."""


def measure(gt: Pixels, lq: Pixels) -> Measures:
    """Measure a patch: ``gt`` uint8 or uint16 (H, W, 3) RGB, ``lq`` (T, h, w, 3) RGB of the same type."""
    luma = luma8(gt)
    counts = np.zeros(256, np.int64)
    _count(luma, counts)
    share = counts[counts > 0] / luma.size
    steps = [luma8(frame) for frame in lq]
    differences = [_difference(before, after) / before.size for before, after in pairwise(steps)]
    return Measures(
        entropy=float(-(share * np.log2(share)).sum()) + 0.0,
        sharpness=sharpness(luma),
        mean_luma=float((counts * np.arange(256)).sum() / luma.size),
        clipped=_clipped_pixels(np.ascontiguousarray(gt), np.iinfo(gt.dtype).max) / luma.size,
        motion=float(np.mean(differences)) if differences else 0.0,
    )


def luma8(rgb: Pixels) -> Luma:
    """uint8 (H, W) luma of uint8 or uint16 (H, W, 3) RGB: 0.2627 R + 0.678 G + 0.0593 B, in integers."""
    pixels = np.ascontiguousarray(rgb)
    out = np.empty(pixels.shape[:2], np.uint8)
    _luma8(pixels, out, np.uint32(8 * (pixels.itemsize - 1)))
    return out


def sharpness(luma: Luma) -> float:
    """Variance of the 4-neighbour Laplacian of uint8 (H, W), borders left out; 0 below 3x3."""
    if min(luma.shape) < 3:
        return 0.0
    total, squares = _laplacian_sums(np.ascontiguousarray(luma))
    count = (luma.shape[0] - 2) * (luma.shape[1] - 2)
    return float(squares / count - (total / count) ** 2)


# Integer sums: the same on every machine, in whatever order the compiler vectorises them.
@compiled
def _luma8(rgb: Pixels, out: Luma, shift: np.uint32) -> None:
    for row in range(rgb.shape[0]):
        for column in range(rgb.shape[1]):
            weighted = (
                np.uint32(17216) * rgb[row, column, 0]
                + np.uint32(44433) * rgb[row, column, 1]
                + np.uint32(3887) * rgb[row, column, 2]
            )
            out[row, column] = np.uint8(weighted >> np.uint32(16) >> shift)


@compiled
def _count(luma: Luma, counts: Counts) -> None:
    for row in range(luma.shape[0]):
        for column in range(luma.shape[1]):
            counts[luma[row, column]] += 1


@compiled
def _difference(before: Luma, after: Luma) -> int:
    total = np.int64(0)
    for row in range(before.shape[0]):
        for column in range(before.shape[1]):
            total += abs(np.int32(after[row, column]) - np.int32(before[row, column]))
    return int(total)


@compiled
def _clipped_pixels(rgb: Pixels, highest: int) -> int:
    count = 0
    for row in range(rgb.shape[0]):
        for column in range(rgb.shape[1]):
            count += max(rgb[row, column, 0], rgb[row, column, 1], rgb[row, column, 2]) == highest
    return count


@compiled
def _laplacian_sums(luma: Luma) -> tuple[int, int]:
    total = np.int64(0)
    squares = np.int64(0)
    for row in range(1, luma.shape[0] - 1):
        for column in range(1, luma.shape[1] - 1):
            value = (
                np.int32(luma[row - 1, column])
                + np.int32(luma[row + 1, column])
                + np.int32(luma[row, column - 1])
                + np.int32(luma[row, column + 1])
                - np.int32(4) * np.int32(luma[row, column])
            )
            total += value
            squares += value * value
    return int(total), int(squares)
