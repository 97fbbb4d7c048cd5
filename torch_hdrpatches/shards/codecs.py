"""Lossless image codecs: pixels to bytes and back."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image

from ..errors import MissingExtraError, ShardError
from . import png
from .png import Pixels

MAX_PIXELS = 1 << 26
"""Largest image that is written or read; seven stacked 4K frames fit. A forged header cannot claim more memory."""
_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)


@dataclass(frozen=True, slots=True)
class Codec:
    """A lossless image format; its name in ``CODECS`` is the file suffix in a shard."""

    encode: Callable[[Pixels], bytes]
    decode: Callable[[bytes], Pixels]
    bits: tuple[int, ...]
    """Supported bits per value."""


def encode_image(pixels: Pixels, codec: str = "png") -> bytes:
    """Encode uint8 or uint16 (H, W, 3) RGB; equal pixels give equal bytes."""
    chosen = _codec(codec)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"expected uint8 or uint16 (height, width, 3), not {pixels.dtype} {pixels.shape}")
    _check_size(*pixels.shape[:2])
    bits = 8 * pixels.itemsize
    if bits not in chosen.bits:
        able = ", ".join(name for name, other in CODECS.items() if bits in other.bits)
        raise ValueError(f"{codec} cannot store {bits}-bit images; these codecs can: {able}")
    return chosen.encode(np.ascontiguousarray(pixels))


def decode_image(data: bytes, codec: str = "png") -> Pixels:
    """Decode what ``encode_image`` wrote, to a writable array.

    Raises ShardError if the bytes are truncated, are no image, or claim more than ``MAX_PIXELS``. Any change of a PNG's
    pixels is detected; the other formats have no checksum of them.
    """
    chosen = _codec(codec)
    try:
        pixels = chosen.decode(data)
        _check_size(*pixels.shape[:2])
    except (
        OSError,
        RuntimeError,
        SyntaxError,
        ValueError,
        *_TOO_LARGE,
    ) as error:  # SyntaxError: a broken PNG in Pillow
        raise ShardError(f"{codec} image of {len(data)} bytes: {error}") from error
    if pixels.shape[2:] != (3,) or pixels.dtype not in (np.uint8, np.uint16):
        found = f"{pixels.dtype} {pixels.shape}"
        raise ShardError(f"{codec} image of {len(data)} bytes: expected 8 or 16-bit RGB, not {found}")
    return pixels


def _codec(name: str) -> Codec:
    if name not in CODECS:
        raise ValueError(f"unknown image codec {name!r}; available: {', '.join(CODECS)}")
    return CODECS[name]


def _check_size(height: int, width: int) -> None:
    if not 0 < height * width <= MAX_PIXELS:
        raise ShardError(f"{height} x {width} pixels, where 1 to {MAX_PIXELS} are allowed")


def _png_decode(data: bytes) -> Pixels:
    header = png.header(data)
    _check_size(header.height, header.width)
    return png.read(data) if header.is_plain else _pillow_decode("PNG", data)


def _webp_encode(pixels: Pixels) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", lossless=True, quality=0, method=0)
    return stream.getvalue()


def _pillow_decode(format: str, data: bytes) -> Pixels:
    """WebP, and PNG as other programs rewrite it: palette, grey or interlaced."""
    with Image.open(io.BytesIO(data), formats=[format]) as image:
        _check_size(image.height, image.width)
        if image.mode not in ("1", "L", "P", "RGB") or image.has_transparency_data:
            raise ShardError(f"pixels of mode {image.mode}, where RGB without alpha is expected")
        return np.array(image.convert("RGB"))


def _jxl_encode(pixels: Pixels) -> bytes:
    return bytes(_imagecodecs().jpegxl_encode(pixels, lossless=True, effort=1, numthreads=1))


def _imagecodecs() -> Any:
    try:
        import imagecodecs
    except ImportError as error:
        raise MissingExtraError("jxl images need imagecodecs: pip install 'torch_hdrpatches[codecs]'") from error
    return imagecodecs


def _npy_encode(pixels: Pixels) -> bytes:
    stream = io.BytesIO()
    np.save(stream, pixels, allow_pickle=False)
    return stream.getvalue()


def _npy_decode(data: bytes) -> Pixels:
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    except Exception as error:
        raise ShardError(f"not a .npy header: {error}") from error
    if version != (1, 0) or len(shape) != 3 or dtype not in (np.uint8, np.uint16):
        raise ShardError(f"expected uint8 or uint16 (height, width, 3) in .npy version 1.0, not {dtype} {shape}")
    _check_size(*shape[:2])
    return np.frombuffer(bytearray(data), dtype, offset=stream.tell()).reshape(shape)


CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        "png": Codec(png.write, _png_decode, bits=(8, 16)),
        "webp": Codec(_webp_encode, partial(_pillow_decode, "WEBP"), bits=(8,)),
        # imagecodecs does not tell the size of an image before it decodes it
        "jxl": Codec(_jxl_encode, lambda data: _imagecodecs().jpegxl_decode(data), bits=(8, 16)),
        "npy": Codec(_npy_encode, _npy_decode, bits=(8, 16)),
    }
)
"""Image codecs by name. PNG opens everywhere and is fast; webp and jxl are smaller; npy is uncompressed."""
