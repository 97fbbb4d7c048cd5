"""What a decoded picture says about itself: colour tags, mastering light, Dolby Vision, where its chroma sits."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import av
from av.filter import Graph
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ..color.names import CHROMA_LOCATIONS, MATRICES, PRIMARIES, RANGES, TRANSFERS
from ..video.container import logged

MIN_PEAK, MAX_PEAK = 1.0, 10_000.0
"""cd/m2 between which a peak can be meant: no display is mastered on below, and PQ ends above."""

SIDE_DATA_NUMBERS = range(64)
"""Numbers that FFmpeg's AVFrameSideDataType may take."""

_chroma_location = re.compile(r"\bcl:(\w+)")


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata of one picture; light in cd/m2, 0 = unknown."""

    tags: Mapping[str, str]
    """The fields of ``ColorTags`` that the picture carries, known names only; others as FFmpeg's number."""
    mastering_peak: float
    max_cll: float
    max_fall: float
    dolby_profile: int
    """From the RPU: 4, 5, 7, 8; 0 = no RPU. AV1 carries 8 where it means 10.1 or 10.4, and 5 for 10.0."""
    hdr10_plus: bool
    warnings: tuple[str, ...]


def tags_of(picture: VideoFrame | av.VideoCodecContext) -> dict[str, str]:
    """The colour tags that a frame, or a decoder before its first frame, carries; unspecified ones are left out."""
    numbers = {
        "transfer": (picture.color_trc, TRANSFERS),
        "primaries": (picture.color_primaries, PRIMARIES),
        "matrix": (picture.colorspace, MATRICES),
        "range": (picture.color_range, RANGES),
    }
    unspecified = {"transfer": (0, 2), "primaries": (0, 2), "matrix": (2,), "range": (0,)}
    return {
        field: names.get(int(number), f"number {int(number)}")
        for field, (number, names) in numbers.items()
        if int(number) not in unspecified[field]
    }


def metadata_of(frame: VideoFrame, stream: VideoStream) -> Metadata:
    """Read everything that ``frame`` of ``stream`` carries."""
    side_data = _side_data(frame, stream)
    warnings: list[str] = []
    mastering, is_sound = _mastering_peak(side_data.get("MASTERING_DISPLAY_METADATA", b""))
    max_cll, max_fall = _light_level(side_data.get("CONTENT_LIGHT_LEVEL", b""))
    lights = {"mastering peak": mastering, "MaxCLL": max_cll, "MaxFALL": max_fall}
    for name, nits in lights.items():
        refused = name == "mastering peak" and not is_sound
        if nits and (refused or not (0 if name == "MaxFALL" else MIN_PEAK) <= nits <= MAX_PEAK):
            warnings.append(f"{name} of {nits:g} cd/m2 makes no sense and is ignored")
            lights[name] = 0.0
    location = _location(frame, stream)
    return Metadata(
        tags={**tags_of(frame), **({"chroma_location": location} if location else {})},
        mastering_peak=lights["mastering peak"],
        max_cll=lights["MaxCLL"],
        max_fall=lights["MaxFALL"],
        dolby_profile=_dolby_profile(side_data.get("DOVI_METADATA", b"")),
        hdr10_plus="DYNAMIC_HDR_PLUS" in side_data,
        warnings=tuple(warnings),
    )


def _side_data(frame: VideoFrame, stream: VideoStream) -> dict[str, bytes]:
    try:
        return _payloads(frame)
    except ValueError:
        # PyAV 18 refuses all side data if it has no name for one of them: take those away and look again.
        named: set[object] = {kind.value for kind in Type}
        unnamed = [number for number in SIDE_DATA_NUMBERS if number not in named]
        bare = _filtered(frame, stream, [("sidedata", f"mode=delete:type={number}") for number in unnamed])
        return _payloads(bare)


def _payloads(frame: VideoFrame) -> dict[str, bytes]:
    found = {kind.name: frame.side_data.get(kind.name) for kind in Type}
    return {name: bytes(data) for name, data in found.items() if isinstance(data, SideData)}


def _filtered(frame: VideoFrame, stream: VideoStream, filters: list[tuple[str, str]]) -> VideoFrame:
    graph = Graph()
    steps = [graph.add_buffer(template=stream, time_base=stream.time_base)]
    steps += [graph.add(name, arguments) for name, arguments in filters]
    steps.append(graph.add("buffersink"))
    for before, after in pairwise(steps):
        before.link_to(after)
    graph.configure()
    graph.push(frame)
    result = graph.pull()
    assert isinstance(result, VideoFrame)
    return result


def _location(frame: VideoFrame, stream: VideoStream) -> str:
    """Where chroma sits, by FFmpeg's name, empty if unspecified: PyAV 18 does not say, but ``showinfo`` logs it."""
    with logged() as lines:
        _filtered(frame, stream, [("showinfo", "checksum=0")])
    found = [match[1] for _, name, text in lines if "showinfo" in name and (match := _chroma_location.search(text))]
    return found[0] if found and found[0] in CHROMA_LOCATIONS.values() else ""


def _mastering_peak(payload: bytes) -> tuple[float, bool]:
    """cd/m2, and whether FFmpeg found it sound.

    AVMasteringDisplayMetadata: ten rationals, of which the last is the maximum luminance, and two flags.
    """
    if len(payload) != struct.calcsize("<20i2i"):
        return 0.0, False
    fields = struct.unpack("<20i2i", payload)
    numerator, denominator, has_luminance = fields[18], fields[19], fields[21]
    return numerator / denominator if denominator else 0.0, bool(has_luminance)


def _light_level(payload: bytes) -> tuple[float, float]:
    """AVContentLightMetadata: MaxCLL and MaxFALL."""
    if len(payload) != struct.calcsize("<2I"):
        return 0.0, 0.0
    max_cll, max_fall = struct.unpack("<2I", payload)
    return float(max_cll), float(max_fall)


def _dolby_profile(payload: bytes) -> int:
    """AVDOVIMetadata: its first field is the offset of AVDOVIRpuDataHeader."""
    if len(payload) < 8:
        return 0
    (offset,) = struct.unpack_from("<Q", payload)
    if offset + struct.calcsize("<BBH13B") > len(payload):
        return 0
    header = struct.unpack_from("<BBH13B", payload, offset)
    rpu_profile, full_range, vdr_bits = header[3], header[9], header[12]
    enhancement, residual = header[14], not header[15]
    if rpu_profile == 0:
        return 5 if full_range else 4
    if rpu_profile == 1 and enhancement and residual:
        return 7 if vdr_bits == 12 else 4
    return 8
