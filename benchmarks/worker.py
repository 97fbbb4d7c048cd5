"""One measured process: ``python -m benchmarks.worker METHOD WORK.json`` prepares, waits for a line, runs, reports.

A process of its own for each measurement, so that its peak memory is its own, as that of a DataLoader's worker is.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.methods import METHODS
from benchmarks.workload import Work


def main(name: str, work: Path) -> None:
    torch.set_num_threads(1)  # as DataLoader has it in its workers
    run = METHODS[name].prepare(Work.load(work))
    print("ready", flush=True)
    sys.stdin.readline()
    cpu, read, begin = _cpu_seconds(), _bytes_read(), time.perf_counter()
    counts = run()
    end = time.perf_counter()
    report: dict[str, Any] = {
        "begin": begin,
        "end": end,
        "cpu": _cpu_seconds() - cpu,
        "bytes_read": _bytes_read() - read,
        "peak_kb": _peak_kb(),
        "counts": counts,
    }
    print(json.dumps(report), flush=True)


def _cpu_seconds() -> float:
    """Of this process and of the programs that it has run."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _bytes_read() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


def _peak_kb() -> int:
    # Not ru_maxrss: that begins with what the parent had when it started this process.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
