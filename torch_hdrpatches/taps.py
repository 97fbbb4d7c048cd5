"""Separable filters: which source pixels make an output pixel, and the two passes that apply them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numba
import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A symmetric filter kernel: ``weight(x)`` for |x| < radius, in source pixels, not necessarily normalised."""

    weight: Callable[[Array], Array]
    radius: float


@dataclass(frozen=True, slots=True)
class Taps:
    """One axis of a separable filter: output i is the sum over k of weights[i, k] * source[first[i] + k]."""

    first: Array
    """int64 (n,)"""
    weights: Array
    """float32 (n, count); rows sum to 1"""

    def part(self, start: int, count: int) -> Taps:
        """The outputs from ``start`` on."""
        return Taps(self.first[start : start + count], self.weights[start : start + count])


def replicate(index: Array, length: int) -> Array:
    """Beyond an edge lies the edge pixel, again and again."""
    return np.clip(index, 0, length - 1)


def reflect(index: Array, length: int) -> Array:
    """Beyond an edge the picture is mirrored; the edge pixel is not repeated."""
    period = max(2 * (length - 1), 1)
    return length - 1 - np.abs(np.mod(index, period) - (length - 1))


def discard(index: Array, length: int) -> Array:
    """Beyond an edge lies nothing: what is inside counts for more (as in Pillow and torch)."""
    return np.where((index < 0) | (index >= length), -1, index)


def taps(
    kernel: Kernel,
    centres: Array,
    length: int,
    stretch: float = 1.0,
    beyond: Callable[[Array, int], Array] = replicate,
) -> Taps:
    """Taps of outputs that lie at ``centres`` of a source of ``length`` pixels, whose pixel i lies at i.

    ``stretch`` > 1 widens the kernel, which takes out what the output's wider pixels cannot show.
    """
    radius = kernel.radius * stretch
    index = np.floor(centres - radius).astype(np.int64)[:, None] + np.arange(math.ceil(2 * radius) + 1)
    weights = kernel.weight((index - centres[:, None]) / stretch)
    source = beyond(index, length)
    weights = np.where(source < 0, 0.0, weights)
    used = (weights != 0.0).any(axis=0)
    source, weights = source[:, used], weights[:, used]
    source = np.where(source < 0, source.max(axis=1, keepdims=True), source)
    span = int((source.max(axis=1) - source.min(axis=1)).max()) + 1
    first = np.minimum(source.min(axis=1), length - span)
    band = np.zeros((len(centres), span))
    np.add.at(band, (np.arange(len(centres))[:, None], source - first[:, None]), weights)
    return Taps(first, (band / band.sum(axis=1, keepdims=True)).astype(np.float32))


def cubic(x: Array) -> Array:
    """Keys' cubic convolution, a = -1/2 (Keys 1981, eq. 15): the bicubic of MATLAB, Pillow and torch."""
    x = np.abs(x)
    near, far = (1.5 * x - 2.5) * x * x + 1.0, ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


CUBIC = Kernel(cubic, 2.0)


def apply(
    source: Array,
    vertical: Taps,
    horizontal: Taps,
    *,
    channels: int = 1,
    gain: float = 1.0,
    limit: int,
    dtype: type[np.unsignedinteger[Any]],
) -> Array:
    """Filter ``source`` (rows, columns * channels), uint8 or uint16, along both axes.

    Sums are float32, rounded half up and clamped to 0..limit after the multiplication by ``gain``. An output's bits
    depend on its own taps only, not on which other outputs are asked for, nor on the CPU.
    """
    out = np.empty((len(vertical.first), len(horizontal.first) * channels), dtype)
    steps = np.unique(np.diff(horizontal.first))
    step = int(steps[0]) if len(steps) == 1 else 0
    _apply(
        source,
        vertical.first,
        vertical.weights,
        horizontal.first * channels,
        np.ascontiguousarray(horizontal.weights.T),
        step * channels,
        channels,
        np.float32(gain),
        np.float32(limit),
        out,
    )
    return out


@numba.njit(cache=True, nogil=True)
def _apply(
    source: Array,
    tops: Array,
    down: Array,
    lefts: Array,
    across: Array,
    step: int,
    channels: int,
    gain: np.float32,
    limit: np.float32,
    out: Array,
) -> None:
    """``step`` > 0: neighbouring outputs start that far apart, and their sources are laid side by side first."""
    count, width = across.shape
    start, stop = lefts.min(), lefts.max() + count * channels
    line = np.empty(stop - start, np.float32)
    sums, codes = np.empty(width, np.float32), np.empty(width, out.dtype)
    lefts = (lefts - start).astype(np.uint32)
    length = width + count * channels // max(step, 1)
    phases = np.zeros((step, length), np.float32)
    for i in range(len(tops)):
        line[:] = 0.0
        for k in range(down.shape[1]):
            _add_scaled(source[tops[i] + k, start:stop], down[i, k], line)
        for p in range(step):
            _copy_every(line, p, step, phases[p])
        for c in range(channels):
            sums[:] = 0.0
            for k in range(count):
                at = k * channels + c
                if step > 0:
                    _add_products(phases[at % step, at // step :], across[k], sums)
                else:
                    _add_gathered(line[at:], lefts, across[k], sums)
            _round(sums, gain, limit, codes)
            out[i, c::channels] = codes


# One loop each, so that LLVM makes vector instructions of them.


@numba.njit(cache=True, nogil=True)
def _add_scaled(values: Array, weight: np.float32, sums: Array) -> None:
    for j in range(len(sums)):
        sums[j] += weight * np.float32(values[j])


@numba.njit(cache=True, nogil=True)
def _copy_every(values: Array, start: int, step: int, out: Array) -> None:
    at = start
    for j in range((len(values) - start + step - 1) // step):
        out[j] = values[at]
        at += step


@numba.njit(cache=True, nogil=True)
def _add_products(values: Array, weights: Array, sums: Array) -> None:
    for j in range(len(sums)):
        sums[j] += weights[j] * values[j]


@numba.njit(cache=True, nogil=True)
def _add_gathered(values: Array, places: Array, weights: Array, sums: Array) -> None:
    for j in range(len(sums)):
        sums[j] += weights[j] * values[places[j]]


@numba.njit(cache=True, nogil=True)
def _round(sums: Array, gain: np.float32, limit: np.float32, out: Array) -> None:
    for j in range(len(sums)):
        out[j] = min(max(sums[j] * gain + np.float32(0.5), np.float32(0.0)), limit)
