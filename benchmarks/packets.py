"""The packets of an HEVC movie in decoding order, read by a full pass that no measurement counts."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import av


class Entry(NamedTuple):
    """One packet."""

    pts: int
    key: bool
    needless: bool
    """No other picture refers to it: H.265 7.4.2.2, an even type below 16 in the highest sub-layer."""


def table(movie: Path) -> list[Entry]:
    """All packets of the video stream; written apart from the package's own reader, to check it by."""
    with av.open(str(movie)) as container:
        stream = container.streams.video[0]
        sized = (stream.codec_context.extradata or b"")[:1] == b"\x01"  # NAL units by length, not by start code
        heads = [(packet, _slice_head(bytes(packet), sized)) for packet in container.demux(stream) if packet.size]
    top = max(layer for _, (_, layer) in heads)
    return [
        Entry(int(packet.pts), packet.is_keyframe, kind < 16 and kind % 2 == 0 and layer == top)
        for packet, (kind, layer) in heads
        if packet.pts is not None
    ]


def _slice_head(data: bytes, sized: bool) -> tuple[int, int]:
    """Type and temporal layer of the first slice in a packet."""
    at = 0
    while at < len(data):
        at = at + 4 if sized else data.index(b"\0\0\1", at) + 3
        kind, layer = data[at] >> 1 & 63, (data[at + 1] & 7) - 1
        if kind < 32:
            return kind, layer
        at += int.from_bytes(data[at - 4 : at], "big") if sized else 0
    raise ValueError("a packet without a slice")
