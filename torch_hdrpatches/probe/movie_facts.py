"""Reads the properties of a movie, decides whether it can be used, and opens it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

from ..color.curves import implausible_peaks
from ..color.names import accepted_name, is_hdr
from ..errors import DamagedMovieError, RecipeError, StorageError, UnsupportedMovieError, UntaggedMovieError
from ..frames import ColorTags
from ..storage.paths import plain_path
from ..video.container import videos_of
from ..video.decoder import Decoder
from ..video.facts import Facts
from ..video.movie import MovieReader, TimedCall
from ..video.movie_file import waits_for_bytes
from ..video.planes import layout_of
from .metadata import Metadata, metadata_of, tags_of
from .scan import active_area, end_time, first_frame, header_seconds, luma_samples

PROBE_TIMEOUT_SECONDS = 1200.0
"""Longest time for reading the facts of a movie; the slowest correct case is a raw stream, which is read whole."""
DOLBY_TAGS = ("dvh1", "dvhe", "dav1", "dvav", "dva1")
EXAMPLE_TAGS = {"transfer": "pq", "primaries": "bt2020", "matrix": "bt2020nc"}
"""Colour tags suggested for untagged movies. They are no defaults, because only the owner knows the right ones."""
NEEDED_TAGS = tuple(EXAMPLE_TAGS)
TAGS = (*NEEDED_TAGS, "range", "chroma_location")
ASSUMABLE = (*TAGS, "scan")


def probe(path: str | Path, *, assume: Mapping[str, str] | None = None) -> Facts:
    """Read the facts of a movie.

    Args:
        path: a file or URL.
        assume: colour tags by field of ``ColorTags``, used where the file carries none;
            ``scan="progressive"`` accepts frames that are flagged as interlaced.

    Raises:
        MovieError: the movie cannot be used; says why, and what would help.
        StorageError: the disk, the network or the system fails or takes too long.
        RecipeError: ``assume`` has an invalid field or value.
    """
    path = plain_path(path)
    call = TimedCall(partial(_facts, path, _assumed(assume or {})))
    try:
        return call.result(PROBE_TIMEOUT_SECONDS)
    except TimeoutError as error:
        if waits_for_bytes(call):
            raise StorageError(f"{path}: reading gave {error}; check that its disk or server responds") from None
        raise DamagedMovieError(path, f"probing gave {error}", "remux or re-encode it") from None


def open_movie(
    path: str | Path, *, assume: Mapping[str, str] | None = None, facts: Facts | None = None, threads: int = 1
) -> MovieReader:
    """Open a movie; it is probed first unless ``facts`` are given.

    Raises:
        MovieError: the movie cannot be used; says why, and what would help.
    """
    return MovieReader(plain_path(path), facts if facts is not None else probe(path, assume=assume), threads)


def _facts(path: str, assumed: Mapping[str, str]) -> Facts:
    with Decoder(path) as decoder:
        context = decoder.stream.codec_context
        container_tags = tags_of(context)
        first = first_frame(decoder)
        frame = first.frame
        layout = layout_of(frame.format.name)
        if layout is None:
            reason = f"pixel format {frame.format.name} is not supported"
            raise UnsupportedMovieError(path, reason, "re-encode it as YCbCr")
        if frame.interlaced_frame and assumed.get("scan") != "progressive":
            raise UnsupportedMovieError(path, "is interlaced", 'deinterlace it, or assume = { scan = "progressive" }')
        found = metadata_of(frame, decoder.stream)
        dolby_vision = _dolby_vision(path, decoder, found)
        tags = _color_tags(path, {**container_tags, **found.tags}, assumed, layout.chroma)
        end = end_time(decoder, first)
        black = 0 if tags.range == "pc" else 16 << layout.bits - 8
        # The rate of a raw stream's demuxer is only a default value.
        fps = (decoder.stream.average_rate or 0) if decoder.has_pts else 1 / (first.duration * decoder.time_base)
        facts = Facts(
            path=path,
            stream=decoder.stream.index,
            codec=context.codec.canonical_name,
            width=frame.width,
            height=frame.height,
            bits=layout.bits,
            chroma=layout.chroma,
            fps=float(fps),
            start=float(first.pts * decoder.time_base),
            duration=float((end - first.pts) * decoder.time_base),
            tags=tags,
            mastering_peak=found.mastering_peak,
            max_cll=found.max_cll,
            max_fall=found.max_fall,
            dolby_vision=dolby_vision,
            hdr10_plus=found.hdr10_plus,
            rotation=-frame.rotation % 360,
            sample_aspect_ratio=Fraction(decoder.stream.sample_aspect_ratio or 1).as_integer_ratio(),
            active=active_area(luma_samples(decoder, first, end), black, layout.bits),
            warnings=found.warnings,
        )
        return replace(facts, warnings=(*found.warnings, *_oddities(decoder, facts, container_tags, found.tags)))


def _assumed(assume: Mapping[str, str]) -> dict[str, str]:
    """``assume`` with canonical names."""
    assumed = {}
    for field, name in assume.items():
        if field not in ASSUMABLE:
            raise RecipeError(f"assume: {field!r} cannot be assumed, only {', '.join(ASSUMABLE)}")
        if field == "scan" and name != "progressive":
            raise RecipeError(f"assume: scan {name!r}: only progressive can be assumed")
        try:
            assumed[field] = name if field == "scan" else accepted_name(field, name)
        except ValueError as error:
            raise RecipeError(f"assume: {error}") from None
    return assumed


def _color_tags(path: str, known: dict[str, str], assumed: Mapping[str, str], chroma: str) -> ColorTags:
    if chroma == "gbr":
        known["matrix"] = "rgb"
    elif known.get("matrix") == "rgb":
        del known["matrix"]  # number 0 in H.273, which some encoders write for "unknown"
    tags = {"range": "tv", "chroma_location": "left", **assumed, **known}
    missing = [field for field in NEEDED_TAGS if field not in tags]
    if missing:
        example = ", ".join(f'{field} = "{EXAMPLE_TAGS[field]}"' for field in missing)
        remedy = f"if you know better, e.g. assume = {{ {example} }}"
        raise UntaggedMovieError(path, f"carries no {', '.join(missing)}", remedy)
    try:
        return ColorTags(**{field: accepted_name(field, tags[field]) for field in TAGS})
    except ValueError as error:
        raise UnsupportedMovieError(path, str(error), "convert it to BT.2020 or BT.709 Y'CbCr first") from None


def _dolby_vision(path: str, decoder: Decoder, found: Metadata) -> str:
    """The Dolby Vision profile; one whose base layer is not Y'CbCr is refused."""
    context = decoder.stream.codec_context
    transfer = found.tags.get("transfer", "")
    generation = 10 if context.codec.canonical_name == "av1" else 8
    if found.dolby_profile in (4, 5) or (context.codec_tag in DOLBY_TAGS and not is_hdr(transfer)):
        profile = "10.0" if generation == 10 else str(found.dolby_profile or 5)
        reason = f"Dolby Vision profile {profile} has no HDR10-compatible base layer (IPT-PQ-C2)"
        remedy = "convert it first (e.g. ffmpeg's libplacebo filter with apply_dolbyvision) or leave it out"
        raise UnsupportedMovieError(path, reason, remedy)
    if found.dolby_profile in (0, 7):
        return str(found.dolby_profile or "")
    compatibility = {"pq": 1, "hlg": 4}.get(transfer, 2)
    return f"{generation}.{compatibility}"


def _oddities(
    decoder: Decoder, facts: Facts, container_tags: Mapping[str, str], frame_tags: Mapping[str, str]
) -> Iterator[str]:
    for field, name in container_tags.items():
        if frame_tags.get(field, name) != name:
            yield f"the container says {field} {name}, the pictures say {frame_tags[field]}: the pictures are believed"
    claimed = float(header_seconds(decoder))
    if claimed > facts.duration * 1.05 + 2:  # seconds
        yield f"its header promises {claimed:.1f} s, but it holds {facts.duration:.1f} s: it may be truncated"
    if facts.sample_aspect_ratio != (1, 1):
        width, height = facts.sample_aspect_ratio
        yield f"its pixels are not square ({width}:{height}); they are used as they are"
    others = [str(stream.index) for stream in videos_of(decoder.container) if stream.index != decoder.stream.index]
    if others:
        yield f"it has other video streams ({', '.join(others)}); stream {decoder.stream.index} is used"
    if facts.dolby_vision == "7":
        yield "of Dolby Vision profile 7 only the HDR10 base layer is used"
    warning = implausible_peaks(facts.max_cll, facts.mastering_peak)
    if warning and is_hdr(facts.tags.transfer):  # SDR movies are not tone-mapped, so their peak has no use
        yield warning
