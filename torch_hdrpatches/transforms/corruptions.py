"""What real footage has suffered: blur, resizing, noise and JPEG, as steps to chain before and after the shrinking."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..jit import compiled
from . import filters
from .degrade import blurred, resized, shrunk_size
from .filters import Array

Step: TypeAlias = Callable[[Tensor, np.random.Generator], Tensor]
"""``step(frames, rng)``: uint8 or uint16 (T, 3, H, W) to the same dtype; only ``RandomResize`` changes the size.

What a step draws holds for all frames; noise itself is new in every frame.
"""

Range: TypeAlias = tuple[float, float]
"""Lowest and highest value of a uniform draw."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A ``Degrade`` made of steps: those before at ground-truth size, bicubic to exactly 1 / scale, those after."""

    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()

    def __call__(self, frames: Tensor, scale: int, rng: np.random.Generator) -> Tensor:
        """See ``degrade.Degrade``."""
        size = shrunk_size(frames, scale)
        for step in self.before:
            frames = step(frames, rng)
        frames = resized(frames, size, filters.CUBIC)
        for step in self.after:
            frames = step(frames, rng)
        return frames


def second_order() -> Chain:
    """The two rounds of Real-ESRGAN (Wang et al. 2021) with its published ranges, less the sinc filters."""
    noise = OneOf((GaussianNoise((1, 30)), PoissonNoise((0.05, 3.0))))
    weaker = OneOf((GaussianNoise((1, 25)), PoissonNoise((0.05, 2.5))))
    first = (Blur((0.2, 3.0)), RandomResize((0.15, 1.5)), noise, Jpeg((30, 95)))
    second = (Sometimes(Blur((0.2, 1.5)), 0.8), RandomResize((0.3, 1.2)), weaker)
    return Chain(before=(*first, *second), after=(Jpeg((30, 95)),))


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of the steps, each as likely as the others."""

    steps: tuple[Step, ...]

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """See ``Step``."""
        return self.steps[int(rng.integers(len(self.steps)))](frames, rng)


@dataclass(frozen=True, slots=True)
class Sometimes:
    """The step with a probability, otherwise nothing."""

    step: Step
    probability: float = 0.5

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """See ``Step``."""
        return self.step(frames, rng) if rng.random() < self.probability else frames


@dataclass(frozen=True, slots=True)
class Blur:
    """A Gaussian blur, round or (with a probability) an ellipse at any angle; edges are mirrored."""

    sigma: Range = (0.2, 3.0)
    """Standard deviation in pixels; of an ellipse, each axis has its own."""
    ellipse: float = 0.5
    """Probability of an ellipse."""

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """See ``Step``."""
        along, across = rng.uniform(*self.sigma, 2)
        angle = rng.uniform(0.0, math.pi)
        if rng.random() >= self.ellipse:
            return blurred(frames, along)
        kernel = gaussian_kernel(along, across, angle)
        return _frames(np.stack([_convolved(picture, kernel) for picture in _pictures(frames)]))


@dataclass(frozen=True, slots=True)
class RandomResize:
    """Another size: larger, smaller or the same with probabilities 0.2, 0.7 and 0.1; bilinear or bicubic."""

    factor: Range = (0.15, 1.5)
    """Smallest and largest factor, below and above 1."""

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """See ``Step``."""
        turn = rng.random()
        factor = 1.0
        if turn < 0.7:
            factor = rng.uniform(self.factor[0], 1.0)
        elif turn < 0.9:
            factor = rng.uniform(1.0, self.factor[1])
        kernel = (filters.TRIANGLE, filters.CUBIC)[int(rng.integers(2))]
        height, width = (max(1, round(length * factor)) for length in frames.shape[-2:])
        return resized(frames, (height, width), kernel)


@dataclass(frozen=True, slots=True)
class GaussianNoise:
    """Normal noise of one strength everywhere."""

    sigma: Range = (1.0, 30.0)
    """Standard deviation in 8-bit codes, whatever the depth of the frames."""
    grey: float = 0.4
    """Probability that the three channels get the same noise."""

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """See ``Step``."""
        pictures = _pictures(frames)
        sigma = rng.uniform(*self.sigma) * _code(pictures)
        return _frames(_rounded(pictures + np.float32(sigma) * _normal(pictures, self.grey, rng), pictures.dtype))


@dataclass(frozen=True, slots=True)
class PoissonNoise:
    """Noise of counted light, stronger where it is brighter: normal noise with the variance of a Poisson count."""

    strength: Range = (0.05, 3.0)
    """Standard deviation over the square root of the value, both in 8-bit codes; 1 is a count of 1 per code."""
    grey: float = 0.4
    """Probability that the three channels get the same noise."""

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """See ``Step``."""
        pictures = _pictures(frames)
        strength = rng.uniform(*self.strength) * math.sqrt(_code(pictures))
        sigma = np.float32(strength) * np.sqrt(pictures, dtype=np.float32)
        return _frames(_rounded(pictures + sigma * _normal(pictures, self.grey, rng), pictures.dtype))


@dataclass(frozen=True, slots=True)
class Jpeg:
    """JPEG and back, of one quality for all frames; 8-bit frames only."""

    quality: tuple[int, int] = (30, 95)
    """Lowest and highest quality, as Pillow counts it."""

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """See ``Step``."""
        if frames.dtype != torch.uint8:
            raise ValueError(f"JPEG holds 8-bit frames, these are {frames.dtype}; leave Jpeg out for HDR")
        quality = int(rng.integers(self.quality[0], self.quality[1] + 1))
        return _frames(np.stack([_jpeg(picture, quality) for picture in _pictures(frames)]))


def gaussian_kernel(along: float, across: float, angle: float) -> Array:
    """float32 (n, n), sum 1: standard deviations along and across an axis that is turned by ``angle`` radians."""
    radius = max(1, math.ceil(3.0 * max(along, across)))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    bell = filters.gaussian(u, along) * filters.gaussian(v, across)
    return np.asarray(bell / bell.sum(), np.float32)


def _pictures(frames: Tensor) -> Array:
    """(T, 3, H, W) frames as a contiguous (T, H, W, 3) array."""
    return frames.permute(0, 2, 3, 1).contiguous().numpy()


def _frames(pictures: Array) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2)


def _code(pictures: Array) -> float:
    """One 8-bit code in the codes of these pictures."""
    return float(np.iinfo(pictures.dtype).max) / 255


def _normal(pictures: Array, grey: float, rng: np.random.Generator) -> Array:
    channels = 1 if rng.random() < grey else 3
    return rng.standard_normal((*pictures.shape[:3], channels), dtype=np.float32)


def _rounded(values: Array, dtype: np.dtype[Any]) -> Array:
    np.rint(values, out=values)
    return np.clip(values, 0, np.iinfo(dtype).max, out=values).astype(dtype)


def _jpeg(picture: Array, quality: int) -> Array:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def _convolved(picture: Array, kernel: Array) -> Array:
    """(H, W, 3) under an odd square kernel; edges are mirrored."""
    radius = len(kernel) // 2
    padded = np.pad(picture, ((radius, radius), (radius, radius), (0, 0)), mode="reflect").astype(np.float32)
    out = np.empty_like(picture)
    _convolve(padded.reshape(len(padded), -1), kernel, out.reshape(len(out), -1))
    return out


@compiled
def _convolve(padded: Array, kernel: Array, out: Array) -> None:
    sums = np.empty(out.shape[1], np.float32)
    for i in range(len(out)):
        sums[:] = 0.5  # rounds half up
        for down in range(len(kernel)):
            for across in range(len(kernel)):
                values = padded[i + down, 3 * across : 3 * across + len(sums)]
                _add_scaled(values, kernel[down, across], sums)
        out[i] = sums


@compiled
def _add_scaled(values: Array, weight: np.float32, sums: Array) -> None:
    for j in range(len(sums)):
        sums[j] += weight * values[j]
