"""What every method has to give: the same windows of the same movie, and the same crops from each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from benchmarks.packets import table
from torch_hdrpatches import Recipe
from torch_hdrpatches.sampling import PatchStream
from torch_hdrpatches.sampling.plan import SLOTS_PER_RUN

FRAMES = 7
CATEGORIES = ("master", "universal", "space", "toon")


@dataclass(frozen=True)
class Stop:
    """One timestamp that gave samples."""

    slot: int
    attempts: tuple[float, ...]
    """Seconds of every window that was decoded for it: those refused, then the one that was accepted."""
    first: int
    """Number of the accepted window's first frame, in presentation order."""
    preroll: int
    """Frames from the keyframe before the accepted window to its end."""
    boxes: tuple[tuple[int, int, int, int], ...]
    """Top, left, height, width of each category's crop, in working pixels."""


@dataclass(frozen=True)
class Work:
    """The timestamps of one movie."""

    movie: str
    height: int
    width: int
    fps: float
    slots: int
    categories: int
    stops: tuple[Stop, ...]

    @property
    def scale(self) -> int:
        """Decoded pixels per working pixel."""
        return max(1, self.height // 1080)

    @property
    def runs(self) -> Iterator[tuple[Stop, ...]]:
        """The stops as they are dealt to workers: eight neighbouring slots at a time."""
        for first in range(0, self.slots, SLOTS_PER_RUN):
            yield tuple(stop for stop in self.stops if first <= stop.slot < first + SLOTS_PER_RUN)

    def recipe(self, **sampling: Any) -> Recipe:
        """The recipe that gives this work; with other settings for sampling it gives something else."""
        return recipe([self.movie], self.slots, self.categories, sampling=sampling)

    def thinned(self, divisor: int) -> Work:
        """A part of the stops for methods that take very long: those whose mean preroll is nearest to that of all."""
        mean = sum(stop.preroll for stop in self.stops) / len(self.stops)
        count = max(1, len(self.stops) // divisor)
        chosen = min(
            combinations(self.stops, count), key=lambda some: abs(sum(stop.preroll for stop in some) / count - mean)
        )
        return replace(self, stops=chosen)

    def save(self, path: Path) -> Path:
        path.write_text(json.dumps(asdict(self), indent=1))
        return path

    @classmethod
    def load(cls, path: Path) -> Work:
        fields = json.loads(path.read_text())
        stops = tuple(
            Stop(**{**stop, "attempts": tuple(stop["attempts"]), "boxes": tuple(map(tuple, stop["boxes"]))})
            for stop in fields.pop("stops")
        )
        return cls(**fields, stops=stops)


def recipe(movies: list[str], slots: int, categories: int = 3, gt: tuple[int, int] = (540, 540), **more: Any) -> Recipe:
    """Categories of one format each, and the default settings but for ``more``."""
    names = CATEGORIES[:categories]
    return Recipe.from_dict(
        {
            "formats": {"patch": {"gt": gt}},
            "categories": {name: {"formats": {"patch": 1.0}} for name in names},
            "movies": [
                {"path": path, "name": f"movie-{number}", "categories": list(names), "timestamps": slots}
                for number, path in enumerate(movies)
            ],
            **more,
        }
    )


def workload(movie: Path, slots: int, categories: int = 3) -> Work:
    """What the stream gives for a movie: run once, untimed. Slots without samples are no part of the work."""
    stream = PatchStream(recipe([str(movie)], slots, categories))
    facts = stream.facts("movie-0")
    skip = stream.recipe.sampling.retry_skip
    packets = table(movie)
    order = sorted(packet.pts for packet in packets)
    keys = [packet.pts for packet in packets if packet.key]
    stops = []
    for run in stream.plan.runs:
        for slot, outcome in zip(run.slots, stream.run(0, run), strict=True):
            if outcome.failure:
                raise outcome.failure
            if not outcome.samples:
                continue
            planned = slot.seconds(stream.recipe.seed, 0, stream.recipe.sampling.jitter, facts.duration)
            sample = outcome.samples[0]
            first = round((sample["frame_pts"][0] - facts.start) * facts.fps)
            key = max(pts for pts in keys if pts <= order[first])
            stops.append(
                Stop(
                    slot=slot.index,
                    attempts=tuple((planned + skip * n) % facts.duration for n in range(outcome.windows)),
                    first=first,
                    preroll=first + FRAMES - order.index(key),
                    boxes=tuple(sample["crop"] for sample in outcome.samples),
                )
            )
    return Work(str(movie), facts.height, facts.width, facts.fps, slots, categories, tuple(stops))
