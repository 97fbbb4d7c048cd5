"""How fast a recipe's movies are on this machine: workers, decoding against everything else, the shards' codecs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from torch.utils.data import DataLoader

from ..errors import MissingExtraError, NoSamplesError
from ..loading.dataset import HDRPatchDataset
from ..probe.movie_facts import open_movie
from ..recipe.recipe import Recipe
from ..sampling.plan import Run
from ..sampling.sample import Sample
from ..sampling.stream import PatchStream
from ..sampling.sweep import Outcome
from ..shards.codecs import CODECS, decode_image
from ..shards.record import members_of
from ..video.movie import decoder_threads

ENOUGH = 0.95
"""Of the highest rate: the fewest workers that reach it are preferred, for each of them needs memory."""
FEWEST = 12
"""Samples below which a rate says nothing."""
REPEATS = 5


@dataclass(frozen=True, slots=True)
class Rate:
    """What a plain ``DataLoader`` gives."""

    workers: int
    samples_per_second: float
    samples: int
    """Counted."""


@dataclass(frozen=True, slots=True)
class CodecCost:
    """One sample as a record of a shard."""

    codec: str
    encode_ms: float
    decode_ms: float
    kilobytes: float


@dataclass(frozen=True, slots=True)
class Bench:
    """Figures of one machine and its movies."""

    cores: int
    decode_ms: float
    """Per timestamp in one process: reading the windows and nothing else."""
    live_ms: float
    """The same timestamps with everything that makes samples of them."""
    decoder_threads: int
    """Of that process."""
    timestamps: int
    rates: tuple[Rate, ...]
    codecs: tuple[CodecCost, ...]

    @property
    def best(self) -> Rate:
        """The fewest workers that come close to the highest rate."""
        highest = max(rate.samples_per_second for rate in self.rates)
        return next(rate for rate in self.rates if rate.samples_per_second >= ENOUGH * highest)

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        return asdict(self) | {"recommended_workers": self.best.workers}


def bench(recipe: Recipe, *, seconds: float = 10.0) -> Bench:
    """Measure for about ``seconds`` with each number of workers, and as long for the stages.

    Raises:
        MovieError: if a movie gives nothing.
        NoSamplesError: if the movies give too few samples to measure.
    """
    stream = PatchStream(recipe)
    for movie in stream.recipe.movies:
        stream.facts(str(movie.name))  # looked into before any clock runs
    decode_ms, live_ms, timestamps, sample = _stages(stream, seconds)
    cores = os.cpu_count() or 1
    counts = sorted({0, 1, cores, *(2**n for n in range(1, 8) if 2**n < cores)})
    return Bench(
        cores=cores,
        decode_ms=decode_ms,
        live_ms=live_ms,
        decoder_threads=decoder_threads(),
        timestamps=timestamps,
        rates=tuple(_rate(HDRPatchDataset(recipe), count, seconds) for count in counts),
        codecs=tuple(_codecs(sample)),
    )


def _stages(stream: PatchStream, seconds: float) -> tuple[float, float, int, Sample]:
    """Milliseconds per timestamp of decoding and of all; the timestamps; a sample."""
    runs = [stream.plan.runs[position] for position in stream.plan.order(0)]
    list(stream.run(0, runs[0]))  # compiles, and takes the memory
    decoding = making = 0.0
    given: list[Outcome] = []
    for run in runs:
        began = time.perf_counter()
        outcomes = [outcome for outcome in stream.run(0, run) if outcome.samples]
        making += time.perf_counter() - began
        given += outcomes
        decoding += _decoding(stream, run, [outcome.samples[0]["seconds"] for outcome in outcomes])
        if making + decoding > seconds:
            break
    if not given:
        raise NoSamplesError(f"{seconds:g} seconds gave no sample to measure; see what `hdrpatches plan` says")
    return 1000 * decoding / len(given), 1000 * making / len(given), len(given), given[0].samples[0]


def _decoding(stream: PatchStream, run: Run, moments: list[float]) -> float:
    facts, frames = stream.facts(run.name), stream.recipe.sampling.frames
    began = time.perf_counter()
    with open_movie(run.movie.path, assume=run.movie.assume, facts=facts, threads=decoder_threads()) as movie:
        for moment in moments:
            movie.window(moment, frames)
    return time.perf_counter() - began


def _rate(dataset: HDRPatchDataset, workers: int, seconds: float) -> Rate:
    began = now = 0.0
    samples = -1
    for _ in DataLoader(dataset, batch_size=None, num_workers=workers):
        now = time.perf_counter()
        began = began or now  # from the first sample on: workers start once
        samples += 1
        if now - began > seconds:
            break
    if samples < FEWEST:
        raise NoSamplesError(
            f"{samples + 1} samples with {workers} workers are too few to measure; give more seconds or timestamps"
        )
    return Rate(workers, samples / (now - began), samples)


def _codecs(sample: Sample) -> Iterator[CodecCost]:
    for codec in CODECS:
        try:
            times = [_coded(sample, codec) for _ in range(REPEATS)]
        except MissingExtraError:  # not installed: nothing to compare
            continue
        encoding, decoding, sizes = zip(*times, strict=True)
        yield CodecCost(codec, 1000 * median(encoding), 1000 * median(decoding), sizes[0] / 1000)


def _coded(sample: Sample, codec: str) -> tuple[float, float, int]:
    """Seconds to encode, seconds to decode, bytes."""
    began = time.perf_counter()
    pictures = [data for name, data in members_of(sample, codec).items() if name.endswith(codec)]
    between = time.perf_counter()
    for data in pictures:
        decode_image(data, codec)
    return between - began, time.perf_counter() - between, sum(map(len, pictures))
