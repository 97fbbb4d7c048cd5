"""The methods that are measured side by side, by name."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.speed import limit, others, ours
from benchmarks.speed.workload import Counts, Work


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


CORES = len(os.sched_getaffinity(0))
torchcodec = partial(Method, missing=others.torchcodec_missing)
old_system = partial(Method, missing=others.old_system_missing)

METHODS = {
    "limit": Method("bare decode of the frames needed (the limit)", limit.decode_runs),
    "limit-sweep": Method("the same, whole movie in one sweep", limit.decode_sweep),
    "limit-keyframe": Method("bare decode of the frames needed, align = keyframe", limit.decode_at_keyframes),
    "reader": Method("our reader, pixels untouched", limit.read_windows),
    "live": Method("ours, live", ours.live),
    "live-slices": Method("ours, live, decoder threads on all cores", ours.live, all_cores=True),
    "export-slices": Method("ours, with export, decoder threads on all cores", ours.export, all_cores=True),
    "live-keyframe": Method("ours, live, align = keyframe", partial(ours.live, align="keyframe")),
    "live-crops": Method("ours, live, four crops per category", partial(ours.live, crops_per_category=4)),
    "live-4": Method("ours, live, a fourth category", ours.live, categories=4),
    "export": Method("ours, with export (png)", ours.export),
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
