"""Compression by a real video encoder at a random quality, as a step of a chain."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream
from torch import Tensor

from ..color import formulas
from ..frames import Plane, Planes
from ..video.planes import planes_of
from . import filters
from .degrade import frames_of, images_of

# Frames are padded to whole blocks: encoders read uninitialised memory beyond the edges of other frames.
_BLOCK = 64
_SETTINGS = {
    "libx264": {"mbtree": "0"},  # with mbtree, 8-bit movies differ from run to run on CPUs with AVX-512
    # Blocks of 32, because x265's output differs from run to run if a frame is one block wide.
    "libx265": {"x265-params": "log-level=none:pools=none:frame-threads=1:ctu=32"},
}
_TO_YCBCR, _TO_RGB = formulas.rgb_to_ycbcr("bt709").tolist(), formulas.ycbcr_to_rgb("bt709").tolist()


@dataclass(frozen=True, slots=True)
class VideoCodec:
    """A ``corruptions.Step``: the frames as H.264 or HEVC in BT.709, 4:2:0, 8 bits (10 bits for 16-bit frames).

    One thread, so that the same frames give the same bytes with the same version of FFmpeg's libraries.
    """

    codec: str = "libx264"
    """FFmpeg's name of an encoder that has a constant rate factor: ``libx264`` or ``libx265``."""
    crf: tuple[int, int] = (18, 35)
    """Lowest and highest constant rate factor."""
    preset: str = "veryfast"

    def __call__(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        crf = int(rng.integers(self.crf[0], self.crf[1] + 1))
        height, width = frames.shape[-2:]
        padding = ((0, 0), (0, -height % _BLOCK), (0, -width % _BLOCK), (0, 0))
        images = np.pad(images_of(frames), padding, mode="edge")
        movie = io.BytesIO()
        self._encode([_to_planes(image) for image in images], crf, movie)
        movie.seek(0)
        with av.open(movie, "r", format="nut") as container:
            container.streams.video[0].codec_context.thread_count = 1
            decoded = np.stack([_to_rgb(planes_of(frame), images.dtype.type) for frame in container.decode(video=0)])
        return frames_of(np.ascontiguousarray(decoded[:, :height, :width]))

    def _encode(self, images: list[tuple[Plane, ...]], crf: int, movie: io.BytesIO) -> None:
        luma = images[0][0]
        with av.open(movie, "w", format="nut") as container:
            options = {"crf": str(crf), "preset": self.preset, **_SETTINGS.get(self.codec, {})}
            stream = container.add_stream(self.codec, rate=24, options=options)
            if not isinstance(stream, VideoStream):
                raise ValueError(f"codec is {self.codec!r}, expected a video encoder such as 'libx264'")
            stream.height, stream.width = luma.shape
            stream.pix_fmt = "yuv420p" if luma.itemsize == 1 else "yuv420p10le"
            stream.codec_context.thread_count = 1
            for number, planes in enumerate(images):
                frame = av.VideoFrame(stream.width, stream.height, stream.pix_fmt)
                frame.pts = number
                for target, plane in zip(frame.planes, planes, strict=True):
                    padding = target.line_size // plane.itemsize - plane.shape[1]
                    target.update(np.pad(plane, ((0, 0), (0, padding))).tobytes())
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


# The colour conversions are written out, because the output of swscale depends on the memory alignment of rows.


def _to_planes(image: Plane) -> tuple[Plane, ...]:
    """(H, W, 3) RGB codes to Y, Cb and Cr codes, chroma at the centre of four pixels."""
    bits = 8 if image.dtype == np.uint8 else 10
    codes = formulas.code_range("tv", bits)
    red, green, blue = (image[..., i] / np.float32(np.iinfo(image.dtype).max) for i in range(3))
    scales = (codes.luma_zero, codes.luma_span), *[(codes.chroma_zero, codes.chroma_span)] * 2
    planes = [
        (zero + span * (r * red + g * green + b * blue) + 0.5).astype(image.dtype)
        for (r, g, b), (zero, span) in zip(_TO_YCBCR, scales, strict=True)
    ]
    return planes[0], *(_scaled(plane, filters.BOX, 0.5) for plane in planes[1:])


def _to_rgb(planes: Planes, dtype: type[np.unsignedinteger[Any]]) -> Plane:
    """The inverse of ``_to_planes``, with bilinear chroma."""
    luma_zero, luma_span, chroma_zero, chroma_span = map(np.float32, formulas.code_range("tv", planes.bits))
    top = np.iinfo(dtype).max
    y = (planes.y[:, : planes.width] - luma_zero) / luma_span
    chroma = (_scaled(plane[:, : planes.width // 2], filters.TRIANGLE, 2) for plane in (planes.cb, planes.cr))
    cb, cr = ((plane - chroma_zero) / chroma_span for plane in chroma)
    rgb = [top * (a * y + b * cb + c * cr) + 0.5 for a, b, c in _TO_RGB]
    return np.asarray(np.clip(np.stack(rgb, axis=-1), 0, top), dtype)


def _scaled(plane: Plane, kernel: filters.FilterKernel, factor: float) -> Plane:
    vertical, horizontal = (filters.scaling_taps(kernel, length, int(length * factor)) for length in plane.shape)
    return filters.apply(plane, vertical, horizontal)
