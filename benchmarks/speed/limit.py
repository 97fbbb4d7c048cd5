"""The lower limit of the cost: decoding the needed frames and nothing else."""

from collections.abc import Callable, Iterable
from pathlib import Path

import av

from benchmarks.speed.workload import FRAMES, Counts, Packet, Stop, Work, packets_of
from torch_hdrpatches.probe import open_movie

NOTHING = {"frames_decoded": 0, "packets_dropped": 0, "seeks": 0}


def decode_runs(work: Work) -> Callable[[], Counts]:
    """Each run in one sweep, as a worker gets it."""
    return _decoding(work, [_firsts(work, stops) for stops in work.runs], len(work.stops))


def decode_sweep(work: Work) -> Callable[[], Counts]:
    """The whole movie in one sweep: the cost without any seeks between runs."""
    return _decoding(work, [_firsts(work, work.stops)], len(work.stops))


def decode_at_keyframes(work: Work) -> Callable[[], Counts]:
    """The windows of ``align = "keyframe"``: each begins with the keyframe at or before a slot."""
    packets = packets_of(Path(work.movie))
    order = sorted(packet.pts for packet in packets)
    keys = [order.index(packet.pts) for packet in packets if packet.key]
    slots = [_first(work, stop.attempts[0]) + FRAMES // 2 for stop in work.stops]
    begins = sorted({max(key for key in keys if key <= slot) for slot in slots})
    return _decoding(work, [begins], len(begins))


def read_windows(work: Work) -> Callable[[], Counts]:
    """The package's own reader, run by run, without using its windows: the cost that the reader adds."""
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


def _firsts(work: Work, stops: Iterable[Stop]) -> list[int]:
    """First frames of every window, refused ones included, in time order."""
    return sorted({_first(work, seconds) for stop in stops for seconds in stop.attempts})


def _first(work: Work, seconds: float) -> int:
    """Number of the first frame of the window around the frame nearest to ``seconds``; a tie goes to the earlier."""
    centre = -(-(seconds * work.fps - 0.5 - 1e-6) // 1)
    return max(int(centre) - FRAMES // 2, 0)


def _decoding(work: Work, sweeps: list[list[int]], timestamps: int) -> Callable[[], Counts]:
    """``sweeps``: first frames of the windows, refused ones included; ``timestamps``: number of accepted ones."""
    packets = packets_of(Path(work.movie))
    order = sorted(packet.pts for packet in packets)
    last = len(order) - FRAMES
    windows = [[order[min(first, last) :][:FRAMES] for first in sweep] for sweep in sweeps]
    _decode(work.movie, packets, windows[0][:1])  # first allocation of memory is not part of the limit

    def run() -> Counts:
        total = {"timestamps": timestamps, **NOTHING}
        for sweep in windows:
            for name, count in _decode(work.movie, packets, sweep).items():
                total[name] += count
        return total

    return run


def _decode(movie: str, packets: list[Packet], windows: list[list[int]]) -> Counts:
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
            # Go on decoding, or seek if a keyframe lies between here and the window.
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
