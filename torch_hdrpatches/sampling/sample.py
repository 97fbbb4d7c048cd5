"""One sample: a crop of a window, tone-mapped, degraded, and labelled with where it comes from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NotRequired, TypeAlias, TypedDict

import numpy as np
from torch import Tensor

from .measures import Measures

Output: TypeAlias = Literal["sdr", "hdr", "both"]
GroundTruth: TypeAlias = Literal["centre", "sequence"]


class Sample(TypedDict):
    """A training pair and where it comes from: the same keys, types and values live and read back from a shard."""

    key: str
    """Unique: ``[a-z0-9_-]+``, no dot, at most 100 bytes."""
    __key__: str
    """The same, under WebDataset's name."""
    gt: Tensor
    """uint8 (3, H, W) RGB, the centre frame, or (T, 3, H, W) with ``gt="sequence"``; uint16 signal for HDR."""
    lq: Tensor
    """(T, 3, H/scale, W/scale) RGB, of the same type."""
    gt_hdr: NotRequired[Tensor]
    """uint16 PQ or HLG signal beside an SDR ``gt``, with ``output="both"``."""
    lq_hdr: NotRequired[Tensor]
    """uint16 PQ or HLG signal beside an SDR ``lq``, with ``output="both"``."""
    category: str
    format: str
    movie: str
    seconds: float
    """Presentation time of the centre frame, from the movie's presentation start."""
    frame_pts: tuple[float, ...]
    """Presentation time stamps of the window's frames in seconds, as the container has them."""
    crop: tuple[int, int, int, int]
    """Top, left, height, width in working pixels."""
    slot: int
    epoch: int
    attempt: int
    scene_change: float
    """Stability score of the window; below the recipe's threshold."""
    measures: Measures
    tonemap: dict[str, str | float]
    """Curve, peak and reference white in cd/m2; 0 where no curve was applied."""
    source: dict[str, str | float]
    """Colour tags, bit depth and HDR metadata of the source; 0 = unknown."""


Transform: TypeAlias = Callable[[Sample, np.random.Generator], Sample]
"""Applied last, with a generator seeded by the sample's address."""


def name_of(behaviour: object) -> str:
    """A name of a callable that is the same in every process: its path, or its repr without addresses in memory."""
    if hasattr(behaviour, "__qualname__"):
        module = behaviour.__module__
        if module.startswith("torch_hdrpatches."):
            # Without its room: where a built-in lives does not change what it does, and manifests outlive a move.
            module = f"torch_hdrpatches.{module.rpartition('.')[2]}"
        return f"{module}.{behaviour.__qualname__}"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(behaviour))


@dataclass(frozen=True, slots=True)
class SampleAddress:
    """The address of a window, from which its random numbers come."""

    movie: str
    epoch: int
    slot: int
    attempt: int
