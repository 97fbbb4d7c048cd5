"""What a movie is: its stream, size, times, colour tags and HDR metadata, and whether it can be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from av.video.frame import VideoFrame

from .color import accepted_name
from .crop import active_area
from .errors import DamagedMovieError, RecipeError, UnsupportedMovieError, UntaggedMovieError
from .frames import Box, ColorTags, Plane
from .metadata import Metadata, metadata_of, tags_of
from .planes import layout_of, planes_of
from .source import MAX_PIXELS, Counters, Source, videos_of

REORDER = 17
"""So many packets on, nothing is still to come that is presented before the first picture."""
FIRST_PACKETS = 250
"""The first picture must be among so many packets, or the movie is damaged."""
BAR_SAMPLES = 8
"""Keyframes that are looked at for black bars."""
HEADER_SLACK = 2.0
"""Seconds by which a header may promise more than the file holds before it is said."""

DOLBY_TAGS = ("dvh1", "dvhe", "dav1", "dvav", "dva1")
NEEDED_TAGS = ("transfer", "primaries", "matrix")
ASSUMABLE = (*NEEDED_TAGS, "range", "chroma_location", "scan")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a movie is. Sizes are as decoded, before rotation; light is in cd/m2, 0 = unknown."""

    path: str
    stream: int
    """Index of the video stream in its container."""
    codec: str
    width: int
    height: int
    bits: int
    """Bits per code value, as ``Planes`` has them."""
    chroma: str
    """``420``, ``422``, ``444`` or ``gbr``."""
    fps: float
    """Average; 0 = unknown."""
    start: float
    """Presentation time stamp of the first picture, in seconds."""
    duration: float
    """Seconds from the first picture to the end of the last one, as found at the end of the file; > 0."""
    tags: ColorTags
    mastering_peak: float
    max_cll: float
    max_fall: float
    dolby_vision: str
    """Profile, e.g. ``8.1``; empty without Dolby Vision."""
    hdr10_plus: bool
    rotation: int
    """0, 90, 180 or 270 degrees clockwise, to be applied for display."""
    sample_aspect_ratio: tuple[int, int]
    active: Box
    """The picture without black bars, in decoded pixels."""
    warnings: tuple[str, ...]
    """What is odd about the movie."""


def probe(path: str, *, assume: Mapping[str, str] | None = None) -> Facts:
    """Look into a movie.

    Args:
        path: a local file.
        assume: colour tags by field of ``ColorTags`` for those that the file does not carry;
            ``scan="progressive"`` overrules pictures that are flagged as interlaced.

    Raises:
        MovieError: the movie gives nothing; why, and what would help.
        RecipeError: ``assume`` names something that cannot be assumed.
    """
    assumed = _assumed(assume or {})
    with Source(path, None, Counters(), threads=1, strict=False) as source:
        container_tags = tags_of(source.stream.codec_context)
        frame, start, tick = _first_picture(source)
        layout = layout_of(frame.format.name)
        if layout is None:
            raise UnsupportedMovieError(path, f"pixel format {frame.format.name} is not read", "re-encode as YCbCr or GBR")
        if frame.interlaced_frame and assumed.get("scan") != "progressive":
            raise UnsupportedMovieError(path, "is interlaced", 'deinterlace it, or assume = { scan = "progressive" }')
        found = metadata_of(frame, source.stream)
        profile = _dolby_vision(path, source, found)
        tags = _color_tags(path, {**container_tags, **found.tags}, assumed, layout.chroma)
        end = _end(source, start, tick)
        active = active_area(_keyframe_lumas(source, frame, start, end), _black(tags, layout.bits), layout.bits)
        sar = Fraction(source.stream.sample_aspect_ratio or 1) or Fraction(1)
        return Facts(
            path=path,
            stream=source.stream.index,
            codec=source.stream.codec_context.codec.canonical_name,
            width=frame.width,
            height=frame.height,
            bits=layout.bits,
            chroma=layout.chroma,
            fps=_fps(source, tick),
            start=float(start * source.time_base),
            duration=float((end - start) * source.time_base),
            tags=tags,
            mastering_peak=found.mastering_peak,
            max_cll=found.max_cll,
            max_fall=found.max_fall,
            dolby_vision=profile,
            hdr10_plus=found.hdr10_plus,
            rotation=-frame.rotation % 360,
            sample_aspect_ratio=(sar.numerator, sar.denominator),
            active=active,
            warnings=(
                *found.warnings,
                *(
                    f"the container says {field} {name}, the pictures say {found.tags[field]}"
                    for field, name in container_tags.items()
                    if found.tags.get(field, name) != name
                ),
                *_oddities(source, float((end - start) * source.time_base), sar, profile),
            ),
        )


# Colour


def _assumed(assume: Mapping[str, str]) -> dict[str, str]:
    assumed = {}
    for field, name in assume.items():
        if field not in ASSUMABLE:
            raise RecipeError(f"assume: {field!r} cannot be assumed, only {', '.join(ASSUMABLE)}")
        try:
            assumed[field] = name if field == "scan" else accepted_name(field, name)
        except ValueError as error:
            raise RecipeError(f"assume: {error}") from None
    if assumed.get("scan", "progressive") != "progressive":
        raise RecipeError(f"assume: scan {assumed['scan']!r}: only progressive can be assumed")
    return assumed


def _color_tags(path: str, known: dict[str, str], assumed: Mapping[str, str], chroma: str) -> ColorTags:
    if chroma != "gbr" and known.get("matrix") == "rgb":
        del known["matrix"]  # H.273 has 0 for RGB, and careless writers have it for YCbCr that they know nothing of
    if chroma == "gbr":
        known["matrix"] = "rgb"
    tags = {"range": "tv", "chroma_location": "left", **assumed, **known}
    missing = [field for field in NEEDED_TAGS if field not in tags]
    if missing:
        example = {"transfer": "pq", "primaries": "bt2020", "matrix": "bt2020nc"}
        remedy = ", ".join(f'{field} = "{example[field]}"' for field in missing)
        raise UntaggedMovieError(path, f"carries no {', '.join(missing)}", f"if you know them, e.g. assume = {{ {remedy} }}")
    for field in ("transfer", "primaries", "matrix", "range", "chroma_location"):
        try:
            tags[field] = accepted_name(field, tags[field])
        except ValueError as error:
            raise UnsupportedMovieError(path, str(error), "convert it to BT.2020 or BT.709 first") from None
    return ColorTags(**{field: tags[field] for field in (*NEEDED_TAGS, "range", "chroma_location")})


def _dolby_vision(path: str, source: Source, found: Metadata) -> str:
    context = source.stream.codec_context
    transfer = found.tags.get("transfer", "")
    tag = context.codec_tag
    no_base = found.dolby_profile in (4, 5) or (tag in DOLBY_TAGS and transfer not in ("pq", "hlg"))
    av1 = context.codec.canonical_name == "av1"
    if no_base:
        profile = "10.0" if av1 else str(found.dolby_profile or 5)
        raise UnsupportedMovieError(
            path,
            f"Dolby Vision profile {profile} has no HDR10-compatible base layer (IPT-PQ-C2)",
            "convert it first (e.g. ffmpeg's libplacebo filter with apply_dolbyvision) or leave it out",
        )
    if found.dolby_profile in (0, 7):
        return str(found.dolby_profile or "")
    return f"{10 if av1 else 8}.{ {'pq': 1, 'hlg': 4}.get(transfer, 2) }"


def _black(tags: ColorTags, bits: int) -> int:
    return 0 if tags.range == "pc" else 16 << bits - 8


# Times


def _first_picture(source: Source) -> tuple[VideoFrame, int, Fraction]:
    """The first good frame, and in time base units when the first picture is presented and how long one lasts."""
    times: list[int] = []
    first: VideoFrame | None = None
    duration = 0
    for number in range(FIRST_PACKETS):
        coded = source.read()
        if coded is None:
            break
        if coded.packet is not None and coded.packet.has_sidedata("encryption_info"):
            raise UnsupportedMovieError(source.path, "is encrypted", "decrypt it first")
        if coded.shows and coded.pts is not None and number <= REORDER:
            times.append(coded.pts)
        duration = duration or coded.duration
        if first is None:
            first = next((frame for _, frame in source.decode(coded) if not frame.is_corrupt), None)
        if first is not None and number >= REORDER:
            break
    if first is None:
        first = next((frame for _, frame in source.drain() if not frame.is_corrupt), None)
    if first is None:
        raise DamagedMovieError(source.path, "none of its first pictures can be decoded")
    if first.width * first.height > MAX_PIXELS:
        raise UnsupportedMovieError(source.path, f"claims {first.width}x{first.height} pixels")
    rate = source.stream.average_rate
    tick = Fraction(duration) or (1 / rate / source.time_base if rate else Fraction(1, 25) / source.time_base)
    return first, min(times, default=0), tick


def _fps(source: Source, tick: Fraction) -> float:
    if not source.timed:
        return float(1 / (tick * source.time_base))  # the demuxer's own rate is an option's default
    return float(source.stream.average_rate or 0)


def _end(source: Source, start: int, tick: Fraction) -> Fraction:
    """When the last picture ends, found in the packets; headers only say where to look."""
    if not source.timed:
        return _count_pictures(source.path, source.stream.index) * tick
    second = int(1 / source.time_base) + 1
    claimed = start + int(_claimed_seconds(source) / source.time_base)
    for step in range(20):
        aim = max(start - second, claimed - second * (4**step - 1))
        found = source.seek(aim)
        ends = [Fraction(c.pts + (c.duration or tick)) for c in iter(source.read, None) if c.shows and c.pts is not None]
        if found and ends:
            return max(ends)
        if aim < start:
            break
    with Source(source.path, source.stream.index, Counters(), threads=1, strict=False) as again:  # it cannot be sought at all
        return max(Fraction(c.pts + (c.duration or tick)) for c in iter(again.read, None) if c.shows and c.pts is not None)


def _count_pictures(path: str, stream: int) -> int:
    with Source(path, stream, Counters(), threads=1, strict=False) as source:
        return sum(coded.shows for coded in iter(source.read, None))


def _claimed_seconds(source: Source) -> Fraction:
    if source.stream.duration:
        return source.stream.duration * source.time_base
    return Fraction(source.container.duration or 0, 1_000_000)


def _keyframe_lumas(source: Source, first: VideoFrame, start: int, end: Fraction) -> Iterator[Plane]:
    """Luma of the first picture and of keyframes spread over the movie."""
    size = first.height, first.width
    yield planes_of(first).y[: size[0], : size[1]]
    seen: set[int | None] = set()
    for number in range(BAR_SAMPLES if source.timed else 0):
        if not source.seek(start + int((end - start) * Fraction(2 * number + 1, 2 * BAR_SAMPLES))):
            return
        keyframe = source.read()
        if keyframe is None or keyframe.pts in seen:
            continue
        seen.add(keyframe.pts)
        frames = [frame for _, frame in [*source.decode(keyframe), *source.drain()]]
        for frame in frames:
            if (frame.height, frame.width) == size and frame.format.name == first.format.name and not frame.is_corrupt:
                yield planes_of(frame).y[: size[0], : size[1]]


def _oddities(source: Source, seconds: float, sar: Fraction, profile: str) -> Iterator[str]:
    claimed = float(_claimed_seconds(source))
    if claimed > seconds * 1.05 + HEADER_SLACK:
        yield f"the header promises {claimed:.1f} s, the file holds {seconds:.1f} s: it is probably truncated"
    if sar != 1:
        yield f"its pixels are not square ({sar.numerator}:{sar.denominator}); they are used as they are"
    others = [str(s.index) for s in videos_of(source.container) if s.index != source.stream.index]
    if others:
        yield f"it has more video streams ({', '.join(others)}); stream {source.stream.index} is used"
    if profile == "7":
        yield "of Dolby Vision profile 7 only the HDR10 base layer is used"
