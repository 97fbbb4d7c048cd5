"""Writes small HDR10, HLG and SDR movies whose frames carry their number, for tests, examples and the demo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from .picture import shot
from .scenery import SCENERIES
from .signal import Codes, Coding, Light, read_number, stamp

__all__ = ["HDR10", "HLG", "SCENES", "SDR", "Content", "MovieSpec", "read_number", "write_movie"]

Content: TypeAlias = Callable[[int], Light]
"""Picture index -> float32 (height, width, 3): linear light in cd/m2, RGB of the movie's primaries."""

SCENES = tuple(SCENERIES)
"""The painted scenes; a movie goes through them in this order, one after each cut."""

FORMATS = {".265": "hevc", ".h265": "hevc", ".hevc": "hevc", ".264": "h264", ".h264": "h264", ".ts": "mpegts"}
"""Suffixes whose container FFmpeg would not guess, or not for writing."""

FFMPEG_NAMES = {"pq": "smpte2084", "hlg": "arib-std-b67"}

MASTERING = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L({},50)"
"""A P3-D65 display in SEI units: 0.00002 for chromaticities, 0.0001 cd/m2 for light."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovieSpec:
    """What a movie is like. The defaults give two seconds of HDR10."""

    height: int = 360
    width: int = 640
    frames: int = 48
    fps: Fraction = Fraction(24)

    transfer: str = "pq"
    """``pq``, ``hlg``, ``bt709``, ``smpte170m``, ``iec61966-2-1``, ``bt2020-10``, ``bt2020-12``."""
    primaries: str | None = None
    """None: what goes with the transfer, BT.2020 for HDR and BT.709 for SDR."""
    matrix: str | None = None
    """None: what goes with the transfer. ``rgb`` makes GBR planes and needs chroma ``444`` and libx265."""
    range: str = "tv"
    bits: int | None = None
    """8, 10 or 12 (libx265 only); None: 10 for HDR, 8 for SDR."""
    chroma: str = "420"
    chroma_location: str = "left"
    tags: ColorTags | None = None
    """What the file says of its colours, where that is not the truth; a field ``unknown`` is left out."""

    mastering_peak: float = 1000
    """cd/m2 of the mastering display; 0 leaves the message out. For PQ only; libx265 adds MaxCLL 0, MaxFALL 0 to it."""
    max_cll: int = 1000
    max_fall: int = 400
    """MaxCLL and MaxFALL in cd/m2; 0 and 0 leave the message out. Written for PQ only."""

    scenes: tuple[str, ...] = SCENES
    cuts: tuple[int, ...] = ()
    """Picture numbers at which the next scene starts."""
    bars: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Black pixels at the top, bottom, left and right; no number is drawn there."""
    numbers: bool = True
    """Draw the picture's number all over it, for ``read_number``."""
    seed: int = 0

    codec: str = "libx265"
    """``libx265`` or ``libx264``."""
    crf: float = 18
    keyint: int = 24
    """A keyframe every so many pictures, and nowhere else: cuts get none of their own."""
    open_gop: bool = True
    bframes: int = 3
    b_pyramid: bool = True

    pts: tuple[int, ...] | None = None
    """Presentation times in ticks of ``time_base``, one per picture, rising; None: 0, 1, 2, ... / fps."""
    time_base: Fraction | None = None
    """Seconds of a tick of ``pts``; None: 1 / fps."""
    start: Fraction = Fraction(0)
    """Seconds added to every presentation time. In MP4 a positive start becomes an empty edit, and a negative one an
    edit that hides the pictures before 0."""

    sample_aspect_ratio: Fraction = Fraction(1)
    rotation: int = 0
    """Degrees of the display matrix, counterclockwise."""

    def __post_init__(self) -> None:
        if unknown := set(self.scenes) - set(SCENES):
            raise RecipeError(f"unknown scenes {sorted(unknown)}; there are {', '.join(SCENES)}")
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
            raise RecipeError(f"{self.height}x{self.width} does not divide into {self.chroma} chroma samples")
        if self.codec == "libx265" and min(self.height, self.width) < 64:  # it writes outside of its memory there
            raise RecipeError(f"libx265 needs 64x64 pixels or more, not {self.height}x{self.width}; libx264 takes less")
        if any(n % 2 for n in self.bars):
            raise RecipeError(f"bars are {self.bars}; give even numbers, so that chroma ends where luma ends")
        if self.pts is not None and len(self.pts) != self.frames:
            raise RecipeError(f"pts has {len(self.pts)} times for {self.frames} frames; give one per frame")

    @property
    def coding(self) -> Coding:
        """How the pictures are coded, with what None stands for filled in."""
        hdr = is_hdr(self.transfer)
        tags = ColorTags(
            self.transfer,
            self.primaries or ("bt2020" if hdr else "bt709"),
            self.matrix or ("bt2020nc" if hdr else "bt709"),
            self.range,
            self.chroma_location,
        )
        return Coding(tags, self.bits or (10 if hdr else 8), self.chroma)


HDR10 = MovieSpec()
HLG = MovieSpec(transfer="hlg")
SDR = MovieSpec(transfer="bt709")


def write_movie(path: str | PathLike[str], spec: MovieSpec = HDR10, content: Content | None = None) -> Path:
    """Write a movie and return its path.

    The suffix chooses the container: .mp4, .mov, .mkv, .ts, or none for .265 and .264. ``content`` draws the pictures
    in place of the painted scenes. The same call on one machine writes the same bytes.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    unit = spec.time_base or 1 / Fraction(spec.fps)
    offset = spec.start / unit
    clock = unit / offset.denominator  # a start between two ticks needs a finer clock
    muxing = {"fflags": "+bitexact"}
    if suffix in (".mp4", ".mov"):
        muxing["movie_timescale"] = str(clock.denominator)  # edits count in it; its default, 1/1000 s, would round them
    with av.open(path, "w", format=FORMATS.get(suffix), options=muxing) as container:
        stream = cast(VideoStream, container.add_stream(spec.codec, rate=spec.fps, options=_encoder_options(spec)))
        stream.width, stream.height, stream.pix_fmt = spec.width, spec.height, _pixel_format(spec)
        stream.time_base = stream.codec_context.time_base = clock
        stream.codec_context.sample_aspect_ratio = spec.sample_aspect_ratio
        if spec.codec == "libx265" and suffix in (".mp4", ".mov"):
            stream.codec_context.codec_tag = "hvc1"
        if spec.rotation:
            stream.set_display_rotation(spec.rotation)
        for tick, planes in zip(spec.pts or range(spec.frames), _pictures(spec, content), strict=True):
            frame = _video_frame(spec, planes)
            frame.pts, frame.time_base = int((tick + offset) * offset.denominator), clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _pictures(spec: MovieSpec, content: Content | None) -> Iterator[tuple[Codes, Codes, Codes]]:
    """The movie's planes, whole codes, with bars and numbers."""
    coding = spec.coding
    black = coding.planes(np.zeros((2, 2, 3), np.float32))
    top, bottom, left, right = spec.bars
    for index, planes in enumerate(_painted(spec) if content is None else _drawn(spec, content)):
        for plane, dark, (sub_y, sub_x) in zip(planes, black, ((1, 1), coding.sub, coding.sub), strict=True):
            height, width = plane.shape
            for bar in (
                np.s_[: top // sub_y],
                np.s_[height - bottom // sub_y :],
                np.s_[:, : left // sub_x],
                np.s_[:, width - right // sub_x :],
            ):
                plane[bar] = dark[0, 0]
        if spec.numbers:
            stamp(planes, coding, index, (top, left, spec.height - bottom, spec.width - right))
        y, cb, cr = (coding.rounded(plane) for plane in planes)
        yield y, cb, cr


def _painted(spec: MovieSpec) -> Iterator[tuple[Codes, Codes, Codes]]:
    starts = [0, *(cut for cut in spec.cuts if cut < spec.frames)]
    for number, (start, end) in enumerate(pairwise([*starts, spec.frames])):
        name = spec.scenes[number % len(spec.scenes)]
        picture = shot(name, spec.coding, spec.height, spec.width, spec.seed + number)
        for index in range(end - start):
            yield picture(index)


def _drawn(spec: MovieSpec, content: Content) -> Iterator[tuple[Codes, Codes, Codes]]:
    for index in range(spec.frames):
        light = content(index)
        if light.shape != (spec.height, spec.width, 3):
            raise RecipeError(f"content({index}) has shape {light.shape}, expected {(spec.height, spec.width, 3)}")
        yield spec.coding.planes(light)


def _video_frame(spec: MovieSpec, planes: tuple[Codes, Codes, Codes]) -> av.VideoFrame:
    frame = av.VideoFrame(spec.width, spec.height, _pixel_format(spec))
    for target, codes in zip(frame.planes, planes, strict=True):
        rows = np.frombuffer(cast(Any, target), codes.dtype).reshape(target.height, target.line_size // codes.itemsize)
        rows[:, : codes.shape[1]] = codes
    return frame


def _pixel_format(spec: MovieSpec) -> str:
    layout = "gbrp" if spec.coding.tags.matrix == "rgb" else f"yuv{spec.chroma}p"
    return layout if spec.coding.bits == 8 else f"{layout}{spec.coding.bits}le"


def _encoder_options(spec: MovieSpec) -> dict[str, str]:
    tags = spec.tags or spec.coding.tags
    written = {
        "color_trc": tags.transfer,
        "color_primaries": tags.primaries,
        "colorspace": tags.matrix,
        "color_range": tags.range,
        "chroma_sample_location": tags.chroma_location,
    }
    options = {key: FFMPEG_NAMES.get(name, name) for key, name in written.items() if name != "unknown"}
    structure = {
        "keyint": spec.keyint,
        "min-keyint": spec.keyint,
        "scenecut": 0,
        "open-gop": int(spec.open_gop),
        # x265 takes decoding times from the third picture on; with fewer they are whatever its memory held.
        "bframes": spec.bframes if spec.frames > 2 else 0,
        "b-adapt": 0,
    }
    hdr10 = spec.transfer == "pq"
    mastering = MASTERING.format(round(spec.mastering_peak * 10_000)) if hdr10 and spec.mastering_peak else None
    light_level = f"{spec.max_cll},{spec.max_fall}" if hdr10 and (spec.max_cll or spec.max_fall) else None
    # One frame at a time and no settings in the stream (info=0), so that bytes do not depend on the machine's cores.
    if spec.codec == "libx265":
        structure |= {"b-pyramid": int(spec.b_pyramid), "frame-threads": 1, "pools": 2, "info": 0, "repeat-headers": 1}
        structure |= {"cbqpoffs": -8, "crqpoffs": -8} if is_hdr(spec.transfer) else {}
        messages = {"master-display": mastering, "max-cll": light_level, "log-level": "none"}
    else:
        structure |= {"b-pyramid": 2 * spec.b_pyramid, "threads": 1}
        messages = {"mastering-display": mastering, "cll": light_level}
    parameters = {**structure, **{key: value for key, value in messages.items() if value is not None}}
    joined = ":".join(f"{key}={value}" for key, value in parameters.items())
    return options | {"preset": "superfast", "crf": str(spec.crf), f"{spec.codec[3:]}-params": joined}
