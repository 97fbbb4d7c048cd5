"""Moves the samples of an item between processes as one block of shared memory, instead of one handle per tensor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from ..sampling.sample import Sample
from ..sampling.sweep import Outcome


@dataclass(frozen=True, slots=True)
class Packed:
    """Outcomes whose tensors lie one after the other in ``block``."""

    block: Tensor
    """uint8 (bytes,)"""
    outcomes: tuple[Outcome, ...]
    """With a ``_Span`` in place of each tensor."""


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    stop: int
    dtype: torch.dtype
    shape: tuple[int, ...]
    """With the channels last, as the bytes lie."""


def pack(outcomes: tuple[Outcome, ...]) -> Packed:
    """Copy all tensors of some outcomes into one block."""
    blocks = [torch.empty(0, dtype=torch.uint8)]
    position = 0

    def packed(tensor: Tensor) -> _Span:
        nonlocal position
        pixels = tensor.movedim(-3, -1).contiguous() if tensor.ndim >= 3 else tensor.contiguous()
        data = pixels.view(-1).view(torch.uint8)
        span = _Span(position, position + len(data), tensor.dtype, tuple(pixels.shape))
        # Starts are multiples of 16, so that any type may be viewed there.
        padding = -len(data) % 16
        blocks.extend((data, data.new_zeros(padding)))
        position += len(data) + padding
        return span

    without_tensors = _replaced(outcomes, Tensor, packed)
    return Packed(torch.cat(blocks), without_tensors)


def unpack(packed: Packed) -> tuple[Outcome, ...]:
    """The outcomes again; their tensors are views of the block."""

    def unpacked(span: _Span) -> Tensor:
        pixels = packed.block[span.start : span.stop].view(span.dtype).view(span.shape)
        return pixels.movedim(-1, -3) if pixels.ndim >= 3 else pixels

    return _replaced(packed.outcomes, _Span, unpacked)


def detached(sample: Sample) -> Sample:
    """The sample with a copy of its tensors, so that it can wait without keeping a whole block in memory."""
    return _with(sample, Tensor, Tensor.clone)


def _replaced(outcomes: tuple[Outcome, ...], kind: type, change: Callable[[Any], Any]) -> tuple[Outcome, ...]:
    return tuple(
        replace(outcome, samples=tuple(_with(sample, kind, change) for sample in outcome.samples))
        for outcome in outcomes
    )


def _with(sample: Sample, kind: type, change: Callable[[Any], Any]) -> Sample:
    """The sample with every value of a type changed."""
    fields = {name: change(value) if isinstance(value, kind) else value for name, value in sample.items()}
    return cast(Sample, fields)
