"""Flips, quarter turns and time reversal of a sample: the same for its ground truth and its low-quality frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

SampleT = TypeVar("SampleT", bound=Mapping[str, Any])

Transform: TypeAlias = Callable[[SampleT, np.random.Generator], SampleT]
"""``transform(sample, rng)`` gives another sample; all randomness comes from ``rng``."""


@dataclass(frozen=True, slots=True)
class Flip:
    """Left to right, and top to bottom, each with a probability."""

    probability: float = 0.5

    def __call__(self, sample: SampleT, rng: np.random.Generator) -> SampleT:
        """See ``Transform``."""
        axes = [axis for axis in (-1, -2) if rng.random() < self.probability]
        return _changed(sample, lambda picture: torch.flip(picture, axes)) if axes else sample


@dataclass(frozen=True, slots=True)
class Rotate:
    """Square patches by 0, 90, 180 or 270 degrees, others by 0 or 180, so that a format keeps its shape."""

    def __call__(self, sample: SampleT, rng: np.random.Generator) -> SampleT:
        """See ``Transform``."""
        turns = int(rng.integers(4))
        height, width = sample["gt"].shape[-2:]
        if height != width:
            turns -= turns % 2
        return _changed(sample, lambda picture: torch.rot90(picture, turns, (-2, -1))) if turns else sample


@dataclass(frozen=True, slots=True)
class ReverseTime:
    """The frames in reverse with a probability; a ground truth of one frame is the centre and stays."""

    probability: float = 0.5

    def __call__(self, sample: SampleT, rng: np.random.Generator) -> SampleT:
        """See ``Transform``."""
        if rng.random() >= self.probability:
            return sample
        return _changed(sample, lambda picture: torch.flip(picture, (0,)) if picture.ndim == 4 else picture)


@dataclass(frozen=True, slots=True)
class Compose:
    """Several transforms, one after the other."""

    transforms: tuple[Transform[Any], ...] = (Flip(), Rotate(), ReverseTime())

    def __call__(self, sample: SampleT, rng: np.random.Generator) -> SampleT:
        """See ``Transform``."""
        for transform in self.transforms:
            sample = transform(sample, rng)
        return sample


def _changed(sample: SampleT, change: Callable[[Tensor], Tensor]) -> SampleT:
    """A copy of the sample with its pictures, all tensors of (..., height, width), changed."""
    pictures = {key: change(value) for key, value in sample.items() if isinstance(value, Tensor) and value.ndim >= 3}
    return type(sample)({**sample, **pictures})  # type: ignore[call-arg]  # a mapping is built from a mapping
