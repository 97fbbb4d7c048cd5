"""The methods that are measured side by side, by name; here are the package's own: live samples, and shards on disk."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed import limit, others
from benchmarks.speed.workload import Counts, Work, outcomes
from torch_hdrpatches import Recipe
from torch_hdrpatches.exporter.job import Job
from torch_hdrpatches.exporter.job import work as write_shards
from torch_hdrpatches.sampling import PatchStream
from torch_hdrpatches.shards.record import members_of
from torch_hdrpatches.storage.folder import Folder


@dataclass(frozen=True)
class Method:
    """One way to the same samples, or to a part of the work."""

    title: str
    prepare: Callable[[Work], Callable[[], Counts]]
    """Does what happens once per worker; the function that it returns is timed."""
    missing: Callable[[], str] = str
    """Why it cannot be measured here; empty if it can."""
    categories: int = 3
    divisor: int = 1
    """Only every ``divisor``-th timestamp, for slow methods."""
    all_cores: bool = False
    """The decoder may use all cores; otherwise one, as in a worker beside others."""


def live(work: Work, **sampling: Any) -> Callable[[], Counts]:
    """``PatchStream.run`` over all runs: samples in memory, as a DataLoader's worker makes them."""
    stream = _warm(work.recipe(**sampling))

    def run() -> Counts:
        counts = {"timestamps": 0, "samples": 0, "bytes": 0}
        for outcome in outcomes(stream):
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
    for sample in next(stream.run(0, stream.plan.run(0))).samples:
        members_of(sample, recipe.shards.codec)
    return stream


CORES = len(os.sched_getaffinity(0))
torchcodec = partial(Method, missing=others.torchcodec_missing)
old_system = partial(Method, missing=others.old_system_missing)

METHODS = {
    "limit": Method("bare decode of the frames needed (the limit)", limit.decode_runs),
    "limit-sweep": Method("the same, whole movie in one sweep", limit.decode_sweep),
    "limit-keyframe": Method("bare decode of the frames needed, align = keyframe", limit.decode_at_keyframes),
    "reader": Method("our reader, pixels untouched", limit.read_windows),
    "live": Method("ours, live", live),
    "live-slices": Method("ours, live, decoder threads on all cores", live, all_cores=True),
    "export-slices": Method("ours, with export, decoder threads on all cores", export, all_cores=True),
    "live-keyframe": Method("ours, live, align = keyframe", partial(live, align="keyframe")),
    "live-crops": Method("ours, live, four crops per category", partial(live, crops_per_category=4)),
    "live-4": Method("ours, live, a fourth category", live, categories=4),
    "export": Method("ours, with export (png)", export),
    "torchcodec": torchcodec("torchcodec in time order, no tone mapping", others.torchcodec),
    "torchcodec-threads": torchcodec(
        "torchcodec in time order, FFmpeg threads on all cores",
        partial(others.torchcodec, threads=CORES),
        all_cores=True,
    ),
    "torchcodec-items": torchcodec(
        "torchcodec, any order, no tone mapping", partial(others.torchcodec, in_order=False), divisor=2
    ),
    "pyav": Method("PyAV plain, any order, no tone mapping", others.pyav_plain, divisor=2),
    "old-timestamp": old_system("old system, once per timestamp", others.old_system, divisor=2),
    "old-category": old_system(
        "old system, once per category", partial(others.old_system, per_category=True), divisor=4
    ),
}
