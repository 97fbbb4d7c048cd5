"""From ground truth to low quality: the standard ways to shrink frames, each a small callable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import filters
from .filters import Array, Kernel, Taps

Degrade: TypeAlias = Callable[[Tensor, int, np.random.Generator], Tensor]
"""``degrade(frames, scale, rng)``: uint8 or uint16 (T, 3, H, W) RGB to the same dtype, (T, 3, H // scale, W // scale).

H and W are multiples of scale. All randomness comes from ``rng``, and the result depends on nothing else. What is
filtered is signal, not light, as the literature has it.
"""


@dataclass(frozen=True, slots=True)
class BI:
    """Bicubic with antialiasing, a = -1/2, the BI of the literature: MATLAB's imresize but for the outermost pixels."""

    def __call__(self, frames: Tensor, scale: int, rng: np.random.Generator) -> Tensor:
        """See ``Degrade``."""
        return resized(frames, shrunk_size(frames, scale), filters.CUBIC)


@dataclass(frozen=True, slots=True)
class BD:
    """Gaussian blur, then every scale-th pixel from the first on: the BD of the literature (Jo et al. 2018, DUF).

    The blur has 13 taps for the usual sigma of 1.6; beyond an edge the picture is mirrored.
    """

    sigma: float = 1.6

    def __call__(self, frames: Tensor, scale: int, rng: np.random.Generator) -> Tensor:
        """See ``Degrade``."""
        shrunk_size(frames, scale)
        return blurred(frames, self.sigma, every=scale)


@dataclass(frozen=True, slots=True)
class Area:
    """The mean of scale x scale pixels, as cv2's INTER_AREA."""

    def __call__(self, frames: Tensor, scale: int, rng: np.random.Generator) -> Tensor:
        """See ``Degrade``."""
        return resized(frames, shrunk_size(frames, scale), filters.BOX)


@dataclass(frozen=True, slots=True)
class Lanczos:
    """Lanczos of three lobes with antialiasing, as Pillow's LANCZOS."""

    def __call__(self, frames: Tensor, scale: int, rng: np.random.Generator) -> Tensor:
        """See ``Degrade``."""
        return resized(frames, shrunk_size(frames, scale), filters.LANCZOS3)


@dataclass(frozen=True, slots=True)
class OldLanczos:
    """cv2's INTER_LANCZOS4, which does not antialias, as the old generator had it; at scale 3 every third pixel."""

    def __call__(self, frames: Tensor, scale: int, rng: np.random.Generator) -> Tensor:
        """See ``Degrade``."""
        shrunk_size(frames, scale)
        return separable(frames, *(_picked(length, scale) for length in frames.shape[-2:]))


def shrunk_size(frames: Tensor, scale: int) -> tuple[int, int]:
    """The (height, width) of ``frames`` at 1 / scale; raises ValueError where that is no whole number."""
    height, width = frames.shape[-2:]
    if height % scale or width % scale:
        raise ValueError(f"frames of {height} x {width} cannot be shrunk by {scale} without a remainder")
    return height // scale, width // scale


def resized(frames: Tensor, size: tuple[int, int], kernel: Kernel) -> Tensor:
    """(T, 3, H, W) frames at another (height, width), antialiased; what lies beyond an edge does not count."""
    if frames.dtype == torch.uint8 and kernel in _TORCH_MODES:
        # torch adds integers on uint8, so that its bits depend neither on threads nor on the CPU.
        ordered = frames.contiguous(memory_format=torch.channels_last)  # three times as fast as planes
        return F.interpolate(ordered, size, mode=_TORCH_MODES[kernel], antialias=True)
    return separable(
        frames, scaled_axis(kernel, frames.shape[-2], size[0]), scaled_axis(kernel, frames.shape[-1], size[1])
    )


_TORCH_MODES = {filters.CUBIC: "bicubic", filters.TRIANGLE: "bilinear"}


def blurred(frames: Tensor, sigma: float, every: int = 1) -> Tensor:
    """(T, 3, H, W) frames under a Gaussian of ``sigma`` pixels, every so manieth row and column; edges are mirrored."""
    bell = Kernel(partial(filters.gaussian, sigma=sigma), 3.75 * sigma)  # 6 pixels to either side for the usual 1.6
    return separable(
        frames,
        *(
            filters.taps(bell, np.arange(0, length, every, dtype=np.float64), length, beyond=filters.reflect)
            for length in frames.shape[-2:]
        ),
    )


def separable(frames: Tensor, vertical: Taps, horizontal: Taps) -> Tensor:
    """(T, 3, H, W) frames through the taps of both axes."""
    pictures = frames.permute(0, 2, 3, 1).contiguous().numpy()
    out = np.stack([_separable(picture, vertical, horizontal) for picture in pictures])
    return torch.from_numpy(out).permute(0, 3, 1, 2)


def _separable(picture: Array, vertical: Taps, horizontal: Taps) -> Array:
    rows = picture.reshape(len(picture), -1)
    out = filters.apply(rows, vertical, horizontal, channels=3, limit=np.iinfo(rows.dtype).max, dtype=rows.dtype.type)
    return out.reshape(len(out), -1, 3)


@lru_cache(maxsize=64)
def scaled_axis(kernel: Kernel, length: int, count: int) -> Taps:
    """Taps that bring ``length`` pixels to ``count``, antialiased."""
    ratio = length / count
    return filters.taps(kernel, (np.arange(count) + 0.5) * ratio - 0.5, length, max(1.0, ratio))


@lru_cache(maxsize=64)
def _picked(length: int, scale: int) -> Taps:
    centres = (np.arange(length // scale) + 0.5) * scale - 0.5
    return filters.taps(filters.LANCZOS4, centres, length, beyond=filters.replicate)
