"""The package, as a worker runs it: live samples, and shards on disk."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from benchmarks.workload import Work
from torch_hdrpatches.export import Job
from torch_hdrpatches.export import work as write_shards
from torch_hdrpatches.stream import PatchStream

Counts = dict[str, int]


def live(work: Work) -> Callable[[], Counts]:
    """``PatchStream.run`` over all runs: samples in memory, as a DataLoader's worker makes them."""
    stream = _warm(work)

    def run() -> Counts:
        size = samples = 0
        for part in stream.plan.runs:
            for outcome in stream.run(0, part):
                for sample in outcome.samples:
                    samples += 1
                    size += sample["gt"].nbytes + sample["lq"].nbytes
        return {"samples": samples, "bytes": size}

    return run


def export(work: Work) -> Callable[[], Counts]:
    """A worker's share of ``export``: the runs of one shard, encoded with the default codec, hashed, fsynced."""
    stream = _warm(work)

    def run() -> Counts:
        folder = Path(tempfile.mkdtemp(prefix="shards-", dir=Path(work.movie).parent))
        try:
            write_shards(stream, folder, Job(0, 0, range(len(stream.plan)), tuple(stream.recipe.categories)))
            shards = list(folder.rglob("*.tar"))
            return {"shards": len(shards), "bytes": sum(shard.stat().st_size for shard in shards)}
        finally:
            shutil.rmtree(folder)

    return run


def _warm(work: Work) -> PatchStream:
    """A stream that has looked into its movie and compiled its kernels, which happens once per worker."""
    stream = PatchStream(work.recipe)
    list(islice(stream.run(0, stream.plan.runs[0]), 1))
    return stream
