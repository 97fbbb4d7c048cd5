"""The system that this package replaces, written anew from its description: the ffmpeg program, PNG files, crops.

One ffmpeg process per timestamp and category, later one per timestamp: it seeks, decodes seven frames, tone-maps whole
frames in float, scales them to 1920x1080 and writes seven PNG files, which are read back, checked, cropped, shrunk with
OpenCV's Lanczos and written as PNG. Its failures (wrong window, invented durations) are not rebuilt, nor its retries.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workload import FRAMES, Stop, Work

Counts = dict[str, int]

CHAIN = (
    "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=mobius,"
    "zscale=t=bt709:m=bt709,format=yuv420p,scale=1920:1080:flags=lanczos"
)
MAX_SCENE_CHANGE = 45


def missing() -> str:
    """Why the old system cannot be measured; empty if it can."""
    if find_spec("cv2") is None:
        return "OpenCV is not installed: pip install opencv-python-headless"
    if shutil.which("ffmpeg") is None:
        return "the ffmpeg program is not installed: apt-get install ffmpeg"
    filters = subprocess.run(["ffmpeg", "-hide_banner", "-filters"], capture_output=True, text=True, check=True).stdout
    return "" if " zscale " in filters else "this ffmpeg program was built without zscale (libzimg)"


def once_per_timestamp(work: Work) -> Callable[[], Counts]:
    """Its last state: one process per timestamp, four decoder threads."""

    def stop(stop: Stop, folder: Path) -> int:
        frames = _extracted(work, stop, folder, threads=4)
        return sum(_written(frames, box, folder / f"{number}") for number, box in enumerate(stop.boxes))

    return _run(work, stop)


def once_per_category(work: Work) -> Callable[[], Counts]:
    """Its first state: one process per timestamp and category, one decoder thread."""

    def stop(stop: Stop, folder: Path) -> int:
        return sum(
            _written(_extracted(work, stop, folder, threads=1), box, folder / f"{number}")
            for number, box in enumerate(stop.boxes)
        )

    return _run(work, stop)


def _run(work: Work, samples_of: Callable[[Stop, Path], int]) -> Callable[[], Counts]:
    import cv2  # noqa: F401 - here, so that it is loaded before the clock runs, and in no other method's memory

    def run() -> Counts:
        with tempfile.TemporaryDirectory(dir=Path(work.movie).parent) as folder:
            size = sum(samples_of(stop, Path(folder)) for stop in work.stops)
        return {"timestamps": len(work.stops), "samples": len(work.stops) * work.categories, "bytes": size}

    return run


def _extracted(work: Work, stop: Stop, folder: Path, threads: int) -> list[Any]:
    """Seven tone-mapped frames of 1920x1080, by way of seven PNG files."""
    import cv2

    begin = max(stop.first - 0.5, 0) / work.fps
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-threads", f"{threads}", "-ss", f"{begin:.6f}"]
    command += ["-i", work.movie, "-frames:v", f"{FRAMES}", "-vf", CHAIN, str(folder / "frame-%d.png")]
    subprocess.run(command, check=True)
    frames: list[Any] = [cv2.imread(str(folder / f"frame-{number}.png")) for number in range(1, FRAMES + 1)]
    change = np.abs(frames[0].astype(np.float32).mean(2) - frames[-1].astype(np.float32).mean(2)).mean()
    if change > MAX_SCENE_CHANGE:
        raise ValueError(f"{work.movie}: the window at frame {stop.first} is not stable here: {change:.1f} codes")
    return frames


def _written(frames: list[Any], box: tuple[int, int, int, int], stem: Path) -> int:
    """A sample's ground truth and low-quality frames as PNG files; their bytes."""
    import cv2

    top, left, height, width = (box[0], box[1], box[2], box[3])
    crops = [frame[top : top + height, left : left + width] for frame in frames]
    small = [cv2.resize(crop, (width // 3, height // 3), interpolation=cv2.INTER_LANCZOS4) for crop in crops]
    gt, lq = f"{stem}-gt.png", f"{stem}-lq.png"
    cv2.imwrite(gt, crops[FRAMES // 2])
    cv2.imwrite(lq, np.concatenate(small))
    return Path(gt).stat().st_size + Path(lq).stat().st_size
