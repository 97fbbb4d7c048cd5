"""The methods that are measured side by side, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import baselines, limit, old_system, ours
from benchmarks.workload import Work


def _nothing() -> str:
    return ""


@dataclass(frozen=True)
class Method:
    """A way to the same samples, or to less."""

    title: str
    prepare: Callable[[Work], Callable[[], dict[str, int]]]
    """Everything that happens once per worker; what it returns is timed, and says what came of it."""
    missing: Callable[[], str] = _nothing
    """Why it cannot be measured here; empty if it can."""
    categories: int = 3
    divisor: int = 1
    """Only every so many timestamps: for methods that would take an hour otherwise."""
    all_cores: bool = False
    """The decoder may use all cores; else one, as in a worker beside others."""


METHODS = {
    "limit": Method("bare decode of the frames needed (the limit)", limit.decode_runs),
    "limit-sweep": Method("the same, whole movie in one sweep", limit.decode_sweep),
    "limit-keyframe": Method("bare decode of the frames needed, align = keyframe", limit.decode_at_keyframes),
    "reader": Method("our reader, pixels untouched", limit.read_windows),
    "live": Method("ours, live", ours.live),
    "live-slices": Method("ours, live, decoder threads on all cores", ours.live, all_cores=True),
    "export-slices": Method("ours, with export, decoder threads on all cores", ours.export, all_cores=True),
    "live-keyframe": Method("ours, live, align = keyframe", ours.live_at_keyframes),
    "live-crops": Method("ours, live, four crops per category", ours.live_four_crops),
    "live-4": Method("ours, live, a fourth category", ours.live, categories=4),
    "export": Method("ours, with export (png)", ours.export),
    "torchcodec": Method(
        "torchcodec in time order, no tone mapping", baselines.torchcodec, baselines.torchcodec_missing
    ),
    "torchcodec-threads": Method(
        "torchcodec in time order, FFmpeg threads on all cores",
        baselines.torchcodec_threads,
        baselines.torchcodec_missing,
        all_cores=True,
    ),
    "torchcodec-items": Method(
        "torchcodec, any order, no tone mapping",
        baselines.torchcodec_items,
        baselines.torchcodec_missing,
        divisor=2,
    ),
    "pyav": Method("PyAV plain, any order, no tone mapping", baselines.pyav_plain, divisor=2),
    "old-timestamp": Method(
        "old system, once per timestamp", old_system.once_per_timestamp, old_system.missing, divisor=2
    ),
    "old-category": Method(
        "old system, once per category", old_system.once_per_category, old_system.missing, divisor=4
    ),
}
