"""One sample's pictures as bytes and back, without loss: the members of a shard."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image

from ..errors import MissingExtraError, ShardError
from . import png
from .png import Picture

MAX_PIXELS = 1 << 26
"""Largest picture that is written or read, so that a forged header cannot claim the memory (seven 4K pictures fit)."""


_NPY_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?P<length>..)\{'descr': '(?P<dtype>\|u1|<u2)', 'fortran_order': False, "
    rb"'shape': \((?P<height>\d{1,9}), (?P<width>\d{1,9}), 3\), \} *\n",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Codec:
    """A lossless picture format; its name in ``CODECS`` is the suffix of a shard's member."""

    encode: Callable[[Picture], bytes]
    decode: Callable[[bytes], Picture]
    bits: tuple[int, ...]
    """Bits per value that it can hold."""


def encode(picture: Picture, codec: str = "png") -> bytes:
    """The bytes of ``picture``, uint8 or uint16 (H, W, 3) RGB; the same picture gives the same bytes."""
    chosen = _codec(codec)
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"a picture is uint8 or uint16 (height, width, 3), not {picture.dtype} {picture.shape}")
    _check_size(*picture.shape[:2])
    bits = 8 * picture.itemsize
    if bits not in chosen.bits:
        able = ", ".join(name for name, other in CODECS.items() if bits in other.bits)
        raise ValueError(f"{codec} cannot hold {bits}-bit pictures; these can: {able}")
    return chosen.encode(np.ascontiguousarray(picture))


def decode(data: bytes, codec: str = "png") -> Picture:
    """The picture, writable, that ``encode`` turned into ``data``.

    Raises ``ShardError`` for bytes that are cut short, claim more than ``MAX_PIXELS`` or make no picture. A PNG whose
    pixels were changed is always found out; the other formats carry no check sum of them.
    """
    try:
        return _codec(codec).decode(data)
    except ShardError as error:
        raise ShardError(f"{codec} picture of {len(data)} bytes: {error}") from error


def _codec(name: str) -> Codec:
    if name not in CODECS:
        raise ValueError(f"no picture codec is called {name!r}; there are: {', '.join(CODECS)}")
    return CODECS[name]


def _check_size(height: int, width: int) -> None:
    if not 0 < height * width <= MAX_PIXELS:
        raise ShardError(f"{height} x {width} pixels, where 1 to {MAX_PIXELS} are allowed")


def _png_decode(data: bytes) -> Picture:
    header = png.header(data)
    _check_size(header.height, header.width)
    return png.read(data) if header.is_plain else _pillow_decode("PNG", data)


def _webp_encode(picture: Picture) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "WEBP", lossless=True, quality=0, method=0)
    return stream.getvalue()


def _webp_decode(data: bytes) -> Picture:
    return _pillow_decode("WEBP", data)


def _pillow_decode(kind: str, data: bytes) -> Picture:
    """WebP, and PNG as other programs rewrite it: as palette or grey pictures, or interlaced."""
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            _check_size(image.height, image.width)
            if image.mode not in ("1", "L", "P", "RGB") or image.has_transparency_data:
                raise ValueError(f"pixels of mode {image.mode}, where RGB without alpha is expected")
            return np.array(image.convert("RGB"))
    except _PILLOW_ERRORS as error:
        raise ShardError(str(error)) from error


# A broken PNG is a SyntaxError to Pillow.
_PILLOW_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning)


def _jxl_encode(picture: Picture) -> bytes:
    return bytes(_imagecodecs("jxl").jpegxl_encode(picture, lossless=True, effort=1, numthreads=1))


def _jxl_decode(data: bytes) -> Picture:
    size = _jxl_size(data)
    _check_size(*size)
    return _checked(_imagecodecs("jxl").jpegxl_decode, data, size)


def _jxl_size(data: bytes) -> tuple[int, int]:
    """Height and width as a JPEG XL codestream's first bits have them (ISO/IEC 18181-1, SizeHeader)."""
    start = data.find(b"\xff\x0a", 0, 64)  # inside the container's jxlc box, or at 0
    if start < 0:
        raise ShardError(f"the bytes start with {data[:8]!r}, which is no JPEG XL")
    bits = int.from_bytes(data[start + 2 : start + 14], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    def length() -> int:
        return 8 * (take(5) + 1) if in_eights else take((9, 13, 18, 30)[take(2)]) + 1

    in_eights = take(1)
    height = length()
    ratio = take(3)
    if ratio == 0:
        return height, length()
    wide, high = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
    return height, height * wide // high


def _qoi_encode(picture: Picture) -> bytes:
    return bytes(_imagecodecs("qoi").qoi_encode(picture))


def _qoi_decode(data: bytes) -> Picture:
    if data[:4] != b"qoif" or data[-8:] != bytes(7) + b"\1":
        raise ShardError("the bytes lack the mark of a QOI picture's start or end")
    width, height = struct.unpack_from(">II", data, 4)
    _check_size(height, width)
    return _checked(_imagecodecs("qoi").qoi_decode, data, (height, width))


def _imagecodecs(codec: str) -> Any:
    try:
        import imagecodecs
    except ImportError as error:
        raise MissingExtraError(f"{codec} pictures need imagecodecs: pip install 'torch_hdrpatches[codecs]'") from error
    return imagecodecs


def _checked(read: Callable[[bytes], Picture], data: bytes, size: tuple[int, int]) -> Picture:
    try:
        picture = read(data)
    except (RuntimeError, ValueError) as error:
        raise ShardError(str(error)) from error
    if picture.shape != (*size, 3) or picture.dtype not in (np.uint8, np.uint16):
        raise ShardError(f"{picture.dtype} {picture.shape}, where 8 or 16 bits of {(*size, 3)} are expected")
    return picture


def _npy_encode(picture: Picture) -> bytes:
    stream = io.BytesIO()
    np.save(stream, picture, allow_pickle=False)
    return stream.getvalue()


def _npy_decode(data: bytes) -> Picture:
    header = _NPY_HEADER.match(data)
    if header is None or header.end() != 10 + int.from_bytes(header["length"], "little"):
        raise ShardError("no .npy header of an uint8 or uint16 (height, width, 3) array as numpy writes it")
    height, width, dtype = int(header["height"]), int(header["width"]), np.dtype(header["dtype"].decode())
    _check_size(height, width)
    pixels = data[header.end() :]
    if len(pixels) != height * width * 3 * dtype.itemsize:
        raise ShardError(f"{len(pixels)} bytes of pixels do not make {height} x {width} of {dtype}")
    return np.frombuffer(bytearray(pixels), dtype).reshape(height, width, 3)


CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        "png": Codec(png.write, _png_decode, bits=(8, 16)),
        "webp": Codec(_webp_encode, _webp_decode, bits=(8,)),
        "jxl": Codec(_jxl_encode, _jxl_decode, bits=(8, 16)),
        "qoi": Codec(_qoi_encode, _qoi_decode, bits=(8,)),
        "npy": Codec(_npy_encode, _npy_decode, bits=(8, 16)),
    }
)
"""The picture formats by name. PNG opens everywhere and costs little; webp and jxl are smaller, npy is raw."""
