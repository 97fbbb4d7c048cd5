"""Random flips, rotations and time reversal, the same for a sample's ground truth and its low-quality frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

SampleT = TypeVar("SampleT", bound=Mapping[str, Any])

Transform: TypeAlias = Callable[[SampleT, np.random.Generator], SampleT]
"""``transform(sample, rng)`` returns a new sample; all randomness comes from ``rng``."""


@dataclass(frozen=True, slots=True)
class Flip:
    """A horizontal and a vertical flip, each with the same probability."""

    probability: float = 0.5

    def __call__(self, sample: SampleT, rng: np.random.Generator) -> SampleT:
        axes = [axis for axis in (-1, -2) if rng.random() < self.probability]
        return _changed(sample, lambda frames: torch.flip(frames, axes)) if axes else sample


@dataclass(frozen=True, slots=True)
class Rotate:
    """A rotation by 0, 90, 180 or 270 degrees, or by 0 or 180 if the patch is not square."""

    def __call__(self, sample: SampleT, rng: np.random.Generator) -> SampleT:
        turns = int(rng.integers(4))
        height, width = sample["gt"].shape[-2:]
        if height != width:
            turns -= turns % 2
        return _changed(sample, lambda frames: torch.rot90(frames, turns, (-2, -1))) if turns else sample


@dataclass(frozen=True, slots=True)
class ReverseTime:
    """The reverse order of frames with a given probability; a ground truth of one frame (the centre) is unchanged."""

    probability: float = 0.5

    def __call__(self, sample: SampleT, rng: np.random.Generator) -> SampleT:
        if rng.random() >= self.probability:
            return sample
        return _changed(sample, lambda frames: torch.flip(frames, (0,)) if frames.ndim == 4 else frames)


@dataclass(frozen=True, slots=True)
class Compose:
    """Several transforms in sequence."""

    transforms: tuple[Transform[Any], ...] = (Flip(), Rotate(), ReverseTime())

    def __call__(self, sample: SampleT, rng: np.random.Generator) -> SampleT:
        for transform in self.transforms:
            sample = transform(sample, rng)
        return sample


def _changed(sample: SampleT, change: Callable[[Tensor], Tensor]) -> SampleT:
    """A copy of the sample in which ``change`` is applied to all tensors (..., height, width), and contiguous."""
    tensors = {key: value for key, value in sample.items() if isinstance(value, Tensor) and value.ndim >= 3}
    # torch flips no unsigned 16-bit tensors; signed ones of the same bits it does.
    bits = {
        key: tensor.view(torch.int16) if tensor.dtype == torch.uint16 else tensor for key, tensor in tensors.items()
    }
    frames = {key: change(moved).contiguous().view(tensors[key].dtype) for key, moved in bits.items()}
    return type(sample)({**sample, **frames})  # type: ignore[call-arg]  # a mapping is built from a mapping
