"""Samples as comparable values (key and hashes of the tensors), and an ``accept`` that rejects a share of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from torch_hdrpatches.rng import uniform_at


class Refuses:
    """Rejects a share of all samples; which ones depends on their keys only."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, sample: Any) -> bool:
        return uniform_at("refuses", sample["key"]) >= self.share

    def __repr__(self) -> str:
        return f"Refuses({self.share})"


def digest(tensor: Tensor) -> str:
    """sha256 of the code values of a tensor (..., 3, H, W)."""
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()[:16]


def signature(sample: Mapping[str, Any]) -> tuple[str, str, str]:
    """(key, hash of gt, hash of lq)."""
    return sample["key"], digest(sample["gt"]), digest(sample["lq"])


def signatures(samples: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """One signature per sample, in order."""
    return [signature(sample) for sample in samples]


def batch_signatures(batches: Iterable[Mapping[str, Any]]) -> list[list[tuple[str, str, str]]]:
    """One list of signatures per collated batch, in order."""
    return [
        [(key, digest(gt), digest(lq)) for key, gt, lq in zip(batch["key"], batch["gt"], batch["lq"], strict=True)]
        for batch in batches
    ]
