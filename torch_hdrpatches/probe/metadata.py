"""Reads the metadata of a decoded frame: colour tags, HDR10, HDR10+, Dolby Vision and chroma location."""

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
"""cd/m2; other peaks are invalid: no display is darker, and PQ ends at 10,000."""

SIDE_DATA_NUMBERS = range(64)
"""Possible values of FFmpeg's AVFrameSideDataType."""

_chroma_location = re.compile(r"\bcl:(\w+)")


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata of one frame; luminance in cd/m2, 0 = unknown."""

    tags: Mapping[str, str]
    """The fields of ``ColorTags`` that the frame carries; values without a name as ``number N``."""
    mastering_peak: float
    max_cll: float
    max_fall: float
    dolby_profile: int
    """From the RPU: 4, 5, 7, 8; 0 = no RPU. AV1 uses 8 for 10.1 and 10.4, and 5 for 10.0."""
    hdr10_plus: bool
    warnings: tuple[str, ...]


def tags_of(carrier: VideoFrame | av.VideoCodecContext) -> dict[str, str]:
    """The colour tags of a frame, or of a decoder before its first frame; unspecified ones are left out."""
    numbers = {
        "transfer": (carrier.color_trc, TRANSFERS),
        "primaries": (carrier.color_primaries, PRIMARIES),
        "matrix": (carrier.colorspace, MATRICES),
        "range": (carrier.color_range, RANGES),
    }
    unspecified = {"transfer": (0, 2), "primaries": (0, 2), "matrix": (2,), "range": (0,)}
    return {
        field: names.get(int(number), f"number {int(number)}")
        for field, (number, names) in numbers.items()
        if int(number) not in unspecified[field]
    }


def metadata_of(frame: VideoFrame, stream: VideoStream) -> Metadata:
    """All metadata of ``frame``, a frame of ``stream``."""
    side_data = _side_data(frame, stream)
    warnings: list[str] = []
    mastering, is_valid = _mastering_peak(side_data.get("MASTERING_DISPLAY_METADATA", b""))
    max_cll, max_fall = _light_level(side_data.get("CONTENT_LIGHT_LEVEL", b""))
    lights = {"mastering peak": mastering, "MaxCLL": max_cll, "MaxFALL": max_fall}
    for name, nits in lights.items():
        is_invalid = name == "mastering peak" and not is_valid
        if nits and (is_invalid or not (0 if name == "MaxFALL" else MIN_PEAK) <= nits <= MAX_PEAK):
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
        # PyAV 18 fails if it has no name for one type of side data: remove such types and try again.
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
    """FFmpeg's name of the chroma location; empty if unspecified. PyAV 18 lacks it, but ``showinfo`` logs it."""
    with logged() as lines:
        _filtered(frame, stream, [("showinfo", "checksum=0")])
    found = [match[1] for _, name, text in lines if "showinfo" in name and (match := _chroma_location.search(text))]
    return found[0] if found and found[0] in CHROMA_LOCATIONS.values() else ""


def _mastering_peak(payload: bytes) -> tuple[float, bool]:
    """The maximum luminance of AVMasteringDisplayMetadata in cd/m2, and whether FFmpeg considers it valid.

    The payload is ten rationals, of which the last is the maximum luminance, and two flags.
    """
    if len(payload) != struct.calcsize("<20i2i"):
        return 0.0, False
    fields = struct.unpack("<20i2i", payload)
    numerator, denominator, has_luminance = fields[18], fields[19], fields[21]
    return numerator / denominator if denominator else 0.0, bool(has_luminance)


def _light_level(payload: bytes) -> tuple[float, float]:
    """MaxCLL and MaxFALL of AVContentLightMetadata in cd/m2."""
    if len(payload) != struct.calcsize("<2I"):
        return 0.0, 0.0
    max_cll, max_fall = struct.unpack("<2I", payload)
    return float(max_cll), float(max_fall)


def _dolby_profile(payload: bytes) -> int:
    """Profile by AVDOVIMetadata, whose first field is the offset of AVDOVIRpuDataHeader."""
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
