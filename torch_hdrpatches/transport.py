"""A run's samples through shared memory as one block of bytes, instead of one handle per tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .sample import Sample


@dataclass(frozen=True, slots=True)
class Packed:
    """Samples whose pictures lie one after the other in ``block``."""

    block: Tensor
    """uint8 (bytes,)"""
    samples: tuple[dict[str, Any], ...]
    """The samples, with a ``_Span`` in place of each picture."""


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    stop: int
    dtype: torch.dtype
    shape: tuple[int, ...]
    """With the channels last, as the bytes lie."""


def pack(samples: list[Sample]) -> Packed:
    """One block for all pictures of some samples."""
    blocks: list[Tensor] = []
    packed = []
    position = 0
    for sample in samples:
        fields: dict[str, Any] = dict(sample)
        for name, value in sample.items():
            if isinstance(value, Tensor):
                pixels = value.movedim(-3, -1).contiguous() if value.ndim >= 3 else value.contiguous()
                data = pixels.view(-1).view(torch.uint8)
                # Starts are multiples of 16, so that any type may be viewed there.
                padding = -len(data) % 16
                fields[name] = _Span(position, position + len(data), value.dtype, tuple(pixels.shape))
                blocks += [data, data.new_zeros(padding)]
                position += len(data) + padding
        packed.append(fields)
    return Packed(torch.cat(blocks) if blocks else torch.empty(0, dtype=torch.uint8), tuple(packed))


def unpack(packed: Packed) -> list[Sample]:
    """The samples again; their pictures are views of the block."""
    return [
        {name: _view(packed.block, value) if isinstance(value, _Span) else value for name, value in fields.items()}  # type: ignore[misc]
        for fields in packed.samples
    ]


def _view(block: Tensor, span: _Span) -> Tensor:
    pixels = block[span.start : span.stop].view(span.dtype).view(span.shape)
    return pixels.movedim(-1, -3) if pixels.ndim >= 3 else pixels
