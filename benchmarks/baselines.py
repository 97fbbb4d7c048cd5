"""What else reads clips in Python, given the same windows and the same crops: torchcodec, and PyAV used plainly."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import av
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.workload import FRAMES, Stop, Work

Counts = dict[str, int]


def torchcodec_missing() -> str:
    """Why torchcodec cannot be measured; empty if it can."""
    if find_spec("torchcodec") is None:
        return (
            "torchcodec is not installed: pip install --no-deps torchcodec==0.13.0, the newest beside a CPU torch 2.13"
        )
    try:
        import torchcodec  # noqa: F401
    except (ImportError, RuntimeError) as error:  # RuntimeError: it finds no FFmpeg libraries that it knows
        return f"torchcodec cannot be imported: {str(error).splitlines()[0]}"
    return ""


def torchcodec(work: Work, threads: int = 1) -> Callable[[], Counts]:
    """One decoder for the movie, one thread, approximate seeks, in time order: RGB of PQ codes, not tone-mapped."""
    decoder_of = _torchcodec_decoder(threads)

    def run() -> Counts:
        decoder = decoder_of(work.movie)
        size = sum(_cut(_clip(decoder, stop), stop, work.scale) for stop in work.stops)
        return {"timestamps": len(work.stops), "samples": len(work.stops) * work.categories, "bytes": size}

    return run


def torchcodec_threads(work: Work) -> Callable[[], Counts]:
    """The same with a thread of FFmpeg's for every core."""
    return torchcodec(work, len(os.sched_getaffinity(0)))


def torchcodec_items(work: Work) -> Callable[[], Counts]:
    """The same as a map-style dataset has it, whose items come in any order: a decoder for every timestamp."""
    decoder_of = _torchcodec_decoder(1)

    def run() -> Counts:
        size = sum(_cut(_clip(decoder_of(work.movie), stop), stop, work.scale) for stop in work.stops)
        return {"timestamps": len(work.stops), "samples": len(work.stops) * work.categories, "bytes": size}

    return run


def _torchcodec_decoder(threads: int) -> Callable[[str], Any]:
    # Imported here, so that it is no part of another method's memory.
    from torchcodec.decoders import VideoDecoder  # type: ignore[attr-defined]

    return partial(VideoDecoder, seek_mode="approximate", num_ffmpeg_threads=threads)


def _clip(decoder: Any, stop: Stop) -> Tensor:
    frames: Tensor = decoder.get_frames_in_range(stop.first, stop.first + FRAMES).data
    return frames


def pyav_plain(work: Work) -> Callable[[], Counts]:
    """As tutorials have it: open, seek, decode up to the window, convert each frame to RGB; one thread."""

    def run() -> Counts:
        size = 0
        for stop in work.stops:
            begin = (stop.first - 0.5) / work.fps
            with av.open(work.movie) as container:
                stream = container.streams.video[0]
                stream.codec_context.thread_count, stream.thread_type = 1, "NONE"
                assert stream.time_base is not None, "a stream has a time base"
                container.seek(int(max(begin, 0) / stream.time_base), stream=stream)
                pictures: list[np.ndarray] = []
                for frame in container.decode(stream):
                    if frame.time >= begin:
                        pictures.append(frame.to_ndarray(format="rgb24"))
                    if len(pictures) == FRAMES:
                        break
            size += _cut(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2), stop, work.scale)
        return {"timestamps": len(work.stops), "samples": len(work.stops) * work.categories, "bytes": size}

    return run


def _cut(frames: Tensor, stop: Stop, scale: int) -> int:
    """Crops of uint8 (7, 3, H, W) and their low-quality sides; the bytes of all."""
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
