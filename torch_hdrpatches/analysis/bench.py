"""Measures this machine on a recipe's movies: samples per second by number of workers, decoding time, shard codecs."""

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
from ..sampling.sample import Sample
from ..sampling.stream import PatchStream
from ..shards.codecs import CODECS, decode_image
from ..shards.record import members_of
from ..video.movie import decoder_threads

ENOUGH = 0.95
"""Share of the highest rate: the fewest workers that reach it are recommended, as each of them needs memory."""


@dataclass(frozen=True, slots=True)
class Rate:
    """The rate of a plain ``DataLoader``, and the number of samples that were measured."""

    workers: int
    samples_per_second: float
    samples: int


@dataclass(frozen=True, slots=True)
class CodecCost:
    """The cost of one sample as a shard record."""

    codec: str
    encode_ms: float
    decode_ms: float
    kilobytes: float


@dataclass(frozen=True, slots=True)
class Bench:
    """The measurements."""

    cores: int
    decode_ms: float
    """Per timestamp in one process: decoding of the windows only."""
    live_ms: float
    """Per timestamp in one process: everything that makes samples."""
    decoder_threads: int
    timestamps: int
    rates: tuple[Rate, ...]
    codecs: tuple[CodecCost, ...]

    @property
    def best(self) -> Rate:
        """The rate of the recommended number of workers."""
        highest = max(rate.samples_per_second for rate in self.rates)
        return next(rate for rate in self.rates if rate.samples_per_second >= ENOUGH * highest)

    def to_json(self) -> dict[str, Any]:
        """All fields, JSON-able."""
        return asdict(self) | {"recommended_workers": self.best.workers}


def bench(recipe: Recipe, *, seconds: float = 10.0) -> Bench:
    """Measure for about ``seconds`` with each number of workers, and as long in one process without workers.

    Raises:
        MovieError: if a movie cannot be used.
        NoSamplesError: if the movies give too few samples to measure.
    """
    stream = PatchStream(recipe)
    for movie in stream.recipe.movies:
        stream.facts(movie.name)  # probed before any clock runs
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
        codecs=tuple(_codec_costs(sample)),
    )


def _stages(stream: PatchStream, seconds: float) -> tuple[float, float, int, Sample]:
    """Milliseconds per timestamp of decoding and in all; the number of timestamps; a sample."""
    list(stream.run(0, stream.plan.run_at(0, 0)))  # compiles, and allocates memory
    decoding = live = 0.0
    samples: list[Sample] = []
    for position in range(len(stream.plan)):
        run, began = stream.plan.run_at(0, position), time.perf_counter()
        found = [outcome.samples[0] for outcome in stream.run(0, run) if outcome.samples]
        live += time.perf_counter() - began
        facts, began = stream.facts(run.name), time.perf_counter()
        with open_movie(run.movie.path, assume=run.movie.assume, facts=facts, threads=decoder_threads()) as movie:
            for sample in found:
                movie.window(sample["seconds"], stream.recipe.sampling.frames)
        decoding += time.perf_counter() - began
        samples += found
        if live + decoding > seconds:
            break
    if not samples:
        raise NoSamplesError(f"no samples in {seconds:g} seconds; `hdrpatches plan` shows why")
    return 1000 * decoding / len(samples), 1000 * live / len(samples), len(samples), samples[0]


def _rate(dataset: HDRPatchDataset, workers: int, seconds: float) -> Rate:
    began = now = 0.0
    samples = -1  # the first sample starts the clock, as workers take a while to start
    for _ in DataLoader(dataset, batch_size=None, num_workers=workers):
        now = time.perf_counter()
        began = began or now
        samples += 1
        if now - began > seconds:
            break
    if samples < 12:
        raise NoSamplesError(
            f"{samples + 1} samples with {workers} workers are too few to measure; give more seconds or timestamps"
        )
    return Rate(workers, samples / (now - began), samples)


def _codec_costs(sample: Sample) -> Iterator[CodecCost]:
    for codec in CODECS:
        try:
            costs = [_codec_cost(sample, codec) for _ in range(5)]
        except MissingExtraError:  # this codec is not installed
            continue
        encoding, decoding, sizes = zip(*costs, strict=True)
        yield CodecCost(codec, 1000 * median(encoding), 1000 * median(decoding), sizes[0] / 1000)


def _codec_cost(sample: Sample, codec: str) -> tuple[float, float, int]:
    """Seconds to encode, seconds to decode, bytes."""
    began = time.perf_counter()
    images = [data for name, data in members_of(sample, codec).items() if name.endswith(codec)]
    between = time.perf_counter()
    for data in images:
        decode_image(data, codec)
    return between - began, time.perf_counter() - between, sum(map(len, images))
