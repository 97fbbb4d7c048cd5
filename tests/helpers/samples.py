"""Samples as values that can be compared, key and hashes of the pictures; and a way to refuse some."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from torch_hdrpatches.rng import uniform_at


class Refuses:
    """Refuses a share of all samples, each by its key."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, sample: Any) -> bool:
        return uniform_at("refuses", sample["key"]) >= self.share

    def __repr__(self) -> str:
        return f"Refuses({self.share})"


def digest(tensor: Tensor) -> str:
    """sha256 of a picture's codes in (…, channel, row, column) order."""
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()[:16]


def signature(sample: Mapping[str, Any]) -> tuple[str, str, str]:
    """(key, hash of gt, hash of lq)."""
    return sample["key"], digest(sample["gt"]), digest(sample["lq"])


def signatures(samples: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """One per sample, in order."""
    return [signature(sample) for sample in samples]


def batch_signatures(batches: Iterable[Mapping[str, Any]]) -> list[list[tuple[str, str, str]]]:
    """One list per collated batch, in order."""
    return [
        [(key, digest(gt), digest(lq)) for key, gt, lq in zip(batch["key"], batch["gt"], batch["lq"], strict=True)]
        for batch in batches
    ]
