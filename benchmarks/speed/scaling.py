"""Checks that cost depends on timestamps only, not on the number, length or file size of movies."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import av

from benchmarks.speed.films import FILMS, FPS, SLOT_FRAMES, WORK, made
from benchmarks.speed.timing import bytes_read
from benchmarks.speed.workload import outcomes, packets_of, recipe
from torch_hdrpatches.probe import open_movie
from torch_hdrpatches.sampling import PatchStream

Row = dict[str, Any]


def tables(quick: bool) -> Iterator[tuple[str, list[Row]]]:
    """All tables of this module, by name."""
    small, large = made(FILMS["360p"]), made(FILMS["720p" if quick else "1080p"])
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        yield "movies", list(by_movies(small, (1, 3) if quick else (1, 10, 100), Path(folder)))
        yield "lengths", list(by_length(small, (1, 3) if quick else (1, 10, 60), Path(folder)))
        yield "opening", list(opening(large, 2 if quick else 120, Path(folder)))


def by_movies(film: Path, counts: tuple[int, ...], folder: Path) -> Iterator[Row]:
    """The same film under many names, eight timestamps each, probing included."""
    links = [folder / f"{number}.mkv" for number in range(max(counts))]
    for link in links:
        link.symlink_to(film)
    _cost([film], 8)  # compiles kernels
    for count in counts:
        yield {"movies": count, **_cost(links[:count], 8)}


def by_length(film: Path, minutes: tuple[int, ...], folder: Path) -> Iterator[Row]:
    """One film at several lengths: with 24 timestamps, and with one per 58 frames."""
    for length in minutes:
        movie = looped(film, folder / f"{length}-minutes.mkv", 60 * length)
        _cost([movie], 8)
        for slots in dict.fromkeys((24, 60 * length * FPS // SLOT_FRAMES)):
            yield {"minutes": length, **_cost([movie], slots)}
        movie.unlink()


def opening(film: Path, minutes: int, folder: Path) -> Iterator[Row]:
    """Opening a long movie that is not in the page cache, and reading one window in its middle."""
    for suffix in ("mkv", "mp4"):
        path = looped(film, folder / f"long.{suffix}", 60 * minutes)
        movie, first = _metered(partial(open_movie, str(path)))
        facts = movie.facts
        _, window = _metered(partial(movie.window, facts.duration / 2))
        movie.close()
        movie, again = _metered(partial(open_movie, str(path), facts=facts))
        movie.close()
        yield {
            "container": suffix,
            "minutes": facts.duration / 60,
            "gigabytes": path.stat().st_size / 1e9,
            "open_and_probe": first,
            "window": window,
            "open_again": again,
        }
        path.unlink()


def looped(source: Path, target: Path, seconds: float) -> Path:
    """A longer movie: the packets of ``source`` again and again, with later times, and not in the page cache."""
    packets = packets_of(source)
    order = sorted(packet.pts for packet in packets)
    delay = max(shown - packet.pts for shown, packet in zip(order, packets, strict=True))
    with av.open(str(source)) as container, av.open(str(target), "w") as out:
        video = container.streams.video[0]
        assert video.time_base is not None, "a stream has a time base"
        length = round(len(packets) / FPS / video.time_base)
        stream = out.add_stream_from_template(video)
        for begin in range(0, round(seconds / video.time_base), length):
            container.seek(0)
            coming = (packet for packet in container.demux(video) if packet.size)
            for packet, entry, shown in zip(coming, packets, order, strict=True):
                # Matroska stores no decoding times; sorted presentation times, early enough, are valid ones.
                packet.pts, packet.dts, packet.stream = begin + entry.pts, begin + shown - delay, stream
                out.mux(packet)
    with target.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return target


def _metered(call: Callable[[], Any]) -> tuple[Any, Row]:
    """What a call returns, its wall time, and the bytes that it read from the page cache or from disk."""
    read, began = bytes_read(), time.perf_counter()
    result = call()
    return result, {"seconds": time.perf_counter() - began, "megabytes_read": (bytes_read() - read) / 1e6}


def _cost(movies: list[Path], slots: int) -> Row:
    """Cost of all samples of a recipe, preparation included; the crops fit into the film of 360 rows."""

    def counted() -> list[tuple[int, int]]:
        stream = PatchStream(recipe([str(movie) for movie in movies], slots, gt=(180, 180)))
        return [(len(outcome.samples), outcome.windows) for outcome in outcomes(stream)]

    counts, meter = _metered(counted)
    return {
        "timestamps": len(counts),
        "samples": sum(samples for samples, _ in counts),
        "windows": sum(windows for _, windows in counts),
        "seconds": meter["seconds"],
        "milliseconds_per_timestamp": 1000 * meter["seconds"] / len(counts),
        "megabytes_read_per_timestamp": meter["megabytes_read"] / len(counts),
    }
