"""From ground truth to low quality: every step is a small callable that is handed frames, a scale and a generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import taps
from .taps import Array, Kernel, Taps

Degrade: TypeAlias = Callable[[Tensor, int, np.random.Generator], Tensor]
"""``degrade(frames, scale, rng)``: uint8 or uint16 (T, 3, H, W) to the same dtype, (T, 3, H // scale, W // scale).

Height and width are multiples of scale. All randomness comes from ``rng``; the result depends on nothing else. Frames
are coded signal, not light, as the literature has it.
"""


@dataclass(frozen=True, slots=True)
class BI:
    """Bicubic with antialiasing, a = -1/2, as in MATLAB's imresize: the BI of the literature. The default."""

    def __call__(self, frames: Tensor, scale: int, rng: np.random.Generator) -> Tensor:
        if frames.dtype == torch.uint16:
            return filtered(frames, taps.CUBIC, scale)
        # On uint8 torch adds integers, so its bits depend neither on threads nor on the CPU; fast only in this memory order.
        frames = frames.contiguous(memory_format=torch.channels_last)
        height, width = frames.shape[-2:]
        return F.interpolate(frames, (height // scale, width // scale), mode="bicubic", antialias=True)


def filtered(frames: Tensor, kernel: Kernel, scale: int) -> Tensor:
    """The frames shrunk with an antialiasing kernel, memory (T, h, w, 3)."""
    height, width = frames.shape[-2:]
    return separable(frames, _shrink(kernel, height, scale), _shrink(kernel, width, scale))


def separable(frames: Tensor, vertical: Taps, horizontal: Taps) -> Tensor:
    """(T, 3, H, W) frames through the taps of both axes, memory (T, h, w, 3)."""
    pictures = frames.permute(0, 2, 3, 1).contiguous().numpy()
    out = np.stack([_separable(picture, vertical, horizontal) for picture in pictures])
    return torch.from_numpy(out).permute(0, 3, 1, 2)


def _separable(picture: Array, vertical: Taps, horizontal: Taps) -> Array:
    rows = picture.reshape(len(picture), -1)
    out = taps.apply(rows, vertical, horizontal, channels=3, limit=np.iinfo(rows.dtype).max, dtype=rows.dtype.type)
    return out.reshape(len(out), -1, 3)


@lru_cache(maxsize=64)
def _shrink(kernel: Kernel, length: int, scale: int) -> Taps:
    centres = (np.arange(length // scale) + 0.5) * scale - 0.5
    return taps.taps(kernel, centres, length, stretch=scale)
