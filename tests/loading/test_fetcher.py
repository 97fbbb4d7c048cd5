"""Outcomes keep every bit on their way between processes."""

from __future__ import annotations

from dataclasses import replace

import torch

from torch_hdrpatches.loading.fetcher import pack, unpack
from torch_hdrpatches.sampling import Outcome
from torch_hdrpatches.sampling.sweep import Reject


def test_packing_keeps_every_bit_and_field():
    samples = (
        {"key": "a", "gt": torch.arange(60, dtype=torch.uint8).view(4, 5, 3).permute(2, 0, 1), "crop": (1, 2)},
        {"key": "b", "gt": torch.arange(60).view(3, 4, 5).to(torch.uint16), "x": torch.tensor([1.5])},
    )
    outcomes = (Outcome("m", 0, 0, samples), Outcome("m", 0, 1, rejects=(Reject(0.5, "unstable"),)))
    packed = pack((3, 14), outcomes)
    assert packed.address == (3, 14)
    again = unpack(packed)
    assert [replace(outcome, samples=()) for outcome in again] == [replace(outcome, samples=()) for outcome in outcomes]
    assert [list(sample) for sample in again[0].samples] == [list(sample) for sample in samples]
    for before, after in zip(samples, again[0].samples, strict=True):
        for name, value in before.items():
            if isinstance(value, torch.Tensor):
                assert after[name].is_contiguous()
                assert value.dtype == after[name].dtype
                assert torch.equal(value.to(torch.float64), after[name].to(torch.float64))
            else:
                assert value == after[name]
    assert unpack(pack((0, 0), ())) == ()
