"""Random corruptions of real footage (blur, resizing, noise, JPEG), to be chained before and after downscaling."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..jit import compiled
from . import filters
from .degrade import blurred, frames_of, images_of, resized, shrunk_size
from .filters import Array

Step: TypeAlias = Callable[[Tensor, np.random.Generator], Tensor]
"""``step(frames, rng)``: uint8 or uint16 (T, 3, H, W) to the same dtype; only ``RandomResize`` changes the size.

Parameters are drawn once for all frames; noise is drawn anew for each frame.
"""

Range: TypeAlias = tuple[float, float]
"""Lowest and highest value of a uniform draw."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A ``Degrade``: steps at ground-truth size, bicubic scaling to exactly 1 / scale, steps at low-quality size."""

    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()

    def __call__(self, frames: Tensor, scale: int, rng: np.random.Generator) -> Tensor:
        size = shrunk_size(frames, scale)
        for step in self.before:
            frames = step(frames, rng)
        frames = resized(frames, size, filters.CUBIC)
        for step in self.after:
            frames = step(frames, rng)
        return frames


def second_order() -> Chain:
    """The second-order degradation of Real-ESRGAN (Wang et al. 2021), published ranges, without sinc filters."""
    noise = OneOf((GaussianNoise((1, 30)), PoissonNoise((0.05, 3.0))))
    weaker = OneOf((GaussianNoise((1, 25)), PoissonNoise((0.05, 2.5))))
    first = (Blur((0.2, 3.0)), RandomResize((0.15, 1.5)), noise, Jpeg((30, 95)))
    second = (Sometimes(Blur((0.2, 1.5)), 0.8), RandomResize((0.3, 1.2)), weaker)
    return Chain(before=(*first, *second), after=(Jpeg((30, 95)),))


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of the steps, chosen with equal probability."""

    steps: tuple[Step, ...]

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        return self.steps[int(rng.integers(len(self.steps)))](frames, rng)


@dataclass(frozen=True, slots=True)
class Sometimes:
    """The step with a given probability, otherwise no change."""

    step: Step
    probability: float = 0.5

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        return self.step(frames, rng) if rng.random() < self.probability else frames


@dataclass(frozen=True, slots=True)
class Blur:
    """A Gaussian blur, isotropic or anisotropic at a random angle; edges are mirrored."""

    sigma: Range = (0.2, 3.0)
    """Standard deviation in pixels; of an anisotropic blur, drawn for each axis."""
    ellipse: float = 0.5
    """Probability of an anisotropic blur."""

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        along, across = rng.uniform(*self.sigma, 2)
        angle = rng.uniform(0.0, math.pi)
        if rng.random() >= self.ellipse:
            return blurred(frames, along)
        kernel = gaussian_kernel(along, across, angle)
        images, radius = images_of(frames), len(kernel) // 2
        out = np.empty(images.shape, images.dtype)
        for image, target in zip(images, out, strict=True):
            padded = np.pad(image, ((radius, radius), (radius, radius), (0, 0)), mode="reflect").astype(np.float32)
            _convolve(padded.reshape(len(padded), -1), kernel, target.reshape(len(target), -1))
        return frames_of(out)


@dataclass(frozen=True, slots=True)
class RandomResize:
    """Scaling down, up or not at all with probabilities 0.7, 0.2 and 0.1; bilinear or bicubic."""

    factor: Range = (0.15, 1.5)
    """Smallest factor (below 1) and largest factor (above 1)."""

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        u = rng.random()
        factor = 1.0
        if u < 0.7:
            factor = rng.uniform(self.factor[0], 1.0)
        elif u < 0.9:
            factor = rng.uniform(1.0, self.factor[1])
        kernel = (filters.TRIANGLE, filters.CUBIC)[int(rng.integers(2))]
        height, width = (max(1, round(length * factor)) for length in frames.shape[-2:])
        return resized(frames, (height, width), kernel)


@dataclass(frozen=True, slots=True)
class GaussianNoise:
    """Normal noise of constant strength."""

    sigma: Range = (1.0, 30.0)
    """Standard deviation in 8-bit codes, at any bit depth."""
    grey: float = 0.4
    """Probability that the three channels get the same noise."""

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        sigma = rng.uniform(*self.sigma) * (torch.iinfo(frames.dtype).max / 255)
        return _with_noise(images_of(frames), np.float32(sigma), self.grey, rng)


@dataclass(frozen=True, slots=True)
class PoissonNoise:
    """Photon noise: normal noise with the variance of a Poisson distribution, which grows with the value."""

    strength: Range = (0.05, 3.0)
    """Standard deviation divided by the square root of the value, both in 8-bit codes."""
    grey: float = 0.4
    """Probability that the three channels get the same noise."""

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        images = images_of(frames)
        strength = rng.uniform(*self.strength) * math.sqrt(np.iinfo(images.dtype).max / 255)
        return _with_noise(images, np.float32(strength) * np.sqrt(images, dtype=np.float32), self.grey, rng)


@dataclass(frozen=True, slots=True)
class Jpeg:
    """JPEG compression with one quality for all frames; 8-bit frames only."""

    quality: tuple[int, int] = (30, 95)
    """Lowest and highest quality on Pillow's scale."""

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        if frames.dtype != torch.uint8:
            raise ValueError(f"frames are {frames.dtype}, but JPEG holds 8 bits; leave Jpeg out of the chain for HDR")
        from PIL import Image  # only JPEG needs it

        quality = int(rng.integers(self.quality[0], self.quality[1] + 1))
        streams = [io.BytesIO() for _ in frames]
        for image, stream in zip(images_of(frames), streams, strict=True):
            Image.fromarray(image).save(stream, "JPEG", quality=quality)
        return frames_of(np.stack([np.asarray(Image.open(stream)) for stream in streams]))


def gaussian_kernel(along: float, across: float, angle: float) -> Array:
    """float32 (n, n) of sum 1, with a standard deviation along and across an axis rotated by ``angle`` radians."""
    radius = max(1, math.ceil(3.0 * max(along, across)))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    bell = filters.gaussian(u, along) * filters.gaussian(v, across)
    return np.asarray(bell / bell.sum(), np.float32)


def _with_noise(images: Array, sigma: Array | np.float32, grey: float, rng: np.random.Generator) -> Tensor:
    """Add normal noise, with probability ``grey`` the same in all channels, and round."""
    channels = 1 if rng.random() < grey else 3
    values = images + sigma * rng.standard_normal((*images.shape[:3], channels), dtype=np.float32)
    np.rint(values, out=values)
    return frames_of(np.clip(values, 0, np.iinfo(images.dtype).max, out=values).astype(images.dtype))


@compiled
def _convolve(padded: Array, kernel: Array, out: Array) -> None:
    sums = np.empty(out.shape[1], np.float32)
    for i in range(len(out)):
        sums[:] = 0.5  # the conversion to integers then rounds half up
        for down in range(len(kernel)):
            for across in range(len(kernel)):
                values = padded[i + down, 3 * across : 3 * across + len(sums)]
                _add_scaled(values, kernel[down, across], sums)
        out[i] = sums


@compiled
def _add_scaled(values: Array, weight: np.float32, sums: Array) -> None:
    for j in range(len(sums)):
        sums[j] += weight * values[j]
