"""The standard degradations from ground truth to low-quality frames: bicubic, blur and subsampling, area, Lanczos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import filters
from .filters import Array, Edge, FilterKernel, Taps

Degrade: TypeAlias = Callable[[Tensor, int, np.random.Generator], Tensor]
"""``degrade(frames, scale, rng)``: uint8 or uint16 (T, 3, H, W) RGB to the same dtype, (T, 3, H // scale, W // scale).

H and W are multiples of scale. All randomness comes from ``rng``, and the result depends on nothing else. Filters work
on signal, not on light, as in the literature.
"""


@dataclass(frozen=True, slots=True)
class BI:
    """Antialiased bicubic, a = -1/2 (BI in the literature): MATLAB's imresize except for the outermost pixels."""

    def __call__(self, frames: Tensor, scale: int, rng: np.random.Generator) -> Tensor:
        return resized(frames, shrunk_size(frames, scale), filters.CUBIC)


@dataclass(frozen=True, slots=True)
class BD:
    """Gaussian blur, then every scale-th pixel beginning with the first (BD in the literature; Jo et al. 2018, DUF).

    The blur has 13 taps for the usual sigma of 1.6; frames are mirrored at their edges.
    """

    sigma: float = 1.6

    def __call__(self, frames: Tensor, scale: int, rng: np.random.Generator) -> Tensor:
        shrunk_size(frames, scale)
        return blurred(frames, self.sigma, every=scale)


@dataclass(frozen=True, slots=True)
class Area:
    """The mean of scale x scale pixels, as in cv2's INTER_AREA."""

    def __call__(self, frames: Tensor, scale: int, rng: np.random.Generator) -> Tensor:
        return resized(frames, shrunk_size(frames, scale), filters.BOX)


@dataclass(frozen=True, slots=True)
class Lanczos:
    """Antialiased Lanczos with three lobes, as in Pillow's LANCZOS."""

    def __call__(self, frames: Tensor, scale: int, rng: np.random.Generator) -> Tensor:
        return resized(frames, shrunk_size(frames, scale), filters.LANCZOS3)


@dataclass(frozen=True, slots=True)
class OldLanczos:
    """cv2's INTER_LANCZOS4 without antialiasing, as in the old generator; at scale 3 it picks every third pixel."""

    def __call__(self, frames: Tensor, scale: int, rng: np.random.Generator) -> Tensor:
        return resized(frames, shrunk_size(frames, scale), filters.LANCZOS4, filters.replicate, antialias=False)


def shrunk_size(frames: Tensor, scale: int) -> tuple[int, int]:
    """The (height, width) of ``frames`` at 1 / scale. Raises ValueError if they are not multiples of it."""
    height, width = frames.shape[-2:]
    if height % scale or width % scale:
        raise ValueError(f"frames are {height} x {width}, expected multiples of the scale {scale}")
    return height // scale, width // scale


def resized(
    frames: Tensor, size: tuple[int, int], kernel: FilterKernel, edge: Edge | None = None, antialias: bool = True
) -> Tensor:
    """(T, 3, H, W) frames at another (height, width); parameters as in ``filters.scaling_taps``."""
    torch_mode = {filters.CUBIC: "bicubic", filters.TRIANGLE: "bilinear"}.get(kernel)
    if frames.dtype == torch.uint8 and torch_mode:
        # On uint8, torch adds integers, so that its bits depend neither on threads nor on the CPU.
        ordered = frames.contiguous(memory_format=torch.channels_last)  # three times as fast as planes
        return F.interpolate(ordered, size, mode=torch_mode, antialias=True)
    lengths = zip(frames.shape[-2:], size, strict=True)
    return filtered(frames, *(filters.scaling_taps(kernel, *length, edge, antialias) for length in lengths))


def blurred(frames: Tensor, sigma: float, every: int = 1) -> Tensor:
    """(T, 3, H, W) frames blurred by a Gaussian of ``sigma``, every ``every``-th row and column; edges mirrored."""
    bell = FilterKernel(partial(filters.gaussian, sigma=sigma), 3.75 * sigma)  # radius 6 for the usual sigma of 1.6
    axes = ((np.arange(0, length, every, dtype=np.float64), length) for length in frames.shape[-2:])
    return filtered(frames, *(filters.taps(bell, *axis, edge=filters.reflect) for axis in axes))


def filtered(frames: Tensor, vertical: Taps, horizontal: Taps) -> Tensor:
    """(T, 3, H, W) frames after a separable filter."""
    images = images_of(frames)
    rows = (filters.apply(image.reshape(len(image), -1), vertical, horizontal, channels=3) for image in images)
    return frames_of(np.stack([image.reshape(len(image), -1, 3) for image in rows]))


def images_of(frames: Tensor) -> Array:
    """(T, 3, H, W) frames as a contiguous array (T, H, W, 3)."""
    return frames.permute(0, 2, 3, 1).contiguous().numpy()


def frames_of(images: Array) -> Tensor:
    """The inverse of ``images_of``, without a copy."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)
