"""Codecs are lossless, other programs can open their images, and damage is detected."""

import io
import itertools
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from torch_hdrpatches.errors import MissingExtraError, ShardError
from torch_hdrpatches.shards import png
from torch_hdrpatches.shards.codecs import CODECS, MAX_PIXELS, decode_image, encode_image

imagecodecs = pytest.importorskip("imagecodecs")

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))
IMAGES = st.sampled_from([np.uint8, np.uint16]).flatmap(lambda dtype: hnp.arrays(dtype, SHAPES))


def landscape(dtype: type, height: int = 67, width: int = 91) -> np.ndarray:
    """Smooth shapes and noise over the whole range of the type, like film."""
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / 9 + c) * np.cos(y / 13 - c) for c in range(3)], axis=-1)
    noise = np.random.default_rng(1).normal(0, 0.02, waves.shape)
    return (np.clip((waves + noise) * 0.5 + 0.5, 0, 1) * np.iinfo(dtype).max).astype(dtype)


TYPES = {8: np.uint8, 16: np.uint16}
ABLE = [(name, TYPES[bits]) for name, codec in CODECS.items() for bits in codec.bits]


@pytest.mark.parametrize(("codec", "dtype"), ABLE)
def test_every_codec_is_lossless(codec, dtype):
    for picture in (landscape(dtype), landscape(dtype, 1, 1), landscape(dtype, 1, 300), landscape(dtype, 300, 1)):
        back = decode_image(encode_image(picture, codec), codec)
        assert back.dtype == picture.dtype
        assert back.flags.writeable
        np.testing.assert_array_equal(back, picture)


@settings(max_examples=60, deadline=None)
@given(IMAGES)
def test_png_is_lossless_for_any_pixels(picture):
    np.testing.assert_array_equal(decode_image(encode_image(picture)), picture)


@pytest.mark.parametrize("codec", CODECS)
def test_equal_pixels_give_equal_bytes(codec):
    picture = landscape(np.uint8)
    turned = np.asfortranarray(picture)
    turned.flags.writeable = False
    assert encode_image(picture, codec) == encode_image(picture.copy(), codec) == encode_image(turned, codec)


MANY = """
import hashlib, numpy, torch_hdrpatches.shards.png as png
rows = numpy.random.default_rng(1).integers(0, 256, (10_000, 2, 10, 3), numpy.uint8)
print(hashlib.sha256(b"".join(png.write(numpy.tile(two, (3, 1, 1))) for two in rows)).hexdigest())
"""


def test_png_of_every_process_has_the_same_bytes():
    """Independent of stack addresses, which once changed one image in a thousand here."""
    run = [sys.executable, "-c", MANY]
    assert len({subprocess.run(run, check=True, capture_output=True, text=True).stdout for _ in range(3)}) == 1


def test_other_programs_open_our_8_bit_png():
    picture = landscape(np.uint8)
    data = encode_image(picture)
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode) == ("PNG", "RGB")
    np.testing.assert_array_equal(np.asarray(image), picture)
    np.testing.assert_array_equal(imagecodecs.png_decode(data), picture)


def test_other_programs_open_our_16_bit_png():
    picture = landscape(np.uint16)
    data = encode_image(picture)
    np.testing.assert_array_equal(imagecodecs.png_decode(data), picture)
    cv2 = pytest.importorskip("cv2")
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(bgr[..., ::-1], picture)


def written_by_others() -> dict[str, tuple[bytes, np.ndarray]]:
    def pillow(image: Image.Image, **options: object) -> bytes:
        stream = io.BytesIO()
        image.save(stream, "PNG", **options)
        return stream.getvalue()

    rgb, deep = landscape(np.uint8), landscape(np.uint16)
    palette = Image.fromarray(rgb).quantize(16)
    grey = Image.fromarray(rgb).convert("L")
    return {
        "all filters": (pillow(Image.fromarray(rgb)), rgb),
        "16 bits": (imagecodecs.png_encode(deep), deep),
        "palette": (pillow(palette), np.asarray(palette.convert("RGB"))),
        "grey": (pillow(grey), np.asarray(grey.convert("RGB"))),
    }


@pytest.mark.parametrize("kind", ["all filters", "16 bits", "palette", "grey"])
def test_png_of_other_programs_is_read(kind):
    data, picture = written_by_others()[kind]
    np.testing.assert_array_equal(decode_image(data), picture)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def by_hand(picture: np.ndarray, filters: list[int], parts: int = 1) -> bytes:
    """A PNG with the given filter per row, written as in the standard, its pixels in several chunks."""
    height, width, _ = picture.shape
    step = 3 * picture.itemsize
    raw = picture.astype(picture.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1).astype(int)
    stream = b""
    for i, kind in enumerate(filters):
        up = raw[i - 1] if i else np.zeros_like(raw[0])
        left, corner = (np.concatenate([np.zeros(step, int), row[:-step]]) for row in (raw[i], up))
        guess = left + up - corner
        near = np.stack([abs(guess - left), abs(guess - up), abs(guess - corner)]).argmin(axis=0)
        paeth = np.choose(near, [left, up, corner])
        predicted = [np.zeros_like(up), left, up, (left + up) // 2, paeth][kind % 5]
        stream += bytes([kind]) + ((raw[i] - predicted) % 256).astype(np.uint8).tobytes()
    packed = zlib.compress(stream)
    cuts = np.linspace(0, len(packed), parts + 1).astype(int)
    pixels = b"".join(chunk(b"IDAT", packed[a:b]) for a, b in itertools.pairwise(cuts))
    header = struct.pack(">IIBBBBB", width, height, 8 * picture.itemsize, 2, 0, 0, 0)
    text = chunk(b"tEXt", b"Comment\0by hand")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + text + pixels + chunk(b"IEND", b"")


@settings(max_examples=60, deadline=None)
@given(IMAGES, st.data())
def test_png_with_any_filters_and_chunks_is_read(picture, data):
    filters = data.draw(st.lists(st.integers(0, 4), min_size=len(picture), max_size=len(picture)))
    np.testing.assert_array_equal(decode_image(by_hand(picture, filters, data.draw(st.integers(1, 4)))), picture)


@pytest.mark.parametrize("codec", ["webp"])
def test_8_bit_codecs_refuse_16_bits_and_name_codecs_that_can(codec):
    with pytest.raises(ValueError, match=rf"{codec} cannot store 16-bit images; these codecs can: png, jxl, npy"):
        encode_image(landscape(np.uint16), codec)


def test_other_arrays_and_codecs_are_refused():
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)):
        with pytest.raises(ValueError, match=r"uint8 or uint16 \(height, width, 3\)"):
            encode_image(wrong)
    with pytest.raises(ValueError, match="unknown image codec 'tiff'; available: png"):
        encode_image(landscape(np.uint8), "tiff")


@pytest.mark.parametrize("codec", ["jxl"])
def test_a_missing_extra_is_named(codec, monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(MissingExtraError, match=rf"{codec} images need .*torch_hdrpatches\[codecs\]"):
        encode_image(landscape(np.uint8), codec)


@pytest.mark.parametrize("codec", CODECS)
def test_bytes_cut_short_raise_a_shard_error(codec):
    data = encode_image(landscape(np.uint8), codec)
    for length in (0, 1, 8, 20, 40, len(data) // 2, len(data) - 1):
        with pytest.raises(ShardError, match=f"{codec} image of {length} bytes"):
            decode_image(data[:length], codec)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 255))
def test_any_changed_byte_of_a_png_is_detected(place, change):
    data = bytearray(encode_image(landscape(np.uint8, 30, 30)))
    data[place % len(data)] ^= change
    with pytest.raises(ShardError):
        decode_image(bytes(data))


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_damage_never_raises_anything_but_a_shard_error(codec, seed):
    rng = np.random.default_rng(seed)
    picture = landscape(np.uint8, 30, 30)
    data = bytearray(encode_image(picture, codec))
    for place in rng.integers(0, [len(data), len(data), 130, 20]):  # headers as often as pixels
        data[place] ^= int(rng.integers(1, 256))
    try:
        back = decode_image(bytes(data), codec)
    except ShardError:
        return
    assert codec != "png"
    assert back.shape[2] == 3


def test_more_pixels_than_announced_are_never_inflated():
    rows = zlib.compress(bytes(50_000_000), 9)
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    with pytest.raises(ShardError, match="not the 8 x 8 x 3 bytes that its header announces"):
        decode_image(bomb)


def test_an_unknown_filter_is_refused():
    with pytest.raises(ShardError, match="row 2 has an unknown filter"):
        decode_image(by_hand(landscape(np.uint8, 4, 4), [0, 1, 5, 0]))


def forged(codec: str) -> bytes:
    """A small image whose header claims 2^30 pixels."""
    side = 1 << 15
    data = bytearray(encode_image(landscape(np.uint8, 4, 4), codec))
    if codec == "png":
        data[16:24] = struct.pack(">II", side, side)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif codec == "npy":
        data = bytearray(data.replace(b"(4, 4, 3)", b"(32768, 32768, 3)", 1).replace(b"  ", b"", 4))
    return bytes(data)


@pytest.mark.parametrize("codec", ["png", "npy"])
def test_a_header_that_claims_too_much_is_refused_before_memory_is_taken(codec):
    with pytest.raises(ShardError, match=f"32768 x 32768 pixels, where 1 to {MAX_PIXELS} are allowed"):
        decode_image(forged(codec), codec)


def test_objects_are_never_unpickled():
    stream = io.BytesIO()
    np.save(stream, np.array([[["a", "b", None]]], object), allow_pickle=True)
    with pytest.raises(ShardError):
        decode_image(stream.getvalue(), "npy")


def test_a_transparent_png_is_refused():
    stream = io.BytesIO()
    Image.new("RGBA", (4, 4)).save(stream, "PNG")
    with pytest.raises(ShardError, match="without alpha"):
        decode_image(stream.getvalue())


def test_filters_are_chosen_per_row():
    across = np.tile(np.arange(90, dtype=np.uint8).reshape(1, 30, 3), (20, 1, 1))
    assert png.header(encode_image(across)) == (30, 20, 8, 2, 0, 0, 0)
    assert len(encode_image(across)) < 300
    assert len(encode_image(np.ascontiguousarray(across.transpose(1, 0, 2)))) < 300
