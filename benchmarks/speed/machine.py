"""Describes the machine of a measurement: processor, memory, versions."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import av

PACKAGES = "torch_hdrpatches torch numpy numba av isal imagecodecs pillow webdataset torchcodec opencv-python-headless"


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
    folder = Path(__file__).parent
    return subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True).stdout.strip()
