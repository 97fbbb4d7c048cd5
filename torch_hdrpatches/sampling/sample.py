"""One sample: a crop of a window, tone-mapped, degraded, and labelled with where it comes from."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple, NotRequired, TypeAlias, TypedDict, cast

import numpy as np
from torch import Tensor

from ..color.curves import UserCurve
from ..transforms.degrade import BI, Degrade
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

Accept: TypeAlias = Callable[[Sample], bool]
"""Whether a patch is good enough."""


class SampleOptions(TypedDict, total=False):
    """How a window becomes samples: what a caller chooses beside the recipe."""

    output: Output
    """``"sdr"``: tone-mapped uint8; ``"hdr"``: uint16 signal; ``"both"``. ``"sdr"`` when absent."""
    gt: GroundTruth
    """The ``"centre"`` frame, or the whole ``"sequence"``. ``"centre"`` when absent."""
    degrade: Degrade | None
    """Makes ``lq`` from the ground-truth frames; bicubic with antialiasing (``BI()``) when absent."""
    transform: Transform | None
    """``transform(sample, rng) -> sample``, applied last."""
    curve: UserCurve | None
    """A tone curve ``f(light, peak) -> light`` in place of the recipe's; see ``UserCurve``."""
    accept: Accept | None
    """``accept(sample) -> bool``; a refused patch is drawn again elsewhere in its window, a few times."""


DEFAULTS: SampleOptions = {
    "output": "sdr",
    "gt": "centre",
    "degrade": BI(),
    "transform": None,
    "curve": None,
    "accept": None,
}


def with_defaults(options: SampleOptions) -> SampleOptions:
    """All six options, at their defaults where they are absent or None.

    Raises:
        TypeError: if there is no such option.
    """
    if unknown := options.keys() - DEFAULTS.keys():
        raise TypeError(f"unknown option {sorted(unknown)[0]!r}, expected one of: {', '.join(DEFAULTS)}")
    given = {name: value for name, value in options.items() if value is not None}
    return cast(SampleOptions, DEFAULTS | given)


def name_of(behaviour: object) -> str:
    """A name of a callable that is the same in every process: its path, or its repr without addresses in memory."""
    if hasattr(behaviour, "__qualname__"):
        module = behaviour.__module__
        if module.startswith("torch_hdrpatches."):
            # Without its room: where a built-in lives does not change what it does, and manifests outlive a move.
            module = f"torch_hdrpatches.{module.rpartition('.')[2]}"
        return f"{module}.{behaviour.__qualname__}"
    return re.sub(r" at 0x[0-9a-f]+", "", repr(behaviour))


class SampleAddress(NamedTuple):
    """Where a window stands in the stream. Its random numbers are drawn at this address."""

    movie: str
    epoch: int
    slot: int
    attempt: int
