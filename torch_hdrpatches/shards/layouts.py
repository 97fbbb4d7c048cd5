"""How the frames of a sample are named in the folders that other trainers read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import torch
from torch import Tensor

from ..errors import RecipeError
from ..sampling.sample import Sample

SEQUENCES = 'export them with `--gt sequence` (gt="sequence")'


@dataclass(frozen=True, slots=True)
class Placed:
    """The frames of one sample, uint8 (3, H, W), by their names: paths without suffix, or keys of an LMDB."""

    gt: Mapping[str, Tensor]
    lq: Mapping[str, Tensor]
    line: str
    """Of the sample in ``meta_info.txt``: name, number of frames, (height,width,3)."""


Layout: TypeAlias = Callable[[str, Sample], Placed]
"""``layout(shard, sample)``; raises RecipeError if it cannot hold the sample."""


def vimeo90k(shard: str, sample: Sample) -> Placed:
    """``SHARD/KEY/im1`` to ``im7``; of a centre frame, ``gt`` has ``im4`` only."""
    gt, lq = sample["gt"], sample["lq"]
    if len(lq) != 7:
        raise RecipeError(f"the layout vimeo90k holds windows of 7 frames, {sample['key']} has {len(lq)}; use reds")
    folder = f"{shard}/{sample['key']}"
    of_gt = gt if gt.ndim == 4 else gt[None]
    first = 1 if gt.ndim == 4 else 4
    return Placed(
        {f"{folder}/im{number}": frame for number, frame in enumerate(of_gt, first)},
        {f"{folder}/im{number}": frame for number, frame in enumerate(lq, 1)},
        f"{folder} 7 {shape_of(gt)}",
    )


def reds(shard: str, sample: Sample) -> Placed:
    """``KEY/00000000`` and so on.

    The number of frames is given as 1: BasicSR's ``REDSRecurrentDataset`` takes it as the number of frames at which a
    clip may begin, and believes that 100 frames follow.
    """
    gt, lq, key = sample["gt"], sample["lq"], sample["key"]
    if gt.ndim == 3:
        raise RecipeError(f"the layout reds holds sequences, {key} has the centre frame only as gt; {SEQUENCES}")
    return Placed(
        {f"{key}/{number:08d}": frame for number, frame in enumerate(gt)},
        {f"{key}/{number:08d}": frame for number, frame in enumerate(lq)},
        f"{key} 1 {shape_of(gt)}",
    )


def paired(shard: str, sample: Sample) -> Placed:
    """``KEY``: the centre frame and its low-quality frame, for single images."""
    gt, lq, key = sample["gt"], sample["lq"], sample["key"]
    centre = gt[len(gt) // 2] if gt.ndim == 4 else gt
    return Placed({key: centre}, {key: lq[len(lq) // 2]}, f"{key}.png {shape_of(gt)}")


def scenes(shard: str, sample: Sample) -> Placed:
    """``KEY_000`` and so on; of a centre frame, ``gt`` has the middle one only.

    What stands before the first ``_`` is the name of the scene, so that a ``_`` in the key becomes ``~``.
    """
    gt, lq = sample["gt"], sample["lq"]
    scene = sample["key"].replace("_", "~")
    of_gt = gt if gt.ndim == 4 else gt[None]
    first = 0 if gt.ndim == 4 else len(lq) // 2
    return Placed(
        {f"{scene}_{number:03d}": frame for number, frame in enumerate(of_gt, first)},
        {f"{scene}_{number:03d}": frame for number, frame in enumerate(lq)},
        f"{scene} {len(lq)} {shape_of(gt)}",
    )


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {"vimeo90k": vimeo90k, "reds": reds, "paired": paired, "scenes": scenes}
)
"""By name. All but ``scenes`` are read by BasicSR; ``scenes`` is that of traiNNer-redux for videos."""


def placed(layout: str, shard: str, sample: Sample) -> Placed:
    """A sample in a layout. Raises RecipeError if the layout cannot hold it, or if it is of 16 bits."""
    if sample["gt"].dtype != torch.uint8:
        raise RecipeError(
            f"{sample['key']} is a 16-bit HDR patch, and these trainers read images of 8 bits; "
            'unpack an export with output="sdr" or "both"'
        )
    return LAYOUTS[layout](shard, sample)


def shape_of(frames: Tensor) -> str:
    """``(height,width,3)`` of (..., 3, H, W)."""
    return "({},{},3)".format(*frames.shape[-2:])
