"""The limit: decoding the frames that are needed and nothing else, without touching a pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import av

from benchmarks.packets import Entry, table
from benchmarks.workload import FRAMES, Stop, Work
from torch_hdrpatches.probe import open_movie

Counts = dict[str, int]

NOTHING = {"frames_decoded": 0, "packets_dropped": 0, "seeks": 0}


def decode_runs(work: Work) -> Callable[[], Counts]:
    """Run by run, as the work is dealt to workers; a run's windows in one sweep."""
    return _decoding(work, list(work.runs))


def decode_sweep(work: Work) -> Callable[[], Counts]:
    """The whole movie in one sweep: what could be saved if no worker ever had to find its place."""
    return _decoding(work, [work.stops])


def decode_at_keyframes(work: Work) -> Callable[[], Counts]:
    """The windows of ``align = "keyframe"``: each begins with the keyframe at or before a slot."""
    packets = table(Path(work.movie))
    order = sorted(packet.pts for packet in packets)
    places = [order.index(packet.pts) for packet in packets if packet.key]
    slots = [_first(work, stop.attempts[0], len(order)) + FRAMES // 2 for stop in work.stops]
    begins = sorted({max(place for place in places if place <= slot) for slot in slots})
    return _decoding_of(work, packets, [[order[place : place + FRAMES] for place in begins]], len(begins))


def read_windows(work: Work) -> Callable[[], Counts]:
    """The package's own reader, run by run, its windows thrown away: tells what the reader adds to the limit."""
    with open_movie(work.movie) as movie:
        facts = movie.facts

    def run() -> Counts:
        total = {"timestamps": len(work.stops), **NOTHING}
        for stops in work.runs:
            with open_movie(work.movie, facts=facts) as movie:
                for seconds in sorted(second for stop in stops for second in stop.attempts):
                    movie.window(seconds, FRAMES)
            for name in NOTHING:
                total[name] += getattr(movie.counters, name)
        return total

    return run


def _decoding(work: Work, parts: Sequence[Sequence[Stop]]) -> Callable[[], Counts]:
    packets = table(Path(work.movie))
    return _decoding_of(work, packets, [_windows(work, packets, stops) for stops in parts], len(work.stops))


def _decoding_of(
    work: Work, packets: list[Entry], windows: list[list[list[int]]], timestamps: int
) -> Callable[[], Counts]:
    """``windows``: by sweep, those that were refused too; ``timestamps`` leaves these out."""
    _decode(work.movie, packets, windows[0][:1])  # what the memory costs the first time is no part of the limit

    def run() -> Counts:
        total = {"timestamps": timestamps, **NOTHING}
        for part in windows:
            for name, count in _decode(work.movie, packets, part).items():
                total[name] += count
        return total

    return run


def _windows(work: Work, packets: list[Entry], stops: Sequence[Stop]) -> list[list[int]]:
    """The pts of every window asked for, refused ones included, in time order."""
    order = sorted(packet.pts for packet in packets)
    firsts = sorted({_first(work, seconds, len(order)) for stop in stops for seconds in stop.attempts})
    return [order[first : first + FRAMES] for first in firsts]


def _first(work: Work, seconds: float, count: int) -> int:
    """Number of the first frame of the window around the frame nearest to ``seconds``; a tie goes to the earlier."""
    centre = -(-(seconds * work.fps - 0.5 - 1e-6) // 1)
    return min(max(int(centre) - FRAMES // 2, 0), count - FRAMES)


def _decode(movie: str, packets: list[Entry], windows: list[list[int]]) -> Counts:
    wanted = {pts for window in windows for pts in window}
    keys = [number for number, packet in enumerate(packets) if packet.key]
    counts = dict(NOTHING)
    with av.open(movie) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        context.thread_count, context.thread_type = 1, "NONE"
        coming, position = container.demux(stream), 0
        seen: set[int] = set()
        for window in windows:
            usable = [number for number in keys if packets[number].pts <= window[0]]
            # Decode on from here, or begin at the last keyframe that helps, whichever is nearer.
            if usable[-1] > position:
                container.seek(packets[usable[-1]].pts, stream=stream)
                coming, position = container.demux(stream), usable[-1]
                counts["seeks"] += 1
            while not seen.issuperset(window):
                packet = next(coming)
                entry = packets[position] if position < len(packets) else None
                position += 1
                if entry and entry.needless and entry.pts not in wanted:
                    counts["packets_dropped"] += 1
                    continue
                for frame in context.decode(packet if packet.size else None):
                    counts["frames_decoded"] += 1
                    seen.add(int(frame.pts or 0))
    return counts
