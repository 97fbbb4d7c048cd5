"""Times functions in interleaved rounds, and reads what the kernel counts for a process."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

Name = TypeVar("Name")


def interleaved(
    variants: Mapping[Name, Callable[[], Any]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[Name, list[float]]:
    """Seconds of each variant in each round, after one round that only compiles kernels and fills caches."""
    seconds: dict[Name, list[float]] = {name: [] for name in variants}
    for _ in range(rounds + 1):
        for name, run in variants.items():
            began = clock()
            run()
            seconds[name].append(clock() - began)
    return {name: times[1:] for name, times in seconds.items()}


def bytes_read() -> int:
    """Bytes that this process has read so far, from the page cache or from disk."""
    return int(Path("/proc/self/io").read_text().split()[1])


def memory_mb(field: str, process: int | str = "self") -> float:
    """Resident memory (``VmRSS``) or its peak (``VmHWM``); ``ru_maxrss`` of a child starts at its parent's memory."""
    return int(Path(f"/proc/{process}/status").read_text().split(f"{field}:")[1].split()[0]) / 1024
