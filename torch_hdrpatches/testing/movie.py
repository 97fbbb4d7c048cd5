"""Writes small HDR10, HLG and SDR movies for tests, examples and the demo; each frame shows its number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias, cast

import av
import numpy as np
from av.video.stream import VideoStream

from ..color.names import ACCEPTED, is_hdr
from ..errors import RecipeError
from ..frames import ColorTags
from . import scene
from .signal import Codes, Coding, Light, PlaneCodes, stamp

Content: TypeAlias = Callable[[int], Light]
"""Frame number -> float32 (height, width, 3): linear light in cd/m2, RGB of the movie's primaries."""

SCENES = tuple(scene.SCENES)
"""Names of the painted scenes. A movie shows them in this order and goes on to the next at each cut."""

FORMATS = {".265": "hevc", ".h265": "hevc", ".hevc": "hevc", ".264": "h264", ".h264": "h264", ".ts": "mpegts"}
"""Suffix -> FFmpeg's name of the container, where FFmpeg does not derive it from the suffix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovieSpec:
    """Format and content of a test movie. The defaults give two seconds of HDR10."""

    height: int = 360
    width: int = 640
    frames: int = 48
    fps: Fraction = Fraction(24)

    transfer: str = "pq"
    """``pq``, ``hlg``, ``bt709``, ``smpte170m``, ``iec61966-2-1``, ``bt2020-10``, ``bt2020-12``."""
    primaries: str | None = None
    """None: BT.2020 for HDR transfers, BT.709 for SDR."""
    matrix: str | None = None
    """None: ``bt2020nc`` for HDR, ``bt709`` for SDR. ``rgb`` makes GBR planes and needs chroma ``444`` and libx265."""
    range: str = "tv"
    bits: int | None = None
    """8, 10 or 12 (libx265 only); None: 10 for HDR, 8 for SDR."""
    chroma: str = "420"
    chroma_location: str = "left"
    tags: ColorTags | None = None
    """Colour tags written to the file if they should differ from the true ones; ``unknown`` leaves a tag out."""

    mastering_peak: float = 1000
    """Peak of the mastering display in cd/m2, for PQ only. 0: no such metadata; libx265 then also writes MaxCLL 0."""
    max_cll: int = 1000
    max_fall: int = 400
    """MaxCLL and MaxFALL in cd/m2; if both are 0, neither is written. For PQ only."""

    scenes: tuple[str, ...] = SCENES
    cuts: tuple[int, ...] = ()
    """Frame numbers at which the next scene starts."""
    bars: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Width of the black bars in pixels: top, bottom, left, right. No number is drawn there."""
    numbers: bool = True
    """Draw the frame number all over each frame, for ``read_number``."""
    seed: int = 0

    codec: str = "libx265"
    """Or ``libx264``."""
    crf: float = 18
    keyint: int = 24
    """Distance of keyframes in frames. Cuts get no keyframe of their own."""
    open_gop: bool = True
    bframes: int = 3
    b_pyramid: bool = True

    pts: tuple[int, ...] | None = None
    """Presentation times in ticks of ``time_base``, one per frame, increasing; None: a constant frame rate."""
    time_base: Fraction | None = None
    """Length of a tick of ``pts`` in seconds; None: 1 / fps."""
    start: Fraction = Fraction(0)
    """Seconds added to every presentation time. In MP4 a positive start is written as an empty edit, and a negative
    start as an edit that hides the frames before 0."""

    sample_aspect_ratio: Fraction = Fraction(1)
    rotation: int = 0
    """Of the display matrix, in degrees counterclockwise."""

    def __post_init__(self) -> None:
        if unknown := set(self.scenes) - set(SCENES):
            raise RecipeError(f"unknown scenes {sorted(unknown)}; valid are {', '.join(SCENES)}")
        if self.chroma not in ("420", "422", "444"):
            raise RecipeError(f"chroma is {self.chroma!r}; valid are 420, 422 and 444")
        if self.codec not in ("libx265", "libx264"):
            raise RecipeError(f"codec is {self.codec!r}; valid are libx265 and libx264")
        for field in ("transfer", "primaries", "matrix", "range", "chroma_location"):
            if (name := getattr(self.coding.tags, field)) not in ACCEPTED[field]:
                raise RecipeError(f"{field} is {name!r}; valid are {', '.join(ACCEPTED[field])}")
        if self.coding.tags.matrix == "rgb" and (self.chroma != "444" or self.codec != "libx265"):
            raise RecipeError(f"matrix rgb needs chroma 444 and libx265, not {self.chroma} and {self.codec}")
        if any(n % sub for n, sub in zip((self.height, self.width), self.coding.sub, strict=True)):
            raise RecipeError(f"{self.height}x{self.width} is not divisible into {self.chroma} chroma samples")
        if self.codec == "libx265" and min(self.height, self.width) < 64:  # smaller frames make it write out of bounds
            raise RecipeError(f"libx265 needs 64x64 pixels or more, not {self.height}x{self.width}; use libx264")
        if any(n % 2 for n in self.bars):
            raise RecipeError(f"bars are {self.bars}; they must be even, because chroma is subsampled")
        if self.pts is not None and len(self.pts) != self.frames:
            raise RecipeError(f"pts has {len(self.pts)} times for {self.frames} frames; give one per frame")

    @property
    def coding(self) -> Coding:
        """Colour tags, bit depth and chroma, with the defaults in place of None."""
        primaries, matrix, bits = ("bt2020", "bt2020nc", 10) if is_hdr(self.transfer) else ("bt709", "bt709", 8)
        primaries, matrix = self.primaries or primaries, self.matrix or matrix
        tags = ColorTags(self.transfer, primaries, matrix, self.range, self.chroma_location)
        return Coding(tags, self.bits or bits, self.chroma)


HDR10 = MovieSpec()
HLG = MovieSpec(transfer="hlg")
SDR = MovieSpec(transfer="bt709")


def write_movie(path: str | PathLike[str], spec: MovieSpec = HDR10, content: Content | None = None) -> Path:
    """Write a movie and return its path.

    The suffix selects the container: .mp4, .mov, .mkv, .ts, or a bare stream for .265 and .264. ``content`` replaces
    the painted scenes. On one machine the same call always writes the same bytes.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    unit = spec.time_base or 1 / Fraction(spec.fps)
    offset = spec.start / unit
    clock = unit / offset.denominator  # a start between two ticks needs shorter ticks
    muxing = {"fflags": "+bitexact"}
    if suffix in (".mp4", ".mov"):
        muxing["movie_timescale"] = str(clock.denominator)  # unit of edits; the default of 1/1000 s would round them
    with av.open(path, "w", format=FORMATS.get(suffix), options=muxing) as container:
        stream = cast(VideoStream, container.add_stream(spec.codec, rate=spec.fps, options=_encoder_options(spec)))
        layout = "gbrp" if spec.coding.tags.matrix == "rgb" else f"yuv{spec.chroma}p"
        pixel_format = layout if spec.coding.bits == 8 else f"{layout}{spec.coding.bits}le"
        stream.width, stream.height, stream.pix_fmt = spec.width, spec.height, pixel_format
        stream.time_base = stream.codec_context.time_base = clock
        stream.codec_context.sample_aspect_ratio = spec.sample_aspect_ratio
        if spec.codec == "libx265" and suffix in (".mp4", ".mov"):
            stream.codec_context.codec_tag = "hvc1"
        if spec.rotation:
            stream.set_display_rotation(spec.rotation)
        for tick, planes in zip(spec.pts or range(spec.frames), _frames(spec, content), strict=True):
            frame = video_frame(planes, pixel_format)
            frame.pts, frame.time_base = int((tick + offset) * offset.denominator), clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _frames(spec: MovieSpec, content: Content | None) -> Iterator[list[Codes]]:
    """Planes of each frame as integers, with bars and numbers."""
    coding = spec.coding
    black = coding.planes(np.zeros((2, 2, 3), np.float32))
    top, bottom, left, right = spec.bars
    for index, planes in enumerate(_painted(spec) if content is None else _drawn(spec, content)):
        for plane, dark, (sub_y, sub_x) in zip(planes, black, coding.subs, strict=True):
            height, width = plane.shape
            inside = np.s_[top // sub_y : height - bottom // sub_y, left // sub_x : width - right // sub_x]
            shown = plane[inside].copy()
            plane[:] = dark[0, 0]
            plane[inside] = shown
        if spec.numbers:
            stamp(planes, coding, index, (top, left, spec.height - bottom, spec.width - right))
        yield [coding.rounded(plane) for plane in planes]


def _painted(spec: MovieSpec) -> Iterator[PlaneCodes]:
    starts = [0, *(cut for cut in spec.cuts if cut < spec.frames), spec.frames]
    for number, (start, end) in enumerate(pairwise(starts)):
        name = spec.scenes[number % len(spec.scenes)]
        yield from map(scene.paint(name, spec.coding, spec.height, spec.width, spec.seed + number), range(end - start))


def _drawn(spec: MovieSpec, content: Content) -> Iterator[PlaneCodes]:
    for index in range(spec.frames):
        light, expected = content(index), (spec.height, spec.width, 3)
        if light.shape != expected:
            raise RecipeError(f"content({index}) has shape {light.shape}, expected {expected}")
        yield spec.coding.planes(light)


def video_frame(planes: Sequence[Codes], pixel_format: str) -> av.VideoFrame:
    """A frame with these planes, of which the first has the frame's size."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, pixel_format)
    for target, codes in zip(frame.planes, planes, strict=True):
        rows = np.frombuffer(cast(Any, target), codes.dtype).reshape(target.height, target.line_size // codes.itemsize)
        rows[:, : codes.shape[1]] = codes
    return frame


def _encoder_options(spec: MovieSpec) -> dict[str, str]:
    tags = spec.tags or spec.coding.tags
    written = {
        "color_trc": tags.transfer,
        "color_primaries": tags.primaries,
        "colorspace": tags.matrix,
        "color_range": tags.range,
        "chroma_sample_location": tags.chroma_location,
    }
    ffmpeg_names = {"pq": "smpte2084", "hlg": "arib-std-b67"}
    options = {key: ffmpeg_names.get(name, name) for key, name in written.items() if name != "unknown"}
    structure = {
        "keyint": spec.keyint,
        "min-keyint": spec.keyint,
        "scenecut": 0,
        "open-gop": int(spec.open_gop),
        # With B-frames and fewer than three frames x265 returns uninitialised decoding times.
        "bframes": spec.bframes if spec.frames > 2 else 0,
        "b-adapt": 0,
    }
    hdr10 = spec.transfer == "pq"
    # P3-D65 primaries, as SEI integers: chromaticity / 0.00002, luminance / 0.0001 cd/m2.
    display = f"G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L({round(spec.mastering_peak * 10_000)},50)"
    mastering = display if hdr10 and spec.mastering_peak else None
    light_level = f"{spec.max_cll},{spec.max_fall}" if hdr10 and (spec.max_cll or spec.max_fall) else None
    # One frame at a time and no settings in the stream (info=0): the bytes do not depend on the number of cores.
    if spec.codec == "libx265":
        structure |= {"b-pyramid": int(spec.b_pyramid), "frame-threads": 1, "pools": 2, "info": 0, "repeat-headers": 1}
        structure |= {"cbqpoffs": -8, "crqpoffs": -8} if is_hdr(spec.transfer) else {}
        messages = {"master-display": mastering, "max-cll": light_level, "log-level": "none"}
    else:
        structure |= {"b-pyramid": 2 * spec.b_pyramid, "threads": 1}
        messages = {"mastering-display": mastering, "cll": light_level}
    joined = ":".join(f"{key}={value}" for key, value in (structure | messages).items() if value is not None)
    return options | {"preset": "superfast", "crf": str(spec.crf), f"{spec.codec[3:]}-params": joined}
