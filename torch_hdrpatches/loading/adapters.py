"""Converts samples, or whole batches, to the keys, ranges and files that other trainers expect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..sampling.sample import Sample
from ..shards.codecs import encode_image


def basicsr(sample: Mapping[str, Any]) -> dict[str, Any]:
    """BasicSR's ``lq`` (T, 3, h, w), ``gt`` (3, H, W) and ``key``; ``gt`` is (T, 3, H, W) with ``gt="sequence"``.

    float32 RGB in 0..1, from uint8 or uint16. Batches are best converted on the GPU: uint8 is a quarter of the bytes
    to copy there.

    BasicSR's recurrent networks need ``gt="sequence"``. They give (B, T, 3, H, W), and a loss against centre frames,
    (B, 3, H, W), broadcasts without an error if the batch size is T or 1.
    """
    return {"lq": unit(sample["lq"]), "gt": unit(sample["gt"]), "key": sample["key"]}


def kair(sample: Mapping[str, Any]) -> dict[str, Any]:
    """KAIR's ``L``, ``H`` and ``key``, otherwise as ``basicsr``; its video models need ``gt="sequence"``."""
    return {"L": unit(sample["lq"]), "H": unit(sample["gt"]), "key": sample["key"]}


def mmagic(sample: Mapping[str, Any], data_sample: Callable[..., Any]) -> dict[str, Any]:
    """One sample as mmagic's ``PackInputs`` returns it: ``inputs`` (T, 3, h, w) and ``data_samples`` with ``gt_img``.

    float32 RGB in 0..255, for a ``DataPreprocessor`` with mean 0 and std 255. Pass ``mmagic.structures.DataSample`` as
    ``data_sample``: this package does not depend on mmagic.
    """
    truth = data_sample(gt_img=255 * unit(sample["gt"]), metainfo={"key": sample["key"]})
    return {"inputs": 255 * unit(sample["lq"]), "data_samples": truth}


def unit(codes: Tensor) -> Tensor:
    """uint8 or uint16 code values as float32 in 0..1."""
    if codes.dtype not in (torch.uint8, torch.uint16):
        raise TypeError(f"code values are {codes.dtype}, expected torch.uint8 or torch.uint16")
    return codes.to(torch.float32) / torch.iinfo(codes.dtype).max


def stacked(lq: Tensor, frames: int = 5) -> Tensor:
    """The old generator's ``LR`` image: the middle ``frames`` of (..., T, 3, h, w) as (..., 3, frames * h, w)."""
    count = lq.shape[-4]
    if not 0 < frames <= count or (count - frames) % 2:
        raise ValueError(f"cannot take the middle {frames} of {count} frames")
    first = (count - frames) // 2
    middle = lq.narrow(-4, first, frames).movedim(-4, -3)
    return middle.flatten(-3, -2)


def write_old_layout(sample: Sample, folder: str | Path) -> None:
    """Write the old generator's files: ``Patches/GT``, ``Patches/LR`` (5 frames) and ``Patches/LR_7frames``, as PNG.

    Frames are stacked from top to bottom: a ``GT`` of 540x540 pixels has an ``LR`` of 180x900 (width x height).
    """
    lq = sample["lq"]
    images = {"GT": sample["gt"], "LR": stacked(lq, 5), "LR_7frames": stacked(lq, 7)}
    for name, image in images.items():
        path = Path(folder) / "Patches" / name / f"{sample['key']}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_image(image.permute(1, 2, 0).contiguous().numpy()))
