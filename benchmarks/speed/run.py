"""Runs the speed benchmark: ``python -m benchmarks.speed.run`` or ``make bench``; ``--quick`` for one small round."""

import argparse
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import av

from benchmarks.speed import scaling, storage
from benchmarks.speed.films import FILMS, WORK, described, made
from benchmarks.speed.methods import METHODS
from benchmarks.speed.report import PROCESSES, draw, markdown
from benchmarks.speed.rounds import interleaved, summary
from benchmarks.speed.workload import workload

COMMAND = "python -m benchmarks.speed.run"
PACKAGES = "torch_hdrpatches torch numpy numba av isal imagecodecs pillow webdataset torchcodec opencv-python-headless"
MODULES = {"storage": storage, "scaling": scaling}
LONG_GOP = ("1080p", "2160p")
LONG = ("1080p-long", "2160p-long")
DISC = ("1080p-disc", "2160p-disc")
PROCESSES_ON = dict.fromkeys(LONG_GOP, ("1", "2", "all")) | dict.fromkeys(LONG, ("1", "2"))
"""Numbers of processes by film; other films are measured by one process."""
OLD = ("old-timestamp", "old-category")
"""Methods that run other programs, on all cores anyway."""
ON_LONG = ("limit", "limit-keyframe", "live", "live-keyframe", "export", "torchcodec", "torchcodec-items", *OLD)
ON_DISC = ("limit", "limit-sweep", "reader", "live", "export", "torchcodec", "old-timestamp")
METHODS_ON = dict.fromkeys(LONG, ON_LONG) | dict.fromkeys(DISC, ON_DISC)
"""Methods by film: those for full GOPs and for discs; other films are measured with all methods."""


def main() -> None:
    asked = _arguments()
    out = WORK / "quick" if asked.quick else WORK.parent
    out.mkdir(parents=True, exist_ok=True)
    path = out / "results.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    results["machine"] = machine()
    for name, table in _tables(asked):
        results.setdefault("tables", {})[name] = table
        path.write_text(json.dumps(results, indent=1) + "\n")
        (out / "results.md").write_text(markdown(results))
        draw(results, out / "chart.png")
    print(f"see {out / 'results.md'} and {out / 'chart.png'}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round on a small film, a few minutes in all")
    parser.add_argument("--rounds", type=int, default=5, help="number of interleaved rounds")
    parts = ["films", *MODULES]
    parser.add_argument("--only", nargs="+", choices=parts, default=parts, help="other parts keep their results")
    parser.add_argument("--films", nargs="+", choices=FILMS, default=[*LONG_GOP, *LONG, *DISC])
    parser.add_argument(
        "--processes", nargs="+", choices=PROCESSES, default=[*PROCESSES], help="all: one, on all cores"
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    asked = parser.parse_args()
    if asked.quick:
        asked.rounds, asked.films, asked.processes = 1, ["720p"], ["1"]
    return asked


def machine() -> dict[str, Any]:
    """What the figures depend on, besides the code."""
    changed = _output("git status --porcelain --untracked-files=no")
    names = [line.split(":", 1)[1] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    installed = {package.name.lower().replace("_", "-"): package.version for package in distributions()}
    return {
        "processor": names[0].strip() if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: installed.get(name.replace("_", "-"), "not installed") for name in PACKAGES.split()},
        "libavcodec in PyAV": ".".join(map(str, av.library_versions["libavcodec"])),
        "ffmpeg program": (_output("ffmpeg -version").split() or ["", "", "not installed"])[2],
        # A plus if tracked files differ from the commit; empty outside a repository.
        "commit": _output("git rev-parse --short HEAD") + ("+" if changed else ""),
    }


def _output(command: str) -> str:
    """What a command prints; empty if it is not installed."""
    return subprocess.run(command, shell=True, cwd=WORK.parent, capture_output=True, text=True).stdout.strip()


def _tables(asked: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tables by name, each as soon as it is finished."""
    if "films" in asked.only:
        for film in asked.films:
            for processes in PROCESSES_ON.get(film, ("1",)):
                if processes in asked.processes:
                    yield f"film/{film}/{processes}", _film(film, processes, asked)
    for part, module in MODULES.items():
        if part in asked.only:
            command, began = f"{COMMAND} --only {part}{' --quick' * asked.quick}", _now()
            for name, rows in module.tables(asked.quick):
                print(f"{name}: {len(rows)} rows", flush=True)
                yield name, {"command": command, **began, "rows": rows}
                began = _now()


def _film(film: str, processes: str, asked: argparse.Namespace) -> dict[str, Any]:
    """All methods on one film, interleaved."""
    movie = made(FILMS[film])
    began = _now()
    reasons = {name: METHODS[name].missing() for name in asked.methods if name in METHODS_ON.get(film, METHODS)}
    missing = {name: reason for name, reason in reasons.items() if reason}
    for name, reason in missing.items():
        print(f"{film}: {name} left out: {reason}", flush=True)
    anyway = ("limit", *OLD) if processes == "all" else ()
    fitting = [name for name in reasons if METHODS[name].all_cores == (processes == "all") or name in anyway]
    names = [name for name in fitting if name not in missing]
    works = {count: workload(movie, FILMS[film].slots, count) for count in {METHODS[name].categories for name in names}}
    timings = []
    for timing in interleaved(works, WORK, names, 2 if processes == "2" else 1, asked.rounds):
        timings.append(timing)
        figures = f"{timing['method']:14} {timing['milliseconds']:8.0f} ms per timestamp, {timing['peak_mb']:5.0f} MB"
        print(f"{film}, processes: {processes}, round {timing['round'] + 1}: {figures}", flush=True)
    return {
        "command": f"{COMMAND} --only films --films {film} --processes {processes} --rounds {asked.rounds}",
        **began,
        "film": described(movie),
        "missing": missing,
        "summary": summary(timings, against="limit"),
        "timings": timings,
    }


def _now() -> dict[str, Any]:
    """When a part began, and the load of the machine before; figures are only reliable if it is near 0."""
    return {"began": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "load_before": round(os.getloadavg()[0], 2)}


if __name__ == "__main__":
    main()
