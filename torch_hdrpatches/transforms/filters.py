"""Separable filters: which source pixels make an output pixel, and the two passes that apply them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ..jit import compiled

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A symmetric filter: ``weight(x)`` counts for |x| <= radius, in source pixels; the sum need not be 1."""

    weight: Callable[[Array], Array]
    radius: float


@dataclass(frozen=True, slots=True)
class Taps:
    """One axis of a separable filter: output i is the sum over k of weights[i, k] * source[first[i] + k]."""

    first: Array
    """int64 (n,); where first[i] + k lies outside the source, the weight is 0"""
    weights: Array
    """float32 (n, count); rows sum to 1; count is even, as taps are applied two at a time"""

    def part(self, start: int, count: int) -> Taps:
        """The ``count`` outputs from ``start`` on."""
        return Taps(self.first[start : start + count], self.weights[start : start + count])


def replicate(index: Array, length: int) -> Array:
    """Beyond an edge lies the edge pixel, again and again."""
    return np.asarray(np.clip(index, 0, length - 1))


def reflect(index: Array, length: int) -> Array:
    """Beyond an edge the picture is mirrored; the edge pixel is not repeated."""
    period = max(2 * (length - 1), 1)
    return np.asarray(length - 1 - np.abs(np.mod(index, period) - (length - 1)))


def taps(
    kernel: Kernel,
    centres: Array,
    length: int,
    stretch: float = 1.0,
    beyond: Callable[[Array, int], Array] | None = None,
) -> Taps:
    """Taps of outputs that lie at ``centres`` of a source of ``length`` pixels, whose pixel i lies at i.

    ``stretch`` > 1 widens the kernel, which takes out what the output's wider pixels cannot show. ``beyond`` says which
    pixel stands in for one outside the source; without it none does, and those inside count for more.
    """
    radius = kernel.radius * stretch
    index = np.floor(centres - radius).astype(np.int64)[:, None] + np.arange(math.ceil(2 * radius) + 1)
    distance = (index - centres[:, None]) / stretch
    counts = np.abs(distance) <= kernel.radius
    if beyond is None:
        counts &= (index >= 0) & (index < length)
    weights = np.where(counts, kernel.weight(distance), 0.0)
    source = np.where(counts, beyond(index, length) if beyond else index, index)
    folded = np.zeros_like(weights)
    np.add.at(folded, (np.arange(len(index))[:, None], source - index[:, :1]), weights)
    used = np.flatnonzero(folded.any(axis=0))
    folded = folded[:, used[0] : used[-1] + 1] / folded.sum(axis=1, keepdims=True)
    return Taps(index[:, used[0]], np.pad(folded, ((0, 0), (0, folded.shape[1] % 2))).astype(np.float32))


def cubic(x: Array) -> Array:
    """Keys' cubic convolution, a = -1/2 (Keys 1981, eq. 15): the bicubic of MATLAB, Pillow and torch."""
    x = np.abs(x)
    near, far = (1.5 * x - 2.5) * x * x + 1.0, ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1.0, near, far)


def lanczos(x: Array, lobes: int) -> Array:
    """sinc(x) under its window sinc(x / lobes) (Duchon 1979)."""
    return np.asarray(np.sinc(x) * np.sinc(x / lobes))


def triangle(x: Array) -> Array:
    """Linear interpolation."""
    return np.asarray(1.0 - np.abs(x))


def box(x: Array) -> Array:
    """Every pixel inside counts alike."""
    return np.ones_like(x)


def gaussian(x: Array, sigma: float) -> Array:
    """The normal distribution's bell."""
    return np.asarray(np.exp(-0.5 * (x / sigma) ** 2))


BOX = Kernel(box, 0.5)
TRIANGLE = Kernel(triangle, 1.0)
CUBIC = Kernel(cubic, 2.0)
LANCZOS3 = Kernel(partial(lanczos, lobes=3), 3.0)
LANCZOS4 = Kernel(partial(lanczos, lobes=4), 4.0)


def apply(
    source: Array,
    vertical: Taps,
    horizontal: Taps,
    *,
    channels: int = 1,
    gain: float = 1.0,
    offset: float = 0.0,
    limit: int,
    dtype: type[np.unsignedinteger[Any]],
) -> Array:
    """Filter ``source`` (rows, columns * channels), uint8 or uint16, along both axes.

    Sums are float32; sum * gain + offset is clamped to 0..limit and rounded half up. An output's bits depend on its
    own taps only, not on which other outputs are asked for, nor on the CPU.
    """
    out = np.empty((len(vertical.first), len(horizontal.first) * channels), dtype)
    steps = np.diff(horizontal.first)
    step = int(steps[0]) * channels if len(steps) and (steps == steps[0]).all() else 0
    _apply(
        source,
        vertical.first,
        vertical.weights,
        horizontal.first * channels,
        horizontal.weights.T.copy(),
        step,
        channels,
        np.float32(gain),
        np.float32(offset),
        np.float32(limit),
        out,
    )
    return out


@compiled
def _apply(
    source: Array,
    tops: Array,
    down: Array,
    lefts: Array,
    across: Array,
    step: int,
    channels: int,
    gain: np.float32,
    offset: np.float32,
    limit: np.float32,
    out: Array,
) -> None:
    """``step`` > 0: neighbouring outputs start that far apart, so their sources can be laid side by side first."""
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
            # Where a tap lies outside the source, any row will do: its weight is zero.
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


# One loop each, so that LLVM makes vector instructions of them.


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
