"""Interleaved rounds: every method once per round, in another order each time, so that all see the same machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.methods import METHODS
from benchmarks.workload import Work

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Timing:
    """One method, once."""

    method: str
    round: int
    milliseconds: float
    """Wall time per timestamp given, of all processes together: 2 processes in 1 s that did 10 each give 50."""
    cpu_milliseconds: float
    """CPU time per timestamp, of the programs that were run as well."""
    peak_mb: float
    """Resident memory of the largest worker at its peak; the programs that it ran come on top."""
    megabytes_read: float
    """Per process, as the kernel counts reads, from the page cache as well."""
    counts: dict[str, int]


def measure(name: str, work: Path, processes: int, number: int) -> Timing:
    """Start the processes, wait until all are prepared, let them go at once."""
    command = [sys.executable, "-m", "benchmarks.worker", name, str(work)]
    cores = len(os.sched_getaffinity(0)) if METHODS[name].all_cores else 1
    environment = {**os.environ, "OMP_NUM_THREADS": f"{cores}", "PYTHONPATH": str(ROOT)}
    workers = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    try:
        for worker in workers:
            _line(worker, name)
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        reports = [json.loads(_line(worker, name)) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    wall = max(report["end"] for report in reports) - min(report["begin"] for report in reports)
    share = 1000 / sum(report["counts"]["timestamps"] for report in reports)
    return Timing(
        method=name,
        round=number,
        milliseconds=wall * share,
        cpu_milliseconds=sum(report["cpu"] for report in reports) * share,
        peak_mb=max(report["peak_kb"] for report in reports) / 1024,
        megabytes_read=max(report["bytes_read"] for report in reports) / 1e6,
        counts=reports[0]["counts"],
    )


def _line(worker: subprocess.Popen[str], name: str) -> str:
    assert worker.stdout is not None
    line = worker.stdout.readline()
    if not line:
        raise RuntimeError(f"the worker of {name!r} ended with {worker.wait()}; its message stands above")
    return line


def interleaved(
    works: dict[int, Work], folder: Path, names: Sequence[str], processes: int, rounds: int
) -> Iterator[Timing]:
    """All methods, ``rounds`` times. ``works``: by number of categories."""
    for number in range(rounds):
        turn = number % len(names)
        for name in [*names[turn:], *names[:turn]]:
            method = METHODS[name]
            work = works[method.categories].thinned(method.divisor)
            path = work.save(folder / f"work-{name}.json")
            yield measure(name, path, processes, number)


def summary(timings: Sequence[Timing], against: str) -> dict[str, dict[str, Any]]:
    """Medians by method, and the median of each round's ratio to the method ``against``."""
    base = {timing.round: timing.milliseconds for timing in timings if timing.method == against}
    rows: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(timing.method for timing in sorted(timings, key=lambda t: list(METHODS).index(t.method))):
        mine = [timing for timing in timings if timing.method == name]
        ratios = [timing.milliseconds / base[timing.round] for timing in mine]
        rows[name] = {
            "milliseconds": median(timing.milliseconds for timing in mine),
            "cpu_milliseconds": median(timing.cpu_milliseconds for timing in mine),
            "ratio": median(ratios),
            "ratio_lowest": min(ratios),
            "ratio_highest": max(ratios),
            "peak_mb": max(timing.peak_mb for timing in mine),
            "megabytes_read": median(timing.megabytes_read for timing in mine),
            "counts": mine[-1].counts,
        }
    return rows
