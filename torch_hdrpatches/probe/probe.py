"""What a movie is: its stream, size, times, colour tags and HDR metadata, and whether it can be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import partial

from ..color.names import accepted_name
from ..errors import DamagedMovieError, RecipeError, UnsupportedMovieError, UntaggedMovieError
from ..frames import ColorTags
from ..video.container import videos_of
from ..video.decoder import Counters, Source
from ..video.facts import Facts
from ..video.movie import MovieReader
from ..video.planes import layout_of
from ..video.timeout import Watched
from .metadata import Metadata, metadata_of, tags_of
from .scan import Beginning, active_area, beginning_of, claimed_seconds, end_of, lumas_between

PATIENCE_SECONDS = 1200.0
"""What takes longer to look into will not answer: the slowest honest one is a raw stream, all of which must be read."""
HEADER_SLACK = 2.0
"""Seconds by which a header may promise more than the file holds before it is said."""
DOLBY_TAGS = ("dvh1", "dvhe", "dav1", "dvav", "dva1")
EXAMPLE_TAGS = {"transfer": "pq", "primaries": "bt2020", "matrix": "bt2020nc"}
"""What untagged movies may be; no default, as nobody but their owner knows."""
NEEDED_TAGS = tuple(EXAMPLE_TAGS)
TAGS = (*NEEDED_TAGS, "range", "chroma_location")
ASSUMABLE = (*TAGS, "scan")


def probe(path: str, *, assume: Mapping[str, str] | None = None) -> Facts:
    """Look into a movie.

    Args:
        path: a file or URL.
        assume: colour tags by field of ``ColorTags``, for those that the file does not carry;
            ``scan="progressive"`` overrules pictures that are flagged as interlaced.

    Raises:
        MovieError: the movie gives nothing; why, and what would help.
        RecipeError: ``assume`` names something that cannot be assumed.
    """
    try:
        return Watched(partial(_facts, path, _assumed(assume or {}))).result(PATIENCE_SECONDS)
    except TimeoutError as error:
        raise DamagedMovieError(path, f"looking into it gave {error}", "remux or re-encode it") from None


def _facts(path: str, assumed: Mapping[str, str]) -> Facts:
    with Source(path, None, Counters(), threads=1, strict=False) as source:
        container_tags = tags_of(source.stream.codec_context)
        beginning = beginning_of(source)
        frame = beginning.frame
        layout = layout_of(frame.format.name)
        if layout is None:
            raise UnsupportedMovieError(path, f"pixel format {frame.format.name} is not read", "re-encode it as YCbCr")
        if frame.interlaced_frame and assumed.get("scan") != "progressive":
            raise UnsupportedMovieError(path, "is interlaced", 'deinterlace it, or assume = { scan = "progressive" }')
        found = metadata_of(frame, source.stream)
        profile = _dolby_vision(path, source, found)
        tags = _color_tags(path, {**container_tags, **found.tags}, assumed, layout.chroma)
        end = end_of(source, beginning)
        duration = float((end - beginning.time) * source.time_base)
        sar = Fraction(source.stream.sample_aspect_ratio or 1)
        black = 0 if tags.range == "pc" else 16 << layout.bits - 8
        return Facts(
            path=path,
            stream=source.stream.index,
            codec=source.stream.codec_context.codec.canonical_name,
            width=frame.width,
            height=frame.height,
            bits=layout.bits,
            chroma=layout.chroma,
            fps=_fps(source, beginning),
            start=float(beginning.time * source.time_base),
            duration=duration,
            tags=tags,
            mastering_peak=found.mastering_peak,
            max_cll=found.max_cll,
            max_fall=found.max_fall,
            dolby_vision=profile,
            hdr10_plus=found.hdr10_plus,
            rotation=-frame.rotation % 360,
            sample_aspect_ratio=(sar.numerator, sar.denominator),
            active=active_area(lumas_between(source, beginning, end), black, layout.bits),
            warnings=(
                *found.warnings,
                *_disagreements(container_tags, found.tags),
                *_oddities(source, duration, sar, profile),
            ),
        )


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
    if chroma == "gbr":
        known["matrix"] = "rgb"
    elif known.get("matrix") == "rgb":
        del known["matrix"]  # 0 in H.273: what careless writers put where they know nothing
    tags = {"range": "tv", "chroma_location": "left", **assumed, **known}
    missing = [field for field in NEEDED_TAGS if field not in tags]
    if missing:
        remedy = ", ".join(f'{field} = "{EXAMPLE_TAGS[field]}"' for field in missing)
        names = ", ".join(missing)
        raise UntaggedMovieError(path, f"carries no {names}", f"if you know better, e.g. assume = {{ {remedy} }}")
    try:
        return ColorTags(**{field: accepted_name(field, tags[field]) for field in TAGS})
    except ValueError as error:
        raise UnsupportedMovieError(path, str(error), "convert it to BT.2020 or BT.709 Y'CbCr first") from None


def _dolby_vision(path: str, source: Source, found: Metadata) -> str:
    """The profile; raises :class:`UnsupportedMovieError` if its base layer is not Y'CbCr."""
    context = source.stream.codec_context
    transfer = found.tags.get("transfer", "")
    generation = 10 if context.codec.canonical_name == "av1" else 8
    if found.dolby_profile in (4, 5) or (context.codec_tag in DOLBY_TAGS and transfer not in ("pq", "hlg")):
        profile = "10.0" if generation == 10 else str(found.dolby_profile or 5)
        raise UnsupportedMovieError(
            path,
            f"Dolby Vision profile {profile} has no HDR10-compatible base layer (IPT-PQ-C2)",
            "convert it first (e.g. ffmpeg's libplacebo filter with apply_dolbyvision) or leave it out",
        )
    if found.dolby_profile in (0, 7):
        return str(found.dolby_profile or "")
    compatibility = {"pq": 1, "hlg": 4}.get(transfer, 2)
    return f"{generation}.{compatibility}"


def _fps(source: Source, beginning: Beginning) -> float:
    if not source.timed:  # the demuxer's own rate is the default of an option
        return float(1 / (beginning.lasts * source.time_base))
    return float(source.stream.average_rate or 0)


def _disagreements(container_tags: Mapping[str, str], tags: Mapping[str, str]) -> Iterator[str]:
    for field, name in container_tags.items():
        if tags.get(field, name) != name:
            yield f"the container says {field} {name}, the pictures say {tags[field]}: the pictures are believed"


def _oddities(source: Source, seconds: float, sar: Fraction, profile: str) -> Iterator[str]:
    claimed = float(claimed_seconds(source))
    if claimed > seconds * 1.05 + HEADER_SLACK:
        yield f"its header promises {claimed:.1f} s, but it holds {seconds:.1f} s: it may be truncated"
    if sar != 1:
        yield f"its pixels are not square ({sar.numerator}:{sar.denominator}); they are used as they are"
    others = [str(stream.index) for stream in videos_of(source.container) if stream.index != source.stream.index]
    if others:
        yield f"it has other video streams ({', '.join(others)}); stream {source.stream.index} is used"
    if profile == "7":
        yield "of Dolby Vision profile 7 only the HDR10 base layer is used"


def open_movie(
    path: str, *, assume: Mapping[str, str] | None = None, facts: Facts | None = None, threads: int = 1
) -> MovieReader:
    """Open a movie; with ``facts`` given it is not probed again.

    Raises:
        MovieError: it gives nothing; why, and what would help.
    """
    return MovieReader(path, facts if facts is not None else probe(path, assume=assume), threads)
