"""The package as a worker runs it: live samples, and shards on disk."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from itertools import islice
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
        size = samples = timestamps = 0
        for part in stream.plan.runs:
            for outcome in stream.run(0, part):
                timestamps += bool(outcome.samples)
                for sample in outcome.samples:
                    samples += 1
                    size += sample["gt"].nbytes + sample["lq"].nbytes
        return {"timestamps": timestamps, "samples": samples, "bytes": size}

    return run


def export(work: Work) -> Callable[[], Counts]:
    """A worker's share of ``export``: one shard per category, encoded with the default codec, hashed and fsynced."""
    stream = _warm(work.recipe())

    def run() -> Counts:
        folder = Path(tempfile.mkdtemp(prefix="shards-", dir=Path(work.movie).parent))
        try:
            write_shards(stream, Folder.of(folder), Job(0, 0, range(len(stream.plan)), tuple(stream.recipe.categories)))
            shards = list(folder.rglob("*.tar"))
            return work.counts(sum(shard.stat().st_size for shard in shards))
        finally:
            shutil.rmtree(folder)

    return run


def _warm(recipe: Recipe) -> PatchStream:
    """A stream with its movie probed and its kernels compiled, which happens once per worker."""
    stream = PatchStream(recipe)
    for outcome in islice(stream.run(0, stream.plan.runs[0]), 1):
        for sample in outcome.samples:
            members_of(sample, recipe.shards.codec)
    return stream
