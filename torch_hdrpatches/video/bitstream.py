"""What a packet's header says of its picture: does it come out of the decoder, and does any other picture need it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from av.packet import Packet
from av.video.stream import VideoStream

H264_SLICES = range(1, 6)
H264_PARAMETER_SETS = (7, 8, 13, 15)
H264_INTRA = (2, 4)
"""Slice types I and SI, modulo 5."""

HEVC_SLICES = range(32)
HEVC_RASL = (8, 9)
HEVC_BLA = (16, 17, 18)
HEVC_KEYS = range(16, 24)
HEVC_PARAMETER_SETS = (32, 33, 34)
HEVC_SPS = 33
HEVC_FILLER = 38
HEVC_SEI = (39, 40)
HEVC_UNSPECIFIED = (62, 63)
"""Dolby Vision: its RPU, and its enhancement layer."""
SEI_FILM_GRAIN = 19

FORBIDDEN = re.compile(rb"\x00\x00[\x00-\x02]")
"""Bytes that no NAL unit holds (H.264 7.4.1, H.265 7.4.2.2): where they are found a file was filled with zeros."""
MAX_TRAILING_ZEROS = 64
"""Padding in a NAL unit of known length, as phones write it; before a start code there may be any number."""


class Kind(NamedTuple):
    """What a packet holds."""

    shows: bool = False
    """A picture comes out of the decoder for it."""
    droppable: bool = False
    """No other picture refers to it, and it carries no parameter sets."""
    enters: bool = False
    """Decoding can begin with it, if it is flagged as a keyframe or the headers are explicit."""
    torn: bool = False
    """Its bytes cannot be what was written."""


class Unit(NamedTuple):
    """A NAL unit."""

    start: int
    """Where its header is in the packet."""
    end: int
    """Where its last byte that is not zero is followed by others."""
    head: bytes
    """Its first bytes."""
    misfits: bool
    """It ends outside the packet, or long before its length says."""

    def is_torn(self, data: bytes) -> bool:
        """Its bytes, a part of the packet's ``data``, cannot be what was written."""
        return self.misfits or FORBIDDEN.search(data, self.start, self.end) is not None


class Classifier:
    """Classifies the packets of one stream, given in decoding order."""

    def __init__(self, codec: str, extradata: bytes) -> None:
        self._codec = codec
        """FFmpeg's name of the format, not of the decoder."""
        self.is_explicit = codec == "hevc"
        """Whether headers alone tell what is a keyframe and which leading pictures after it can be decoded."""
        self._length_size = _length_size(codec, extradata)
        self._extradata_layer = _top_layer(extradata) if codec == "hevc" else None
        self.reset()

    def reset(self) -> None:
        """Forget the packets before: the next ones come from elsewhere in the stream."""
        self._top_layer = self._extradata_layer
        """The highest sub-layer that there may be (sps_max_sub_layers_minus1); None: unknown."""
        self._at_first_key = True
        self._hides_rasl = True

    def kind(self, packet: Packet[VideoStream]) -> Kind:
        """What ``packet`` holds."""
        if self._codec == "hevc":
            return self._hevc(bytes(packet))
        if self._codec == "h264":
            return self._h264(bytes(packet))
        return Kind(shows=self._codec != "vp9" or _vp9_shows(bytes(packet)), enters=True)

    def mute(self, packet: Packet[VideoStream]) -> None:
        """Turn metadata of H.265 into filler, in place, so that nothing but pictures can fail to decode.

        Film grain stays, for the decoder applies it.
        """
        if self._codec != "hevc":
            return
        for unit in _hevc_units(bytes(packet), self._length_size):
            sei = _hevc_type(unit) in HEVC_SEI and unit.head[2] != SEI_FILM_GRAIN
            if sei or _hevc_type(unit) in HEVC_UNSPECIFIED:
                memoryview(packet)[unit.start] = HEVC_FILLER << 1

    def _hevc(self, data: bytes) -> Kind:
        found, parameter_sets, torn = Kind(), False, False
        for unit in _hevc_units(data, self._length_size):
            kind = _hevc_type(unit)
            torn |= (kind in HEVC_SLICES or kind in HEVC_PARAMETER_SETS) and unit.is_torn(data)
            parameter_sets |= kind in HEVC_PARAMETER_SETS
            if kind == HEVC_SPS:
                self._top_layer = unit.head[2] >> 1 & 7
            if kind in HEVC_SLICES and not found.shows:
                if kind in HEVC_KEYS:
                    self._hides_rasl, self._at_first_key = kind in HEVC_BLA or self._at_first_key, False
                # H.265 7.4.2.2: an even type below 16 is not referred to by pictures of its own sub-layer,
                # and above the highest sub-layer there are no others.
                unreferred = kind < 16 and kind % 2 == 0 and (unit.head[1] & 7) - 1 == self._top_layer
                found = Kind(not (kind in HEVC_RASL and self._hides_rasl), unreferred, kind in HEVC_KEYS)
        return found._replace(droppable=found.droppable and not parameter_sets, torn=torn)

    def _h264(self, data: bytes) -> Kind:
        found, parameter_sets, torn = Kind(), False, False
        for unit in _units(data, self._length_size):
            kind, is_reference = unit.head[0] & 31, unit.head[0] >> 5 & 3
            torn |= (kind in H264_SLICES or kind in H264_PARAMETER_SETS) and unit.is_torn(data)
            parameter_sets |= kind in H264_PARAMETER_SETS
            if kind in H264_SLICES and not found.shows:
                # With intra refresh, a keyframe is where a recovery begins: it refers to what was before.
                found = Kind(True, not is_reference, _slice_type(unit.head[1:]) % 5 in H264_INTRA)
        return found._replace(droppable=found.droppable and not parameter_sets, torn=torn)


def _length_size(codec: str, extradata: bytes) -> int:
    """Bytes that say the length before each NAL unit (ISO/IEC 14496-15); 0: there are start codes instead (Annex B)."""
    at = {"hevc": 21, "h264": 4}.get(codec)
    if at is None or extradata[:1] != b"\x01" or len(extradata) <= at:
        return 0
    return (extradata[at] & 3) + 1


def _units(data: bytes, length_size: int) -> Iterator[Unit]:
    """The NAL units of a packet, of which there are at least three bytes."""
    for start, end in _spans(data, length_size):
        last = start + len(data[start:end].rstrip(b"\0"))
        misfits = end > len(data) or (length_size > 0 and end - last > MAX_TRAILING_ZEROS)
        if last - start >= 3:
            yield Unit(start, last, data[start : start + 12], misfits)


def _spans(data: bytes, length_size: int) -> Iterator[tuple[int, int]]:
    """Where NAL units begin and end."""
    if length_size:
        start = length_size
        while start < len(data):
            end = start + int.from_bytes(data[start - length_size : start], "big")
            yield start, end
            start = end + length_size
        return
    starts = [match.end() for match in re.finditer(rb"\x00\x00\x01", data)]
    ends = [start - 3 for start in starts[1:]] + [len(data)]
    yield from zip(starts, ends, strict=True) if starts else ()


def _hevc_units(data: bytes, length_size: int) -> Iterator[Unit]:
    """Those of the base layer."""
    return (unit for unit in _units(data, length_size) if not (unit.head[0] & 1 or unit.head[1] >> 3))


def _hevc_type(unit: Unit) -> int:
    return unit.head[0] >> 1 & 63


def _slice_type(header: bytes) -> int:
    """The second number of a slice header (H.264 7.3.3), both being Exp-Golomb codes (9.1)."""
    bits = "".join(f"{byte:08b}" for byte in header)
    number = -1
    for _ in range(2):
        zeros = len(bits) - len(bits.lstrip("0"))
        number = int(bits[zeros : 2 * zeros + 1] or "0", 2) - 1
        bits = bits[2 * zeros + 1 :]
    return number


def _vp9_shows(data: bytes) -> bool:
    """VP9 bitstream specification, uncompressed_header() and Annex B: a superframe shows its last frame."""
    if not data:
        return False
    marker = data[-1]
    index_size = 2 + ((marker >> 3 & 3) + 1) * ((marker & 7) + 1)
    if marker & 0xE0 == 0xC0 and data[-index_size:][:1] == bytes([marker]):
        return True
    shift = 1 if data[0] >> 4 & 3 == 3 else 0  # profile 3 has a reserved bit more
    shows_existing, shows = data[0] >> 3 - shift & 1, data[0] >> 1 - shift & 1
    return bool(shows_existing or shows)


def _top_layer(extradata: bytes) -> int | None:
    """sps_max_sub_layers_minus1 of the SPS in hvcC (ISO/IEC 14496-15, 8.3.3.1) or behind start codes."""
    if extradata[:1] != b"\x01":
        units = _hevc_units(extradata, 0)
        return next((unit.head[2] >> 1 & 7 for unit in units if _hevc_type(unit) == HEVC_SPS), None)
    at = 23
    for _ in range(extradata[22] if len(extradata) > 22 else 0):
        kind = int.from_bytes(extradata[at : at + 1], "big") & 63
        count = int.from_bytes(extradata[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            if kind == HEVC_SPS and at + 4 < len(extradata):
                return extradata[at + 4] >> 1 & 7
            at += 2 + int.from_bytes(extradata[at : at + 2], "big")
    return None
