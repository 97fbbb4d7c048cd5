"""What a video codec does to frames: compressed at a random quality and decoded again, as a step of a chain."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import torch
from av.video.stream import VideoStream
from torch import Tensor

from ..color import formulas
from ..frames import Plane, Planes
from ..video.planes import planes_of
from . import filters
from .degrade import scaled_axis

# Encoders read beyond the edge of pictures that are no multiple of their blocks, and what lies there varies.
_BLOCK = 64
_SETTINGS = {
    "libx264": {"mbtree": "0"},  # with it, 8-bit movies differ from run to run on CPUs with AVX-512
    # Blocks of 32, because x265 differs from run to run where a picture is a single block wide.
    "libx265": {"x265-params": "log-level=none:pools=none:frame-threads=1:ctu=32"},
}
_MATRIX = "bt709"


@dataclass(frozen=True, slots=True)
class VideoCodec:
    """The frames as a short H.264 or HEVC movie: BT.709, 4:2:0, 8 bits, or 10 for 16-bit frames; a ``corrupt.Step``.

    One thread does everything, so that the same frames give the same bytes; another version of FFmpeg's libraries may
    give others.
    """

    codec: str = "libx264"
    """FFmpeg's name of an encoder with a constant rate factor: ``libx264`` or ``libx265``."""
    crf: tuple[int, int] = (18, 35)
    """Lowest and highest constant rate factor."""
    preset: str = "veryfast"

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        """See ``corrupt.Step``."""
        crf = int(rng.integers(self.crf[0], self.crf[1] + 1))
        height, width = frames.shape[-2:]
        padding = ((0, 0), (0, -height % _BLOCK), (0, -width % _BLOCK), (0, 0))
        pictures = np.pad(frames.permute(0, 2, 3, 1).numpy(), padding, mode="edge")
        movie = io.BytesIO()
        self._encode([_to_planes(picture) for picture in pictures], crf, movie)
        movie.seek(0)
        with av.open(movie, "r", format="nut") as container:
            container.streams.video[0].codec_context.thread_count = 1
            decoded = np.stack([_to_rgb(planes_of(frame), pictures.dtype.type) for frame in container.decode(video=0)])
        return torch.from_numpy(np.ascontiguousarray(decoded[:, :height, :width])).permute(0, 3, 1, 2)

    def _encode(self, pictures: list[tuple[Plane, ...]], crf: int, movie: io.BytesIO) -> None:
        luma = pictures[0][0]
        with av.open(movie, "w", format="nut") as container:
            options = {"crf": str(crf), "preset": self.preset, **_SETTINGS.get(self.codec, {})}
            stream = container.add_stream(self.codec, rate=24, options=options)
            if not isinstance(stream, VideoStream):
                raise ValueError(f"{self.codec} does not encode video")
            stream.height, stream.width = luma.shape
            stream.pix_fmt = "yuv420p" if luma.itemsize == 1 else "yuv420p10le"
            stream.codec_context.thread_count = 1
            for number, picture in enumerate(pictures):
                frame = av.VideoFrame(stream.width, stream.height, stream.pix_fmt)
                frame.pts = number
                for target, plane in zip(frame.planes, picture, strict=True):
                    spare = target.line_size // plane.itemsize - plane.shape[1]
                    target.update(np.pad(plane, ((0, 0), (0, spare))).tobytes())
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


# The conversions are written out, because what swscale gives depends on where in memory the rows begin.


def _to_planes(picture: Plane) -> tuple[Plane, ...]:
    """(H, W, 3) RGB codes to Y, Cb and Cr codes, chroma in the middle of four pixels."""
    bits = 8 if picture.dtype == np.uint8 else 10
    codes = formulas.code_range("tv", bits)
    red, green, blue = (picture[..., i] / np.float32(np.iinfo(picture.dtype).max) for i in range(3))
    scales = (codes.luma_zero, codes.luma_span), *[(codes.chroma_zero, codes.chroma_span)] * 2
    planes = [
        (zero + span * (r * red + g * green + b * blue) + 0.5).astype(picture.dtype)
        for (r, g, b), (zero, span) in zip(formulas.rgb_to_ycbcr(_MATRIX).tolist(), scales, strict=True)
    ]
    return planes[0], *(_scaled(plane, filters.BOX, 0.5) for plane in planes[1:])


def _to_rgb(planes: Planes, dtype: type[np.unsignedinteger[Any]]) -> Plane:
    """The inverse of ``_to_planes``, chroma bilinear."""
    codes, top = formulas.code_range("tv", planes.bits), np.iinfo(dtype).max
    y = (planes.y[:, : planes.width] - np.float32(codes.luma_zero)) / np.float32(codes.luma_span)
    cb, cr = (
        (_scaled(plane[:, : planes.width // 2], filters.TRIANGLE, 2) - np.float32(codes.chroma_zero))
        / np.float32(codes.chroma_span)
        for plane in (planes.cb, planes.cr)
    )
    rgb = [top * (a * y + b * cb + c * cr) + 0.5 for a, b, c in formulas.ycbcr_to_rgb(_MATRIX).tolist()]
    return np.asarray(np.clip(np.stack(rgb, axis=-1), 0, top), dtype)


def _scaled(plane: Plane, kernel: filters.Kernel, factor: float) -> Plane:
    vertical, horizontal = (scaled_axis(kernel, length, int(length * factor)) for length in plane.shape)
    return filters.apply(plane, vertical, horizontal, limit=np.iinfo(plane.dtype).max, dtype=plane.dtype.type)
