"""The package as a worker runs it: live samples, and shards on disk."""

import tempfile
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.speed.workload import Counts, Work
from torch_hdrpatches import Recipe
from torch_hdrpatches.exporter.job import Job
from torch_hdrpatches.exporter.job import work as write_shards
from torch_hdrpatches.sampling import PatchStream
from torch_hdrpatches.shards.record import members_of
from torch_hdrpatches.storage.folder import Folder


def live(work: Work, **sampling: Any) -> Callable[[], Counts]:
    """``PatchStream.run`` over all runs: samples in memory, as a DataLoader's worker makes them."""
    stream = _warm(work.recipe(**sampling))

    def run() -> Counts:
        counts = {"timestamps": 0, "samples": 0, "bytes": 0}
        for outcome in chain.from_iterable(stream.run(0, part) for part in stream.plan.runs):
            counts["timestamps"] += bool(outcome.samples)
            counts["samples"] += len(outcome.samples)
            counts["bytes"] += sum(sample["gt"].nbytes + sample["lq"].nbytes for sample in outcome.samples)
        return counts

    return run


def export(work: Work) -> Callable[[], Counts]:
    """A worker's share of ``export``: one shard per category, encoded with the default codec, hashed and fsynced."""
    stream = _warm(work.recipe())

    def run() -> Counts:
        job = Job(0, 0, range(len(stream.plan)), tuple(stream.recipe.categories))
        with tempfile.TemporaryDirectory(prefix="shards-", dir=Path(work.movie).parent) as folder:
            write_shards(stream, Folder.of(folder), job)
            return work.counts(sum(shard.stat().st_size for shard in Path(folder).rglob("*.tar")))

    return run


def _warm(recipe: Recipe) -> PatchStream:
    """A stream with its movie probed and its kernels compiled, which happens once per worker."""
    stream = PatchStream(recipe)
    for sample in next(stream.run(0, stream.plan.runs[0])).samples:
        members_of(sample, recipe.shards.codec)
    return stream
