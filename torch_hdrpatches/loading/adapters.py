"""Samples, or whole batches of them, as other trainers want them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..sampling.sample import Sample
from ..shards.codecs import encode_image


def basicsr(sample: Mapping[str, Any]) -> dict[str, Any]:
    """BasicSR's ``lq`` (T, 3, h, w), ``gt`` (3, H, W), or (T, 3, H, W) for recurrent models, and ``key``.

    float32 RGB in 0..1, of 8-bit and of 16-bit samples. A batch in gives a batch out, best on the GPU: a quarter of
    the bytes travel from worker to GPU as long as they are uint8.
    """
    return {"lq": unit(sample["lq"]), "gt": unit(sample["gt"]), "key": sample["key"]}


def kair(sample: Mapping[str, Any]) -> dict[str, Any]:
    """KAIR's ``L``, ``H`` and ``key``, otherwise as ``basicsr``; its video datasets want ``gt="sequence"``."""
    return {"L": unit(sample["lq"]), "H": unit(sample["gt"]), "key": sample["key"]}


def mmagic(sample: Mapping[str, Any], data_sample: Callable[..., Any]) -> dict[str, Any]:
    """What mmagic's ``PackInputs`` gives for one sample: ``inputs`` (T, 3, h, w) and ``data_samples`` with ``gt_img``.

    float32 RGB in 0..255, for a ``DataPreprocessor`` with mean 0 and std 255. ``data_sample`` is mmagic's own
    ``mmagic.structures.DataSample``, handed in so that this package does not depend on mmagic.
    """
    truth = data_sample(gt_img=255 * unit(sample["gt"]), metainfo={"key": sample["key"]})
    return {"inputs": 255 * unit(sample["lq"]), "data_samples": truth}


def unit(codes: Tensor) -> Tensor:
    """float32 in 0..1 of uint8 or uint16 codes."""
    if codes.dtype not in (torch.uint8, torch.uint16):
        raise TypeError(f"codes are {codes.dtype}, expected torch.uint8 or torch.uint16")
    return codes.to(torch.float32) / torch.iinfo(codes.dtype).max


def stacked(lq: Tensor, frames: int = 5) -> Tensor:
    """The old generator's low-quality picture: (..., T, 3, h, w) to the middle ``frames``, (..., 3, frames * h, w)."""
    count = lq.shape[-4]
    if not 0 < frames <= count or (count - frames) % 2:
        raise ValueError(f"{frames} frames are not the middle of {count}")
    first = (count - frames) // 2
    middle = lq.narrow(-4, first, frames).movedim(-4, -3)
    return middle.flatten(-3, -2)


def write_old_layout(sample: Sample, folder: str | Path) -> None:
    """Write the old generator's files: ``Patches/GT``, ``Patches/LR`` (5 frames) and ``Patches/LR_7frames``, as PNG.

    The frames lie one below the other; a patch of 540x540 has an ``LR`` of 180 x 900 pixels (width x height).
    """
    lq = sample["lq"]
    pictures = {"GT": sample["gt"], "LR": stacked(lq, 5), "LR_7frames": stacked(lq, 7)}
    for name, picture in pictures.items():
        path = Path(folder) / "Patches" / name / f"{sample['key']}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_image(picture.permute(1, 2, 0).contiguous().numpy()))
