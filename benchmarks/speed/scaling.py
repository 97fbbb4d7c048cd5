"""Checks that cost depends on timestamps only, not on the number, length or file size of movies."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from benchmarks.speed.films import FILMS, FPS, SLOT_FRAMES, WORK, made
from benchmarks.speed.workload import packets_of, recipe
from torch_hdrpatches import Recipe
from torch_hdrpatches.probe import open_movie
from torch_hdrpatches.sampling import PatchStream

Row = dict[str, Any]

PATCH = (180, 180)
"""A crop that fits into the small film used here."""


def by_movies(counts: tuple[int, ...]) -> list[Row]:
    """The same film under many names, eight timestamps each, probing included."""
    film = FILMS["360p"]
    source = made(film)
    rows = []
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        links = [Path(folder) / f"{number}.mkv" for number in range(max(counts))]
        for link in links:
            link.symlink_to(source)
        _cost(recipe([str(source)], film.slots, gt=PATCH))  # compiles kernels
        for count in counts:
            row = _cost(recipe([str(link) for link in links[:count]], film.slots, gt=PATCH))
            rows.append({"movies": count, **row})
    return rows


def by_length(minutes: tuple[int, ...]) -> list[Row]:
    """One film at several lengths: with 24 timestamps, and with one per 58 frames."""
    source = made(FILMS["360p"])
    rows = []
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        for length in minutes:
            movie = looped(source, Path(folder) / f"{length}.mkv", 60 * length)
            _cost(recipe([str(movie)], 8, gt=PATCH))
            for slots in dict.fromkeys((24, 60 * length * FPS // SLOT_FRAMES)):
                rows.append({"minutes": length, **_cost(recipe([str(movie)], slots, gt=PATCH))})
            movie.unlink()
    return rows


def opening(minutes: int, film: str) -> list[Row]:
    """Opening a long movie that is not in the page cache, and reading one window in its middle."""
    source = made(FILMS[film])
    rows = []
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        for suffix in ("mkv", "mp4"):
            path = looped(source, Path(folder) / f"long.{suffix}", 60 * minutes)
            with _meter() as first:
                movie = open_movie(str(path))
            facts = movie.facts
            with _meter() as window:
                movie.window(facts.duration / 2)
            movie.close()
            with _meter() as again:
                movie = open_movie(str(path), facts=facts)
            movie.close()
            rows.append(
                {
                    "container": suffix,
                    "minutes": facts.duration / 60,
                    "gigabytes": path.stat().st_size / 1e9,
                    "open_and_probe": first.row,
                    "window": window.row,
                    "open_again": again.row,
                }
            )
            path.unlink()
    return rows


def looped(source: Path, target: Path, seconds: float) -> Path:
    """A longer movie: the packets of ``source`` again and again, with later times, and not in the page cache."""
    packets = packets_of(source)
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
                    # Matroska stores no decoding times; sorted presentation times, early enough, are valid ones.
                    packet.pts, packet.dts, packet.stream = begin + entry.pts, begin + shown - delay, stream
                    out.mux(packet)
    with target.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return target


class _meter:  # noqa: N801 - reads as a verb where it is used
    """Measures wall time and bytes read (page cache or disk) within a block."""

    def __enter__(self) -> _meter:
        self._read, self._begin = _bytes_read(), time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        self.row = {"seconds": time.perf_counter() - self._begin, "megabytes_read": (_bytes_read() - self._read) / 1e6}


def _bytes_read() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


def _cost(wanted: Recipe) -> Row:
    """Cost of all samples of a recipe, preparation included."""
    with _meter() as meter:
        stream = PatchStream(wanted)
        outcomes = [
            (len(outcome.samples), outcome.windows) for run in stream.plan.runs for outcome in stream.run(0, run)
        ]
    slots, seconds = len(outcomes), meter.row["seconds"]
    return {
        "timestamps": slots,
        "samples": sum(samples for samples, _ in outcomes),
        "windows": sum(windows for _, windows in outcomes),
        "seconds": seconds,
        "milliseconds_per_timestamp": 1000 * seconds / slots,
        "megabytes_read_per_timestamp": meter.row["megabytes_read"] / slots,
    }


def tables(quick: bool) -> Iterator[tuple[str, list[Row]]]:
    """All tables of this module, by name."""
    yield "movies", by_movies((1, 3) if quick else (1, 10, 100))
    yield "lengths", by_length((1, 3) if quick else (1, 10, 60))
    yield "opening", opening(2, "720p") if quick else opening(120, "1080p")
