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

MIN_PEAK, MAX_PEAK = 1.0, 10_000.0  # cd/m2; other peaks are invalid: no display is darker, and PQ ends at 10,000


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata of one frame; luminance in cd/m2, 0 = unknown."""

    tags: Mapping[str, str]
    """The fields of ``ColorTags`` that the frame carries; values without a name as ``number N``."""
    mastering_peak: float
    max_cll: float
    max_fall: float
    dolby_profile: int
    """4, 5, 7 or 8 by the RPU; 0 = none. AV1 uses 8 for 10.1 and 10.4, and 5 for 10.0."""
    hdr10_plus: bool
    warnings: tuple[str, ...]


def tags_of(carrier: VideoFrame | av.VideoCodecContext) -> dict[str, str]:
    """The colour tags of a frame, or of a decoder before its first frame; unspecified ones are left out."""
    numbers = (
        ("transfer", int(carrier.color_trc), TRANSFERS, (0, 2)),
        ("primaries", int(carrier.color_primaries), PRIMARIES, (0, 2)),
        ("matrix", int(carrier.colorspace), MATRICES, (2,)),
        ("range", int(carrier.color_range), RANGES, (0,)),
    )
    return {
        field: names.get(number, f"number {number}")
        for field, number, names, unspecified in numbers
        if number not in unspecified
    }


def metadata_of(frame: VideoFrame, stream: VideoStream) -> Metadata:
    """All metadata of ``frame``, a frame of ``stream``."""
    side_data = _side_data(frame, stream)
    # AVMasteringDisplayMetadata: ten rationals, of which the last is the maximum luminance, and two flags of validity.
    *_, numerator, denominator, _, has_luminance = _numbers("<20i2i", side_data.get("MASTERING_DISPLAY_METADATA"))
    brightest, average = _numbers("<2I", side_data.get("CONTENT_LIGHT_LEVEL"))  # AVContentLightMetadata
    peak = numerator / denominator if denominator else 0.0
    lights = (
        ("mastering peak", peak, has_luminance and MIN_PEAK <= peak <= MAX_PEAK),
        ("MaxCLL", brightest, MIN_PEAK <= brightest <= MAX_PEAK),
        ("MaxFALL", average, average <= MAX_PEAK),
    )
    mastering_peak, max_cll, max_fall = (float(nits) if is_valid else 0.0 for _, nits, is_valid in lights)
    ignored = [f"{name} of {nits:g} cd/m2" for name, nits, is_valid in lights if nits and not is_valid]
    location = _location(frame, stream)
    return Metadata(
        tags={**tags_of(frame), **({"chroma_location": location} if location else {})},
        mastering_peak=mastering_peak,
        max_cll=max_cll,
        max_fall=max_fall,
        dolby_profile=_dolby_profile(side_data.get("DOVI_METADATA", b"")),
        hdr10_plus="DYNAMIC_HDR_PLUS" in side_data,
        warnings=tuple(f"{light} makes no sense and is ignored" for light in ignored),
    )


def _side_data(frame: VideoFrame, stream: VideoStream) -> dict[str, bytes]:
    try:
        return _payloads(frame)
    except ValueError:
        # PyAV 18 fails if it has no name for one type of side data: remove all such types that FFmpeg may have.
        unnamed = set(range(64)).difference(kind.value for kind in Type)
        return _payloads(_filtered(frame, stream, [("sidedata", f"mode=delete:type={number}") for number in unnamed]))


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
    texts = (re.search(r"\bcl:(\w+)", text) for _, name, text in lines if "showinfo" in name)
    location = next((match[1] for match in texts if match), "")
    return location if location in CHROMA_LOCATIONS.values() else ""


def _numbers(layout: str, payload: bytes | None) -> tuple[int, ...]:
    """The fields of a structure; zeros if it is absent or has another size."""
    size = struct.calcsize(layout)
    return struct.unpack(layout, payload if payload and len(payload) == size else bytes(size))


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
