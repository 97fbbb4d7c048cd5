"""Reads packet headers: keyframe or not, shown or hidden, and whether other frames refer to the frame.

H.264 and H.265 packets consist of NAL units. Clause numbers refer to these two standards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from av.packet import Packet
from av.video.stream import VideoStream

SLICES = {"h264": range(1, 6), "hevc": range(32)}
PARAMETER_SETS = {"h264": (7, 8, 13, 15), "hevc": (32, 33, 34)}
H264_INTRA = (2, 4)  # slice types I and SI, modulo 5
HEVC_RASL = (8, 9)
HEVC_BLA = (16, 17, 18)
HEVC_KEYS = range(16, 24)
HEVC_SPS = 33
HEVC_FILLER = 38
HEVC_SEI = (39, 40)
HEVC_UNSPECIFIED = (62, 63)  # RPU and enhancement layer of Dolby Vision
SEI_FILM_GRAIN = 19

FORBIDDEN = re.compile(rb"\x00\x00[\x00-\x02]")
"""Bytes that no NAL unit contains (H.264 7.4.1, H.265 7.4.2.2); a file with holes of zeros has them."""
MAX_TRAILING_ZEROS = 64
"""Padding in a NAL unit of known length, as phones write it; before a start code any number of zeros is allowed."""


class PacketKind(NamedTuple):
    """What the headers of a packet say."""

    shows: bool = False
    """The decoder outputs a frame for it."""
    droppable: bool = False
    """No other frame refers to its frame, and it carries no parameter sets."""
    is_entry_point: bool = False
    """Decoding can begin here, if the container flags a keyframe or ``Classifier.headers_suffice``."""
    is_corrupt: bool = False
    """Its bytes violate the standard, so the file was damaged."""


class Unit(NamedTuple):
    """A NAL unit; ``start`` and ``end`` are offsets in the packet."""

    type: int
    start: int
    end: int  # behind its last byte that is not zero
    head: bytes  # its first 12 bytes, or fewer
    has_wrong_length: bool
    """It ends outside the packet, or its stated length includes too many trailing zeros."""

    def is_corrupt(self, data: bytes) -> bool:
        """Whether it violates the standard; ``data`` is the whole packet."""
        return self.has_wrong_length or FORBIDDEN.search(data, self.start, self.end) is not None


class Classifier:
    """Classifies the packets of one stream, given in decoding order."""

    def __init__(self, codec: str, extradata: bytes) -> None:
        self._codec = codec  # FFmpeg's name of the format, not of the decoder
        self.headers_suffice = codec == "hevc"
        """Headers alone tell which frames are keyframes and which leading frames can be decoded."""
        self._length_size = _length_size(codec, extradata)
        self._extradata_layer = _top_layer(extradata) if codec == "hevc" else None
        self.reset()

    def reset(self) -> None:
        """Forget earlier packets, because the next ones come from elsewhere in the stream."""
        self._top_layer = self._extradata_layer
        """Highest possible temporal sub-layer (sps_max_sub_layers_minus1); None = unknown."""
        self._at_first_key = True
        self._hides_rasl = True

    def classify(self, packet: Packet[VideoStream]) -> PacketKind:
        """Read the headers of the next packet."""
        data = bytes(packet)
        if self._codec not in SLICES:
            return PacketKind(shows=self._codec != "vp9" or _vp9_shows(data), is_entry_point=True)
        # A packet of zeros contains no unit; its frame would otherwise be missing unnoticed.
        kind, has_parameter_sets, is_corrupt = PacketKind(), False, 0 < len(data) == data.count(0)
        for unit in _units(data, self._codec, self._length_size):
            is_slice, is_parameter_set = (unit.type in types[self._codec] for types in (SLICES, PARAMETER_SETS))
            is_corrupt |= (is_slice or is_parameter_set) and unit.is_corrupt(data)
            has_parameter_sets |= is_parameter_set
            if self._codec == "hevc" and unit.type == HEVC_SPS:
                self._top_layer = _sub_layers(unit.head)
            if is_slice and not kind.shows:
                kind = self._hevc_slice(unit) if self._codec == "hevc" else _h264_slice(unit)
        return kind._replace(droppable=kind.droppable and not has_parameter_sets, is_corrupt=is_corrupt)

    def blank_metadata(self, packet: Packet[VideoStream]) -> None:
        """Turn H.265 metadata into filler data, in place, so that only frame data can cause decoding errors."""
        if self._codec != "hevc":
            return
        for unit in _units(bytes(packet), self._codec, self._length_size):
            # The decoder applies film grain, so that is kept.
            if unit.type in HEVC_UNSPECIFIED or (unit.type in HEVC_SEI and unit.head[2] != SEI_FILM_GRAIN):
                memoryview(packet)[unit.start] = HEVC_FILLER << 1

    def _hevc_slice(self, unit: Unit) -> PacketKind:
        is_key = unit.type in HEVC_KEYS
        if is_key:
            self._hides_rasl, self._at_first_key = unit.type in HEVC_BLA or self._at_first_key, False
        # H.265 7.4.2.2: frames of the same sub-layer do not refer to even types below 16,
        # and there is no layer above the highest one.
        unreferred = unit.type < 16 and unit.type % 2 == 0 and (unit.head[1] & 7) - 1 == self._top_layer
        return PacketKind(not (unit.type in HEVC_RASL and self._hides_rasl), unreferred, is_key)


def _h264_slice(unit: Unit) -> PacketKind:
    is_reference = unit.head[0] >> 5 & 3
    # With intra refresh, a flagged keyframe only begins a recovery and refers to earlier frames.
    return PacketKind(True, not is_reference, _slice_type(unit.head[1:]) % 5 in H264_INTRA)


def _length_size(codec: str, extradata: bytes) -> int:
    """Bytes of the length before each NAL unit (ISO/IEC 14496-15); 0 = start codes instead (Annex B)."""
    at = {"hevc": 21, "h264": 4}.get(codec)
    if at is None or extradata[:1] != b"\x01" or len(extradata) <= at:
        return 0
    return (extradata[at] & 3) + 1


def _units(data: bytes, codec: str, length_size: int) -> Iterator[Unit]:
    """The NAL units of a packet that have at least three bytes; of H.265 those of the base layer."""
    for start, end in _unit_bounds(data, length_size):
        last = start + len(data[start:end].rstrip(b"\0"))
        head = data[start : start + 12]
        if last - start < 3 or (codec == "hevc" and (head[0] & 1 or head[1] >> 3)):
            continue
        has_wrong_length = end > len(data) or (length_size > 0 and end - last > MAX_TRAILING_ZEROS)
        unit_type = head[0] >> 1 & 63 if codec == "hevc" else head[0] & 31
        yield Unit(unit_type, start, last, head, has_wrong_length)


def _unit_bounds(data: bytes, length_size: int) -> Iterator[tuple[int, int]]:
    if not length_size:
        starts = [match.end() for match in re.finditer(rb"\x00\x00\x01", data)]
        yield from zip(starts, [start - 3 for start in starts[1:]] + [len(data)], strict=False)
        return
    start = length_size
    while start < len(data):
        end = start + int.from_bytes(data[start - length_size : start], "big")
        yield start, end
        start = end + length_size


def _sub_layers(sps: bytes) -> int:
    """sps_max_sub_layers_minus1 of an SPS that begins with its NAL unit header."""
    return sps[2] >> 1 & 7


def _slice_type(header: bytes) -> int:
    """The second number of a slice header (H.264 7.3.3); both are Exp-Golomb codes (9.1)."""
    bits = "".join(f"{byte:08b}" for byte in header)
    number = -1
    for _ in range(2):
        zeros = len(bits) - len(bits.lstrip("0"))
        number = int(bits[zeros : 2 * zeros + 1] or "0", 2) - 1
        bits = bits[2 * zeros + 1 :]
    return number


def _vp9_shows(data: bytes) -> bool:
    """Whether a VP9 packet shows a frame (bitstream specification, uncompressed_header and Annex B)."""
    if not data:
        return False
    marker = data[-1]
    index_size = 2 + ((marker >> 3 & 3) + 1) * ((marker & 7) + 1)
    if marker & 0xE0 == 0xC0 and data[-index_size:][:1] == bytes([marker]):
        return True  # a superframe shows its last frame
    shift = 1 if data[0] >> 4 & 3 == 3 else 0  # profile 3 has one more reserved bit
    shows_existing, shows = data[0] >> 3 - shift & 1, data[0] >> 1 - shift & 1
    return bool(shows_existing or shows)


def _top_layer(extradata: bytes) -> int | None:
    """sps_max_sub_layers_minus1 of the SPS in hvcC (ISO/IEC 14496-15, 8.3.3.1) or after a start code."""
    if extradata[:1] != b"\x01":
        units = _units(extradata, "hevc", 0)
        return next((_sub_layers(unit.head) for unit in units if unit.type == HEVC_SPS), None)
    at = 23
    for _ in range(extradata[22] if len(extradata) > 22 else 0):
        unit_type = extradata[at] & 63 if at < len(extradata) else 0
        count = int.from_bytes(extradata[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            if unit_type == HEVC_SPS and at + 4 < len(extradata):
                return _sub_layers(extradata[at + 2 :])
            at += 2 + int.from_bytes(extradata[at : at + 2], "big")
    return None
