"""A run's samples through shared memory as one block of bytes, instead of one handle per tensor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from ..sampling.sample import Sample
from ..sampling.stream import Outcome


@dataclass(frozen=True, slots=True)
class Packed:
    """Outcomes whose pictures lie one after the other in ``block``."""

    block: Tensor
    """uint8 (bytes,)"""
    outcomes: tuple[Outcome, ...]
    """With a ``_Span`` in place of each picture."""


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    stop: int
    dtype: torch.dtype
    shape: tuple[int, ...]
    """With the channels last, as the bytes lie."""


def pack(outcomes: tuple[Outcome, ...]) -> Packed:
    """One block for all pictures of some outcomes."""
    blocks: list[Tensor] = []
    position = 0

    def packed(sample: Sample) -> Sample:
        nonlocal position
        fields: dict[str, Any] = dict(sample)
        for name, value in sample.items():
            if isinstance(value, Tensor):
                pixels = value.movedim(-3, -1).contiguous() if value.ndim >= 3 else value.contiguous()
                data = pixels.view(-1).view(torch.uint8)
                # Starts are multiples of 16, so that any type may be viewed there.
                padding = -len(data) % 16
                fields[name] = _Span(position, position + len(data), value.dtype, tuple(pixels.shape))
                blocks.extend((data, data.new_zeros(padding)))
                position += len(data) + padding
        return cast(Sample, fields)

    without = tuple(replace(outcome, samples=tuple(map(packed, outcome.samples))) for outcome in outcomes)
    return Packed(torch.cat(blocks) if blocks else torch.empty(0, dtype=torch.uint8), without)


def unpack(packed: Packed) -> tuple[Outcome, ...]:
    """The outcomes again; their pictures are views of the block."""

    def unpacked(sample: Sample) -> Sample:
        fields = {
            name: _view(packed.block, value) if isinstance(value, _Span) else value for name, value in sample.items()
        }
        return cast(Sample, fields)

    return tuple(replace(outcome, samples=tuple(map(unpacked, outcome.samples))) for outcome in packed.outcomes)


def alone(sample: Sample) -> Sample:
    """The sample with pictures of its own, so that it can wait without keeping a whole block."""
    fields = {name: value.clone() if isinstance(value, Tensor) else value for name, value in sample.items()}
    return cast(Sample, fields)


def _view(block: Tensor, span: _Span) -> Tensor:
    pixels = block[span.start : span.stop].view(span.dtype).view(span.shape)
    return pixels.movedim(-1, -3) if pixels.ndim >= 3 else pixels
