"""What the cost depends on: timestamps, and not the number of movies, their length, or the size of their files."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.loops import looped
from benchmarks.sources import FILMS, FPS, SLOT_FRAMES, WORK, made
from benchmarks.workload import recipe
from torch_hdrpatches import Recipe
from torch_hdrpatches.probe import open_movie
from torch_hdrpatches.sampling import PatchStream

Row = dict[str, Any]

PATCH = (180, 180)
"""A crop that fits into the small film that is repeated here."""


def by_movies(counts: tuple[int, ...]) -> list[Row]:
    """The same film under so many names, eight timestamps each; probing every movie is part of it."""
    film = FILMS["360p"]
    source = made(film)
    rows = []
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        links = [Path(folder) / f"{number}.mkv" for number in range(max(counts))]
        for link in links:
            link.symlink_to(source)
        _cost(recipe([str(source)], film.slots, gt=PATCH))  # kernels compile once
        for count in counts:
            row = _cost(recipe([str(link) for link in links[:count]], film.slots, gt=PATCH))
            rows.append({"movies": count, **row})
    return rows


def by_length(minutes: tuple[int, ...]) -> list[Row]:
    """One film, longer and longer: with 24 timestamps, and with one per 58 frames."""
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
    """Opening a long movie that is not in memory, and one window in its middle."""
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


class _meter:  # noqa: N801 - reads as a verb where it is used
    """Wall time and bytes read, from page cache or disk, within a block."""

    def __enter__(self) -> _meter:
        self._read, self._begin = _bytes_read(), time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        self.row = {"seconds": time.perf_counter() - self._begin, "megabytes_read": (_bytes_read() - self._read) / 1e6}


def _bytes_read() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


def _cost(wanted: Recipe) -> Row:
    """All samples of a recipe, once, from nothing."""
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
    """All tables of this file, by name."""
    yield "movies", by_movies((1, 3) if quick else (1, 10, 100))
    yield "lengths", by_length((1, 3) if quick else (1, 10, 60))
    yield "opening", opening(2, "720p") if quick else opening(120, "1080p")
