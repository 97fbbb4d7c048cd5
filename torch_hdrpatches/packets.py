"""What a packet's header says of its picture: does it come out of the decoder, and does any other picture need it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import av

HEVC_RASL = (8, 9)
HEVC_BLA = (16, 17, 18)
HEVC_KEYS = range(16, 24)
HEVC_SLICES = range(0, 32)
HEVC_SPS = 33
HEVC_PARAMETER_SETS = (32, 33, 34)
H264_SLICES = (1, 2, 3, 4, 5)
H264_PARAMETER_SETS = (7, 8, 13, 15)


class Kind(NamedTuple):
    """What a packet holds."""

    shows: bool
    """A picture comes out of the decoder for it."""
    droppable: bool
    """No other picture refers to it, and it carries no parameter sets."""


class Classifier:
    """Classifies the packets of one stream, given in decoding order."""

    def __init__(self, codec: str, extradata: bytes) -> None:
        self._codec = {"libdav1d": "av1"}.get(codec, codec)
        self.tells_leading = self._codec == "hevc"
        """Whether :meth:`kind` knows which leading pictures after a keyframe can be decoded."""
        self._length_size = 0
        """Bytes before each NAL unit that say its length; 0: start codes (Annex B)."""
        self._extradata_layer: int | None = None
        if self._codec == "hevc":
            if extradata[:1] == b"\x01" and len(extradata) > 22:
                self._length_size = (extradata[21] & 3) + 1
            self._extradata_layer = _top_layer_of_extradata(extradata)
        elif self._codec == "h264" and extradata[:1] == b"\x01" and len(extradata) > 4:
            self._length_size = (extradata[4] & 3) + 1
        self.reset()

    def reset(self) -> None:
        """Forget the packets before: the next ones come from elsewhere in the stream."""
        self._top_layer = self._extradata_layer
        self._begins = True
        self._skips_rasl = True

    def kind(self, packet: av.Packet) -> Kind:
        """What ``packet`` holds."""
        if self._codec == "hevc":
            return self._hevc(bytes(packet))
        if self._codec == "h264":
            return _h264(bytes(packet), self._length_size)
        if self._codec == "vp9":
            return Kind(_vp9_shows(bytes(packet)), False)
        return Kind(True, False)

    def _hevc(self, data: bytes) -> Kind:
        parameter_sets = False
        for start in nal_units(data, self._length_size):
            header = data[start : start + 3]
            if len(header) < 3 or (header[0] & 1) << 5 | header[1] >> 3:
                continue  # an enhancement layer: the base layer is what is decoded
            nal_type, temporal_id = header[0] >> 1 & 63, (header[1] & 7) - 1
            if nal_type == HEVC_SPS:
                self._top_layer = header[2] >> 1 & 7
            if nal_type in HEVC_PARAMETER_SETS:
                parameter_sets = True
            if nal_type in HEVC_SLICES:
                if nal_type in HEVC_KEYS:
                    self._skips_rasl, self._begins = nal_type in HEVC_BLA or self._begins, False
                shows = not (nal_type in HEVC_RASL and self._skips_rasl)
                # H.265 7.4.2.2: an even type below 16 is not referred to by pictures of its own sub-layer,
                # and in the highest sub-layer there are no others.
                unreferred = nal_type < 16 and nal_type % 2 == 0 and temporal_id == self._top_layer
                return Kind(shows, unreferred and not parameter_sets)
        return Kind(False, False)


def nal_units(data: bytes, length_size: int) -> Iterator[int]:
    """Offsets of the NAL units of a packet; ends where the lengths make no sense."""
    if length_size:
        at = 0
        while at + length_size < len(data):
            start = at + length_size
            yield start
            at = start + int.from_bytes(data[at:start], "big")
        return
    at = data.find(b"\0\0\1")
    while at >= 0:
        yield at + 3
        at = data.find(b"\0\0\1", at + 3)


def _h264(data: bytes, length_size: int) -> Kind:
    parameter_sets = False
    for start in nal_units(data, length_size):
        header = data[start] if start < len(data) else 0
        nal_type = header & 31
        parameter_sets = parameter_sets or nal_type in H264_PARAMETER_SETS
        if nal_type in H264_SLICES:
            return Kind(True, not header >> 5 & 3 and not parameter_sets)
    return Kind(False, False)


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


def _top_layer_of_extradata(extradata: bytes) -> int | None:
    if extradata[:1] == b"\x01" and len(extradata) > 22:
        return _top_layer_of_hvcc(extradata)
    for start in nal_units(extradata, 0):
        if len(extradata) > start + 2 and extradata[start] >> 1 & 63 == HEVC_SPS:
            return extradata[start + 2] >> 1 & 7
    return None


def _top_layer_of_hvcc(extradata: bytes) -> int | None:
    """ISO/IEC 14496-15, 8.3.3.1: arrays of NAL units, of which the SPS says the number of sub-layers."""
    at = 23
    for _ in range(extradata[22]):
        if at + 3 > len(extradata):
            return None
        nal_type, count = extradata[at] & 63, int.from_bytes(extradata[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            start, at = at + 2, at + 2 + int.from_bytes(extradata[at : at + 2], "big")
            if nal_type == HEVC_SPS and start + 2 < len(extradata):
                return extradata[start + 2] >> 1 & 7
    return None
