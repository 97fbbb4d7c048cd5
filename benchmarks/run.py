"""The whole benchmark: ``python -m benchmarks.run``, or ``make bench``; ``--quick`` for one small round."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import pictures, scaling
from benchmarks.chart import draw
from benchmarks.machine import machine
from benchmarks.methods import METHODS
from benchmarks.report import markdown
from benchmarks.rounds import interleaved, summary
from benchmarks.sources import FILMS, WORK, described, made
from benchmarks.workload import workload

PARTS = ("films", "pictures", "scaling")
LONG_GOP = ("1080p", "2160p")
LONG = ("1080p-long", "2160p-long")
DISC = ("1080p-disc", "2160p-disc")
PROCESSES_ON = dict.fromkeys(LONG_GOP, ("1", "2", "all")) | dict.fromkeys(LONG, ("1", "2"))
"""The processes that measure a film; one where it is not here."""
OLD = ("old-timestamp", "old-category")
"""They run other programs, which take all cores anyway."""
ON_LONG = ("limit", "limit-keyframe", "live", "live-keyframe", "export", "torchcodec", "torchcodec-items", *OLD)
"""Methods that are measured where a GOP has its full 250 frames, cuts or no cuts."""
ON_DISC = ("limit", "limit-sweep", "reader", "live", "export", "torchcodec", "old-timestamp")
"""Methods that are measured on the disc-like films too; the rest takes long and teaches little there."""


def main() -> None:
    asked = _arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / "results.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    results["machine"] = machine()
    for name, table in _tables(asked):
        results.setdefault("tables", {})[name] = table
        path.write_text(json.dumps(results, indent=1) + "\n")
        (asked.out / "results.md").write_text(markdown(results))
        if name.startswith("film"):
            draw(results, asked.out / "chart.png")
    print(f"look at {asked.out / 'results.md'} and {asked.out / 'chart.png'}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round on a small film, a few minutes in all")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds, of which medians are taken")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to run; others are kept")
    parser.add_argument("--films", nargs="+", choices=FILMS, default=[*LONG_GOP, *LONG, *DISC])
    parser.add_argument(
        "--processes", nargs="+", choices=["1", "2", "all"], default=["1", "2", "all"], help="all: one, on all cores"
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--out", type=Path, help="folder for results.json, results.md and chart.png")
    asked = parser.parse_args()
    if asked.quick:
        asked.rounds, asked.films, asked.processes = 1, ["720p"], ["1"]
    asked.out = asked.out or (WORK / "quick" if asked.quick else WORK.parent)
    return asked


def _tables(asked: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tables as they are finished, by name."""
    if "films" in asked.only:
        for film in asked.films:
            for processes in (one for one in asked.processes if one in PROCESSES_ON.get(film, ("1",))):
                yield f"film/{film}/{processes}", _film(film, processes, asked)
    for part, module in (("pictures", pictures), ("scaling", scaling)):
        if part in asked.only:
            command = f"python -m benchmarks.run --only {part}" + " --quick" * asked.quick
            tables = module.tables(asked.quick)
            while True:
                began = _now()
                name, rows = next(tables, ("", []))
                if not name:
                    break
                print(f"{name}: {len(rows)} rows", flush=True)
                yield name, {"command": command, **began, "rows": rows}


def _film(film: str, processes: str, asked: argparse.Namespace) -> dict[str, Any]:
    """All methods on one film, interleaved."""
    movie = made(FILMS[film])
    began = _now()
    fitting = ON_DISC if film in DISC else ON_LONG if film in LONG else tuple(METHODS)
    missing = {name: METHODS[name].missing() for name in asked.methods if name in fitting}
    names = [name for name, reason in missing.items() if not reason]
    if processes == "all":
        names = [name for name in names if METHODS[name].all_cores or name in ("limit", *OLD)]
    else:
        names = [name for name in names if not METHODS[name].all_cores]
    for name, reason in missing.items():
        if reason:
            print(f"{film}: {name} is left out: {reason}", flush=True)
    works = {count: workload(movie, FILMS[film].slots, count) for count in {METHODS[name].categories for name in names}}
    timings = []
    for timing in interleaved(works, WORK, names, 2 if processes == "2" else 1, asked.rounds):
        timings.append(timing)
        print(
            f"{film}, processes: {processes}, round {timing.round + 1}: {timing.method:14} "
            f"{timing.milliseconds:8.0f} ms per timestamp, {timing.peak_mb:5.0f} MB",
            flush=True,
        )
    command = f"python -m benchmarks.run --only films --films {film} --processes {processes} --rounds {asked.rounds}"
    return {
        "command": command,
        **began,
        "film": described(movie),
        "missing": {name: reason for name, reason in missing.items() if reason},
        "summary": summary(timings, against="limit"),
        "timings": [asdict(timing) for timing in timings],
    }


def _now() -> dict[str, Any]:
    """When a part began, and how busy the machine was with other things: near 0 for figures worth quoting."""
    return {"began": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "load_before": round(os.getloadavg()[0], 2)}


if __name__ == "__main__":
    main()
