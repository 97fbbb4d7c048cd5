"""Measures methods in processes of their own, in interleaved rounds.

``python -m benchmarks.speed.rounds METHOD WORK.json`` is one measured process: it prepares, waits for a line on stdin,
runs, and reports. Its peak memory is that of a DataLoader's worker.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.speed.methods import CORES, METHODS
from benchmarks.speed.timing import bytes_read, memory_mb
from benchmarks.speed.workload import Work

ROOT = Path(__file__).parents[2]
MEDIANS = ("milliseconds", "cpu_milliseconds", "megabytes_read")
Row = dict[str, Any]


def measure(name: str, work: Path, processes: int, number: int) -> Row:
    """Start the processes, wait until all are prepared, let them run at the same moment, and sum up their reports."""
    command = [sys.executable, "-m", "benchmarks.speed.rounds", name, str(work)]
    threads = CORES if METHODS[name].all_cores else 1
    environment = {**os.environ, "OMP_NUM_THREADS": f"{threads}", "PYTHONPATH": str(ROOT)}
    workers = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    try:
        for worker in workers:
            _line(worker, name)
        for worker in workers:
            print("go", file=worker.stdin, flush=True)
        reports = [json.loads(_line(worker, name)) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    wall = max(report["end"] for report in reports) - min(report["begin"] for report in reports)
    share = 1000 / sum(report["counts"]["timestamps"] for report in reports)
    return {
        "method": name,
        "round": number,
        # Per timestamp of all processes together: two that do 10 timestamps each within 1 s give 50.
        "milliseconds": wall * share,
        "cpu_milliseconds": sum(report["cpu"] for report in reports) * share,
        "peak_mb": max(report["peak_mb"] for report in reports),
        "megabytes_read": max(report["bytes_read"] for report in reports) / 1e6,
        "counts": reports[0]["counts"],
    }


def _line(worker: subprocess.Popen[str], name: str) -> str:
    assert worker.stdout is not None
    if line := worker.stdout.readline():
        return line
    raise RuntimeError(f"the worker of {name!r} ended with exit code {worker.wait()}; its message is above")


def interleaved(
    works: Mapping[int, Work], folder: Path, names: Sequence[str], processes: int, rounds: int
) -> Iterator[Row]:
    """All methods, in another order in each round; ``works`` by number of categories."""
    for number in range(rounds):
        turn = number % len(names)
        for name in [*names[turn:], *names[:turn]]:
            work = works[METHODS[name].categories].thinned(METHODS[name].divisor)
            yield measure(name, work.save(folder / f"work-{name}.json"), processes, number)


def summary(timings: Sequence[Row], against: str) -> dict[str, Row]:
    """Medians by method, and the median of each round's ratio to the method ``against``."""
    base = {timing["round"]: timing["milliseconds"] for timing in timings if timing["method"] == against}
    rows: dict[str, Row] = {}
    for name in METHODS:
        if mine := [timing for timing in timings if timing["method"] == name]:
            ratios = [timing["milliseconds"] / base[timing["round"]] for timing in mine]
            rows[name] = {
                **{field: median(timing[field] for timing in mine) for field in MEDIANS},
                **{"ratio": median(ratios), "ratio_lowest": min(ratios), "ratio_highest": max(ratios)},
                "peak_mb": max(timing["peak_mb"] for timing in mine),
                "counts": mine[-1]["counts"],
            }
    return rows


def run_worker(name: str, work: Path) -> None:
    """Run one method once and print what it took; CPU time includes child processes, peak memory does not."""
    torch.set_num_threads(1)  # as in the workers of a DataLoader
    run = METHODS[name].prepare(Work.load(work))
    print("ready", flush=True)
    sys.stdin.readline()
    cpu, read, begin = sum(os.times()[:4]), bytes_read(), time.perf_counter()
    counts = run()
    report = {
        "begin": begin,
        "end": time.perf_counter(),
        "cpu": sum(os.times()[:4]) - cpu,
        "bytes_read": bytes_read() - read,
        "peak_mb": memory_mb("VmHWM"),
        "counts": counts,
    }
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    run_worker(sys.argv[1], Path(sys.argv[2]))
