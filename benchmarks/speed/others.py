"""Other ways to the same windows and crops: torchcodec, plain PyAV, and the system that this package replaces.

The old system is rebuilt from its description: an ffmpeg process seeks, decodes seven frames, tone-maps whole frames in
float, scales them to 1920x1080 and writes seven PNG files. These are read back, checked, cropped, shrunk with OpenCV's
Lanczos and written as PNG. Its failures (wrong windows, invented durations) and its retries are not rebuilt.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.speed.workload import FRAMES, Counts, Stop, Work

CHAIN = (
    "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=mobius,"
    "zscale=t=bt709:m=bt709,format=yuv420p,scale=1920:1080:flags=lanczos"
)


def torchcodec_missing() -> str:
    """Why torchcodec cannot be measured; empty if it can."""
    if find_spec("torchcodec") is None:
        return "torchcodec is not installed: pip install --no-deps torchcodec==0.13.0, made for a CPU torch 2.13"
    try:
        import torchcodec  # noqa: F401
    except (ImportError, RuntimeError) as error:  # RuntimeError: it finds no FFmpeg libraries that it knows
        return f"torchcodec cannot be imported: {str(error).splitlines()[0]}"
    return ""


def torchcodec(work: Work, threads: int = 1, in_order: bool = True) -> Callable[[], Counts]:
    """Approximate seeks; RGB of PQ codes, not tone-mapped.

    ``in_order``: one decoder for the movie, clips in time order. Otherwise a decoder per timestamp, as in a map-style
    dataset that is read in any order.
    """
    # Imported here, so that it is no part of another method's memory.
    from torchcodec.decoders import VideoDecoder  # type: ignore[attr-defined]

    def run() -> Counts:
        decoder_of = partial(VideoDecoder, work.movie, seek_mode="approximate", num_ffmpeg_threads=threads)
        decoder, size = decoder_of() if in_order else None, 0
        for stop in work.stops:
            frames = (decoder or decoder_of()).get_frames_in_range(stop.first, stop.first + FRAMES).data
            size += _cut(frames, stop, work.scale)
        return work.counts(size)

    return run


def pyav_plain(work: Work) -> Callable[[], Counts]:
    """As in tutorials: open, seek, decode up to the window, convert each frame to RGB; one thread."""

    def run() -> Counts:
        size = 0
        for stop in work.stops:
            begin = (stop.first - 0.5) / work.fps
            with av.open(work.movie) as container:
                stream = container.streams.video[0]
                stream.codec_context.thread_count, stream.thread_type = 1, "NONE"
                assert stream.time_base is not None, "a stream has a time base"
                container.seek(int(max(begin, 0) / stream.time_base), stream=stream)
                shown = (frame for frame in container.decode(stream) if frame.time >= begin)
                images = [frame.to_ndarray(format="rgb24") for frame in islice(shown, FRAMES)]
            size += _cut(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), stop, work.scale)
        return work.counts(size)

    return run


def _cut(frames: Tensor, stop: Stop, scale: int) -> int:
    """Cut crops from uint8 (7, 3, H, W), shrink them, and return the bytes of all."""
    size = 0
    for top, left, height, width in stop.boxes:
        crop = frames[..., scale * top : scale * (top + height), scale * left : scale * (left + width)]
        patch = _shrunk(crop, height, width) if scale > 1 else crop
        gt, lq = patch[FRAMES // 2].clone(), _shrunk(patch, height // 3, width // 3)
        size += gt.nbytes + lq.nbytes
    return size


def _shrunk(frames: Tensor, height: int, width: int) -> Tensor:
    # Several times faster in this memory order.
    frames = frames.contiguous(memory_format=torch.channels_last)
    return F.interpolate(frames, (height, width), mode="bicubic", antialias=True)


def old_system_missing() -> str:
    """Why the old system cannot be measured; empty if it can."""
    if find_spec("cv2") is None:
        return "OpenCV is not installed: pip install opencv-python-headless"
    if shutil.which("ffmpeg") is None:
        return "the ffmpeg program is not installed: apt-get install ffmpeg"
    filters = subprocess.run(["ffmpeg", "-hide_banner", "-filters"], capture_output=True, text=True, check=True).stdout
    return "" if " zscale " in filters else "this ffmpeg program was built without zscale (libzimg)"


def old_system(work: Work, per_category: bool = False) -> Callable[[], Counts]:
    """Its last version: one process per timestamp, with four decoder threads.

    ``per_category``: its first version, one process per timestamp and category, with one thread.
    """
    import cv2  # noqa: F401 - loaded before the clock runs, and in no other method's memory

    def run() -> Counts:
        size = 0
        with tempfile.TemporaryDirectory(dir=Path(work.movie).parent) as folder:
            for stop in work.stops:
                for boxes in ([box] for box in stop.boxes) if per_category else [stop.boxes]:
                    frames = _extracted(work, stop, folder, threads=1 if per_category else 4)
                    size += sum(_written(frames, box, folder) for box in boxes)
        return work.counts(size)

    return run


def _extracted(work: Work, stop: Stop, folder: str, threads: int) -> list[Any]:
    """Seven tone-mapped frames of 1920x1080, read from seven PNG files."""
    import cv2

    begin = max(stop.first - 0.5, 0) / work.fps
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", "-threads", f"{threads}", "-ss", f"{begin:.6f}"]
    command += ["-i", work.movie, "-frames:v", f"{FRAMES}", "-vf", CHAIN, f"{folder}/frame-%d.png"]
    subprocess.run(command, check=True)
    frames: list[Any] = [cv2.imread(f"{folder}/frame-{number}.png") for number in range(1, FRAMES + 1)]
    change = np.abs(frames[0].astype(np.float32).mean(2) - frames[-1].astype(np.float32).mean(2)).mean()
    if change > 45:
        raise ValueError(f"{work.movie}: the window at frame {stop.first} changes by {change:.1f} codes; it is refused")
    return frames


def _written(frames: list[Any], box: Sequence[int], folder: str) -> int:
    """Write a sample's ground truth and low-quality frames as PNG files; returns their bytes."""
    import cv2

    top, left, height, width = box
    crops = [frame[top : top + height, left : left + width] for frame in frames]
    small = [cv2.resize(crop, (width // 3, height // 3), interpolation=cv2.INTER_LANCZOS4) for crop in crops]
    size = 0
    for name, image in (("gt", crops[FRAMES // 2]), ("lq", np.concatenate(small))):
        path = Path(folder) / f"{name}.png"
        cv2.imwrite(str(path), image)
        size += path.stat().st_size
    return size
