"""Long movies out of short ones: the same packets again and again, with later times."""

from __future__ import annotations

import os
from pathlib import Path

import av

from benchmarks.packets import table
from benchmarks.sources import FPS


def looped(source: Path, target: Path, seconds: float) -> Path:
    """Write ``seconds`` of ``source``, repeated, into another container; on disk and out of the page cache."""
    packets = table(source)
    order = sorted(packet.pts for packet in packets)
    delay = max(shown - packet.pts for shown, packet in zip(order, packets, strict=True))
    with av.open(str(source)) as container:
        unit = container.streams.video[0].time_base
    assert unit is not None, "a stream has a time base"
    length = round(len(packets) / FPS / unit)
    with av.open(str(target), "w") as out:
        stream = None
        for begin in range(0, round(seconds / unit), length):
            with av.open(str(source)) as container:
                video = container.streams.video[0]
                stream = stream or out.add_stream_from_template(video)
                coming = (packet for packet in container.demux(video) if packet.size)
                for packet, entry, shown in zip(coming, packets, order, strict=True):
                    # Matroska stores no decoding times: they are the presentation times in order, early enough.
                    packet.pts, packet.dts, packet.stream = begin + entry.pts, begin + shown - delay, stream
                    out.mux(packet)
    with target.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return target
