"""Separable filters: the taps of each axis, and the two passes that apply them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy import float32 as f32

from ..jit import compiled

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

Edge: TypeAlias = Callable[[Array, int], Array]
"""``edge(index, length)``: the pixels whose values stand in for pixels outside the image."""


@dataclass(frozen=True, slots=True)
class FilterKernel:
    """A symmetric filter kernel: weights, of any sum, by distance in source pixels up to ``radius``."""

    weight: Callable[[Array], Array]
    radius: float


class Taps(NamedTuple):
    """One axis of a separable filter: output i is the sum over k of weights[i, k] * source[first[i] + k]."""

    first: Array
    """int64 (n,); where first[i] + k lies outside the source, the weight is 0."""
    weights: Array
    """float32 (n, count); rows sum to 1. The count is even, because taps are applied in pairs."""

    def part(self, start: int, count: int) -> Taps:
        """The taps of outputs start..start + count."""
        return Taps(self.first[start : start + count], self.weights[start : start + count])


def replicate(index: Array, length: int) -> Array:
    """An ``Edge``: the edge pixel is repeated."""
    return np.asarray(np.clip(index, 0, length - 1))


def reflect(index: Array, length: int) -> Array:
    """An ``Edge``: the image is mirrored at the edge pixel, which is not repeated."""
    period = max(2 * (length - 1), 1)
    return np.asarray(length - 1 - np.abs(np.mod(index, period) - (length - 1)))


def taps(
    kernel: FilterKernel, centres: Array, length: int, kernel_scale: float = 1.0, edge: Edge | None = None
) -> Taps:
    """Taps of outputs centred at these positions of a source of ``length`` pixels; pixel i lies at position i.

    The kernel is made ``kernel_scale`` times as wide. Without ``edge``, pixels outside the source are left out and the
    weights of the others are normalised.
    """
    radius = kernel.radius * kernel_scale
    index = np.floor(centres - radius).astype(np.int64)[:, None] + np.arange(math.ceil(2 * radius) + 1)
    distance = (index - centres[:, None]) / kernel_scale
    counts = np.abs(distance) <= kernel.radius
    if edge is None:
        counts &= (index >= 0) & (index < length)
    weights = np.where(counts, kernel.weight(distance), 0.0)
    source = np.where(counts, edge(index, length) if edge else index, index)
    folded = np.zeros_like(weights)
    np.add.at(folded, (np.arange(len(index))[:, None], source - index[:, :1]), weights)
    used = np.flatnonzero(folded.any(axis=0))
    folded = folded[:, used[0] : used[-1] + 1] / folded.sum(axis=1, keepdims=True)
    return Taps(index[:, used[0]], np.pad(folded, ((0, 0), (0, folded.shape[1] % 2))).astype(np.float32))


@lru_cache(maxsize=128)
def scaling_taps(
    kernel: FilterKernel,
    length: int,
    count: int,
    edge: Edge | None = None,
    antialias: bool = True,
    subsampling: int = 1,
    siting: float = 0.0,
) -> Taps:
    """Taps that scale an axis of ``length`` pixels to ``count``; with ``antialias``, the kernel widens as it shrinks.

    For a chroma plane, ``length`` is in luma pixels and ``siting`` is the luma position of the first chroma sample.
    """
    ratio = length / count
    centres = (np.arange(count) + 0.5) * ratio - 0.5
    if subsampling > 1:
        centres = (centres - siting) / subsampling
    kernel_scale = max(1.0, ratio / subsampling) if antialias else 1.0
    return taps(kernel, centres, -(-length // subsampling), kernel_scale, edge)


def cubic(x: Array) -> Array:
    """Cubic convolution with a = -1/2 (Keys 1981, eq. 15), the bicubic of MATLAB, Pillow and torch."""
    x = np.abs(x)
    near, far = (1.5 * x - 2.5) * x * x + 1.0, ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1.0, near, far)


def lanczos(x: Array, lobes: int) -> Array:
    """sinc(x) with the window sinc(x / lobes) (Duchon 1979)."""
    return np.asarray(np.sinc(x) * np.sinc(x / lobes))


def gaussian(x: Array, sigma: float) -> Array:
    """A Gaussian of height 1."""
    return np.asarray(np.exp(-0.5 * (x / sigma) ** 2))


BOX = FilterKernel(np.ones_like, 0.5)
TRIANGLE = FilterKernel(lambda x: np.asarray(1.0 - np.abs(x)), 1.0)
CUBIC = FilterKernel(cubic, 2.0)
LANCZOS3 = FilterKernel(partial(lanczos, lobes=3), 3.0)
LANCZOS4 = FilterKernel(partial(lanczos, lobes=4), 4.0)


def apply(
    source: Array,
    vertical: Taps,
    horizontal: Taps,
    *,
    channels: int = 1,
    gain: float = 1.0,
    offset: float = 0.0,
    dtype: type[np.unsignedinteger[Any]] | None = None,
) -> Array:
    """Filter ``source`` (rows, columns * channels), uint8 or uint16, along both axes.

    Sums are float32; sum * gain + offset is clamped to the range of ``dtype`` (the source's by default) and rounded
    half up. The bits of an output depend on its own taps only, not on which other outputs are computed, nor on the CPU.
    """
    out = np.empty((len(vertical.first), len(horizontal.first) * channels), dtype or source.dtype)
    steps = np.diff(horizontal.first)
    step = int(steps[0]) * channels if len(steps) and (steps == steps[0]).all() else 0
    across = Taps(horizontal.first * channels, horizontal.weights.T.copy())
    _apply(source, vertical, across, step, channels, (f32(gain), f32(offset), f32(np.iinfo(out.dtype).max)), out)
    return out


@compiled
def _apply(
    source: Array, vertical: Taps, horizontal: Taps, step: int, channels: int, scaling: tuple[f32, f32, f32], out: Array
) -> None:
    """Fill ``out``; the horizontal weights are transposed, and ``scaling`` is gain, offset and limit.

    With ``step`` > 0, neighbouring outputs start that many values apart, so that their inputs can first be laid out
    side by side.
    """
    tops, down = vertical.first, vertical.weights
    lefts, across = horizontal.first, horizontal.weights
    gain, offset, limit = scaling
    height, length = source.shape
    count, width = across.shape
    start, stop = lefts.min(), lefts.max() + count * channels
    inside = slice(max(start, 0), min(stop, length))
    line = np.zeros(stop - start, np.float32)  # stays zero outside the source, where weights are zero too
    within = line[inside.start - start : inside.stop - start]
    sums, codes = np.empty(width, np.float32), np.empty(width, out.dtype)
    places = (lefts - start).astype(np.uint32)
    phases = np.zeros((step, width + count * channels // max(step, 1) + 1), np.float32)
    for i in range(len(tops)):
        within[:] = 0.0
        for k in range(0, down.shape[1], 2):
            # A tap outside the source has weight zero, so any row may be read for it.
            a, b = min(max(tops[i] + k, 0), height - 1), min(max(tops[i] + k + 1, 0), height - 1)
            _add_pair(source[a, inside], source[b, inside], down[i, k : k + 2], within)
        if step == 2:
            _split(line, phases[0], phases[1])
        elif step > 2:
            for p in range(step):
                _copy_every(line, p, step, phases[p])
        for c in range(channels):
            sums[:] = 0.0
            for k in range(0, count, 2):
                a, b = k * channels + c, (k + 1) * channels + c
                weights = across[k : k + 2]
                if step == 1:
                    _add_weighted_pair(line[a:], line[b:], weights, sums)
                elif step > 1:
                    _add_weighted_pair(phases[a % step, a // step :], phases[b % step, b // step :], weights, sums)
                else:
                    _add_gathered_pair(line[a:], line[b:], places, weights, sums)
            if channels == 1:
                _round(sums, gain, offset, limit, out[i])
            else:
                _round(sums, gain, offset, limit, codes)
                out[i, c::channels] = codes


# One loop per function, so that LLVM vectorises it.


@compiled
def _add_pair(first: Array, second: Array, weights: Array, sums: Array) -> None:
    of_first, of_second = weights[0], weights[1]
    for j in range(len(sums)):
        sums[j] = (sums[j] + of_first * np.float32(first[j])) + of_second * np.float32(second[j])


@compiled
def _split(values: Array, even: Array, odd: Array) -> None:
    for j in range(len(values) // 2):
        even[j] = values[2 * j]
        odd[j] = values[2 * j + 1]
    if len(values) % 2:
        even[len(values) // 2] = values[-1]


@compiled
def _copy_every(values: Array, start: int, step: int, out: Array) -> None:
    at = start
    for j in range((len(values) - start + step - 1) // step):
        out[j] = values[at]
        at += step


@compiled
def _add_weighted_pair(first: Array, second: Array, weights: Array, sums: Array) -> None:
    of_first, of_second = weights[0], weights[1]
    for j in range(len(sums)):
        sums[j] = (sums[j] + of_first[j] * first[j]) + of_second[j] * second[j]


@compiled
def _add_gathered_pair(first: Array, second: Array, places: Array, weights: Array, sums: Array) -> None:
    of_first, of_second = weights[0], weights[1]
    for j in range(len(sums)):
        sums[j] = (sums[j] + of_first[j] * first[places[j]]) + of_second[j] * second[places[j]]


@compiled
def _round(sums: Array, gain: np.float32, offset: np.float32, limit: np.float32, out: Array) -> None:
    for j in range(len(sums)):
        out[j] = min(max(sums[j] * gain + offset, np.float32(0.0)), limit) + np.float32(0.5)
