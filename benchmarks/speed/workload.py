"""The work that every method does: the same windows of the same movie, and the same crops from each."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, combinations
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple, Self

import av

from torch_hdrpatches import Recipe
from torch_hdrpatches.sampling import Outcome, PatchStream
from torch_hdrpatches.sampling.plan import SLOTS_PER_RUN

FRAMES = 7
Counts = dict[str, int]


class Packet(NamedTuple):
    """One packet of an HEVC movie."""

    pts: int
    key: bool
    needless: bool
    """No other frame refers to it: H.265 7.4.2.2, an even type below 16 in the highest sub-layer."""


def packets_of(movie: Path) -> list[Packet]:
    """All packets of the video stream in decoding order; independent of the package's own reader, to check it."""
    with av.open(str(movie)) as container:
        heads = [
            (packet.pts or 0, packet.is_keyframe, *_slice_head(bytes(packet)))
            for packet in container.demux(video=0)
            if packet.size
        ]
    top = max(layer for *_, layer in heads)
    return [Packet(pts, key, kind < 16 and kind % 2 == 0 and layer == top) for pts, key, kind, layer in heads]


def _slice_head(data: bytes) -> tuple[int, int]:
    """Type and temporal layer of the first slice in a packet of Matroska or MP4: lengths precede its NAL units."""
    at = 4
    while (kind := data[at] >> 1 & 63) >= 32:  # not a slice
        at += int.from_bytes(data[at - 4 : at], "big") + 4
    return kind, (data[at + 1] & 7) - 1


@dataclass(frozen=True)
class Stop:
    """One timestamp with samples."""

    slot: int
    attempts: Sequence[float]
    """Seconds of every window that was decoded for it: the refused ones, then the accepted one."""
    first: int
    """Number of the accepted window's first frame, in presentation order."""
    preroll: int
    """Frames from the keyframe before the accepted window to its end."""
    boxes: Sequence[Sequence[int]]
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
    stops: Sequence[Stop]

    @property
    def scale(self) -> int:
        """Decoded pixels per working pixel."""
        return max(1, self.height // 1080)

    @property
    def runs(self) -> list[list[Stop]]:
        """The stops of each run: eight neighbouring slots, as workers get them."""
        parts = (range(first, first + SLOTS_PER_RUN) for first in range(0, self.slots, SLOTS_PER_RUN))
        return [[stop for stop in self.stops if stop.slot in part] for part in parts]

    def recipe(self, **sampling: Any) -> Recipe:
        """The recipe of this work; ``sampling`` changes its settings."""
        return recipe([self.movie], self.slots, self.categories, sampling=sampling)

    def counts(self, size: int) -> Counts:
        """What a method reports after all stops, with samples of ``size`` bytes in all."""
        return {"timestamps": len(self.stops), "samples": len(self.stops) * self.categories, "bytes": size}

    def thinned(self, divisor: int) -> Self:
        """A part of the stops, for slow methods; its mean preroll is as near as possible to that of all."""
        wanted = fmean(stop.preroll for stop in self.stops)
        parts = combinations(self.stops, max(1, len(self.stops) // divisor))
        return replace(self, stops=min(parts, key=lambda part: abs(fmean(stop.preroll for stop in part) - wanted)))

    def save(self, path: Path) -> Path:
        path.write_text(json.dumps(asdict(self), indent=1))
        return path

    @classmethod
    def load(cls, path: Path) -> Self:
        fields = json.loads(path.read_text())
        return cls(**{**fields, "stops": [Stop(**stop) for stop in fields["stops"]]})


def recipe(movies: list[str], slots: int, categories: int = 3, gt: tuple[int, int] = (540, 540), **more: Any) -> Recipe:
    """A recipe of default settings, except ``more``; each category has one format."""
    names = ("master", "universal", "space", "toon")[:categories]
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


def outcomes(stream: PatchStream, categories: Collection[str] | None = None) -> Iterator[Outcome]:
    """Of all slots of the first epoch; without categories, windows are read and no samples are cut."""
    return chain.from_iterable(stream.run(0, run, categories) for run in stream.plan)


def workload(movie: Path, slots: int, categories: int = 3) -> Work:
    """The work of a movie, from one untimed run of the stream. Slots without samples are left out."""
    stream = PatchStream(recipe([str(movie)], slots, categories))
    facts, sampling = stream.facts("movie-0"), stream.recipe.sampling
    packets = sorted(packets_of(movie))  # by pts
    keys = [number for number, packet in enumerate(packets) if packet.key]
    stops = []
    for run in stream.plan:
        for slot, outcome in zip(run.slots, stream.run(0, run), strict=True):
            if outcome.failure:
                raise outcome.failure
            if not outcome.samples:
                continue
            planned = slot.seconds(stream.recipe.seed, 0, sampling.jitter, facts.duration)
            first = round((outcome.samples[0]["frame_pts"][0] - facts.start) * facts.fps)
            stops.append(
                Stop(
                    slot=slot.index,
                    attempts=[(planned + sampling.retry_skip * n) % facts.duration for n in range(outcome.windows)],
                    first=first,
                    preroll=first + FRAMES - max(key for key in keys if key <= first),
                    boxes=[sample["crop"] for sample in outcome.samples],
                )
            )
    return Work(str(movie), facts.height, facts.width, facts.fps, slots, categories, stops)
