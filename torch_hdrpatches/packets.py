"""What a packet's header says of its picture: does it come out of the decoder, and does any other picture need it."""

from __future__ import annotations

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


class Kind(NamedTuple):
    """What a packet holds."""

    shows: bool
    """A picture comes out of the decoder for it."""
    droppable: bool
    """No other picture refers to it, and it carries no parameter sets."""
    enters: bool = True
    """Decoding can begin with it, if it is flagged as a keyframe or the headers are explicit."""


class Unit(NamedTuple):
    """A NAL unit of the base layer."""

    start: int
    """Where its header is in the packet."""
    type: int
    temporal_id: int
    payload: int
    """The byte behind its header."""


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
            return _h264(bytes(packet), self._length_size)
        if self._codec == "vp9":
            return Kind(_vp9_shows(bytes(packet)), False)
        return Kind(True, False)

    def mute(self, packet: Packet[VideoStream]) -> None:
        """Turn metadata of H.265 into filler, in place, so that nothing but pictures can fail to decode.

        Film grain stays, for the decoder applies it.
        """
        if self._codec != "hevc":
            return
        data = bytes(packet)
        for unit in _hevc_units(data, self._length_size):
            sei = unit.type in HEVC_SEI and unit.payload != SEI_FILM_GRAIN
            if sei or unit.type in HEVC_UNSPECIFIED:
                memoryview(packet)[unit.start] = HEVC_FILLER << 1

    def _hevc(self, data: bytes) -> Kind:
        parameter_sets = False
        for unit in _hevc_units(data, self._length_size):
            if unit.type == HEVC_SPS:
                self._top_layer = unit.payload >> 1 & 7
            parameter_sets = parameter_sets or unit.type in HEVC_PARAMETER_SETS
            if unit.type in HEVC_SLICES:
                if unit.type in HEVC_KEYS:
                    self._hides_rasl, self._at_first_key = unit.type in HEVC_BLA or self._at_first_key, False
                # H.265 7.4.2.2: an even type below 16 is not referred to by pictures of its own sub-layer,
                # and above the highest sub-layer there are no others.
                unreferred = unit.type < 16 and unit.type % 2 == 0 and unit.temporal_id == self._top_layer
                shows = not (unit.type in HEVC_RASL and self._hides_rasl)
                return Kind(shows, unreferred and not parameter_sets, unit.type in HEVC_KEYS)
        return Kind(False, False, False)


def _length_size(codec: str, extradata: bytes) -> int:
    """Bytes that say the length before each NAL unit (ISO/IEC 14496-15); 0: there are start codes instead (Annex B)."""
    at = {"hevc": 21, "h264": 4}.get(codec)
    if at is None or extradata[:1] != b"\x01" or len(extradata) <= at:
        return 0
    return (extradata[at] & 3) + 1


def _nal_units(data: bytes, length_size: int) -> Iterator[int]:
    """Where the NAL units of a packet begin; ends where the lengths make no sense."""
    if length_size:
        start = length_size
        while start < len(data):
            yield start
            start += int.from_bytes(data[start - length_size : start], "big") + length_size
        return
    at = data.find(b"\0\0\1")
    while at >= 0:
        yield at + 3
        at = data.find(b"\0\0\1", at + 3)


def _hevc_units(data: bytes, length_size: int) -> Iterator[Unit]:
    for start in _nal_units(data, length_size):
        header = data[start : start + 3]
        if len(header) == 3 and not (header[0] & 1 or header[1] >> 3):
            yield Unit(start, header[0] >> 1 & 63, (header[1] & 7) - 1, header[2])


def _h264(data: bytes, length_size: int) -> Kind:
    parameter_sets = False
    for start in _nal_units(data, length_size):
        if start >= len(data):
            break
        nal_type, reference = data[start] & 31, data[start] >> 5 & 3
        parameter_sets = parameter_sets or nal_type in H264_PARAMETER_SETS
        if nal_type in H264_SLICES:
            # With intra refresh, a keyframe is where a recovery begins: it refers to what was before.
            intra = _slice_type(data[start + 1 : start + 9]) % 5 in H264_INTRA
            return Kind(True, not reference and not parameter_sets, intra)
    return Kind(False, False, False)


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
        return next((u.payload >> 1 & 7 for u in _hevc_units(extradata, 0) if u.type == HEVC_SPS), None)
    at = 23
    for _ in range(extradata[22] if len(extradata) > 22 else 0):
        nal_type, count = (
            int.from_bytes(extradata[at : at + 1], "big") & 63,
            int.from_bytes(extradata[at + 1 : at + 3], "big"),
        )
        at += 3
        for _ in range(count):
            if nal_type == HEVC_SPS and at + 4 < len(extradata):
                return extradata[at + 4] >> 1 & 7
            at += 2 + int.from_bytes(extradata[at : at + 2], "big")
    return None
