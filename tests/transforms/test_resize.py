"""Scaling to the working size equals float64 arithmetic and is bit-exact for any box."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.reference import SITING
from torch_hdrpatches.frames import Box, ColorTags, Planes
from torch_hdrpatches.transforms.resize import resample, working_size


def tags(siting: str = "left", range_: str = "tv", matrix: str = "bt2020nc") -> ColorTags:
    return ColorTags("pq", "bt2020", matrix, range_, siting)


def noise(height: int, width: int, sub: tuple[int, int] = (2, 2), bits: int = 10, spare: int = 0) -> Planes:
    """A frame of random codes with ``spare`` columns of garbage at the end of each row."""
    rng = np.random.default_rng(height * width + bits)
    small = (-(-height // sub[0]), -(-width // sub[1]))
    y, cb, cr = (
        rng.integers(0, 2**bits, (rows, columns + spare)).astype(np.uint8 if bits == 8 else np.uint16)
        for rows, columns in ((height, width), small, small)
    )
    return Planes(y, cb, cr, height, width, *sub, bits)


def keys(x: np.ndarray) -> np.ndarray:
    x = abs(x)
    return np.where(x < 1, 1.5 * x**3 - 2.5 * x**2 + 1, np.where(x < 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0))


def axis_matrix(decoded: int, working: int, sub: int, siting: float) -> np.ndarray:
    """(working, source) weights, from the definition: a widened kernel, normalised, edges repeated."""
    ratio = decoded / working
    length = -(-decoded // sub)
    widening = max(1.0, ratio / sub)
    matrix = np.zeros((working, length))
    for i in range(working):
        luma = (i + 0.5) * ratio - 0.5
        centre = (luma - siting) / 2 if sub == 2 else luma
        places = np.arange(int(centre - 2 * widening) - 2, int(centre + 2 * widening) + 3)
        weights = keys((places - centre) / widening)
        np.add.at(matrix[i], np.clip(places, 0, length - 1), weights / weights.sum())
    return matrix


def reference(frame: Planes, working: tuple[int, int], siting: str, full_range: bool = False) -> list[np.ndarray]:
    """float64 Y, Cb and Cr of the whole scaled frame in 16-bit codes, neither rounded nor clamped."""
    px, py = SITING[siting]
    planes = []
    for plane, sub_y, sub_x in (
        (frame.y, 1, 1),
        (frame.cb, frame.sub_y, frame.sub_x),
        (frame.cr, frame.sub_y, frame.sub_x),
    ):
        down = axis_matrix(frame.height, working[0], sub_y, py)
        across = axis_matrix(frame.width, working[1], sub_x, px)
        codes = plane[:, : across.shape[1]].astype(np.float64)
        if not full_range:
            planes.append(down @ (codes * 2 ** (16 - frame.bits)) @ across.T)
        elif plane is frame.y:
            planes.append(down @ (codes / (2**frame.bits - 1) * 65535) @ across.T)
        else:
            grey = 2 ** (frame.bits - 1)
            planes.append(down @ ((codes - grey) / (2**frame.bits - 1) * 65535) @ across.T + 32768)
    return planes


def assert_near(planes: Planes, expected: list[np.ndarray]) -> None:
    for plane, exact in zip((planes.y, planes.cb, planes.cr), expected, strict=True):
        assert plane.dtype == np.uint16
        # Half a code of rounding, and the error of float32 sums.
        assert np.abs(plane - np.clip(exact, 0, 65535)).max() < 0.55


@pytest.mark.parametrize(
    ("decoded", "working"),
    [
        ((144, 256), (72, 128)),
        ((110, 256), (51, 120)),
        ((144, 256), (108, 192)),
        ((91, 133), (48, 70)),
        ((40, 40), (40, 40)),
    ],
)
@pytest.mark.parametrize("siting", SITING)
def test_scaling_equals_float64_arithmetic(decoded, working, siting):
    frame = noise(*decoded)
    planes = resample(frame, Box(0, 0, *working), working, tags(siting))
    assert (planes.height, planes.width, planes.sub_y, planes.sub_x, planes.bits) == (*working, 1, 1, 16)
    assert_near(planes, reference(frame, working, siting))


@pytest.mark.parametrize("sub", [(2, 2), (1, 2), (1, 1)])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("range_", ["tv", "pc"])
def test_every_depth_subsampling_and_range_is_scaled(sub, bits, range_):
    frame = noise(70, 98, sub, bits, spare=6)
    planes = resample(frame, Box(0, 0, 30, 42), (30, 42), tags("topleft", range_))
    assert_near(planes, reference(frame, (30, 42), "topleft", range_ == "pc"))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_box_equals_the_same_box_of_the_whole_frame(data):
    decoded = data.draw(st.tuples(st.integers(8, 90), st.integers(8, 90)))
    working = tuple(data.draw(st.integers(4, side)) for side in decoded)
    siting, sub = data.draw(st.sampled_from(list(SITING))), data.draw(st.sampled_from([(2, 2), (1, 2), (1, 1)]))
    frame = noise(*decoded, sub, data.draw(st.sampled_from([8, 10])))
    top, left = (data.draw(st.integers(0, side - 1)) for side in working)
    height, width = data.draw(st.integers(1, working[0] - top)), data.draw(st.integers(1, working[1] - left))
    whole = resample(frame, Box(0, 0, *working), working, tags(siting))
    part = resample(frame, Box(top, left, height, width), working, tags(siting))
    for name in ("y", "cb", "cr"):
        np.testing.assert_array_equal(
            getattr(part, name), getattr(whole, name)[top : top + height, left : left + width]
        )


@pytest.mark.parametrize("code", [0, 1, 64, 511, 512, 940, 1023])
def test_a_constant_frame_stays_exactly_constant(code):
    flat = Planes(*(np.full(s, code, np.uint16) for s in ((110, 256), (55, 128), (55, 128))), 110, 256, 2, 2, 10)
    planes = resample(flat, Box(0, 0, 51, 120), (51, 120), tags("topleft"))
    assert {*np.unique(planes.y), *np.unique(planes.cb), *np.unique(planes.cr)} == {code << 6}


def test_full_range_keeps_black_white_and_grey():
    for code, luma in ((0, 0), (1023, 65535)):
        flat = Planes(
            *(np.full(s, c, np.uint16) for s, c in (((64, 64), code), ((32, 32), 512), ((32, 32), 512))),
            64,
            64,
            2,
            2,
            10,
        )
        planes = resample(flat, Box(0, 0, 32, 32), (32, 32), tags(range_="pc"))
        assert (planes.y == luma).all()
        assert (planes.cb == 32768).all()
        assert (planes.cr == 32768).all()


def test_rgb_planes_are_all_scaled_by_the_full_range():
    flat = Planes(*(np.full((64, 64), c, np.uint16) for c in (0, 1023, 512)), 64, 64, 1, 1, 10)
    planes = resample(flat, Box(0, 0, 32, 32), (32, 32), tags(range_="pc", matrix="rgb"))
    assert (planes.y[0, 0], planes.cb[0, 0], planes.cr[0, 0]) == (0, 65535, round(512 * 65535 / 1023))


@pytest.mark.parametrize("siting", SITING)
def test_a_chroma_ramp_keeps_its_position_for_every_siting(siting):
    px, py = SITING[siting]
    across, down = 2 * np.arange(128) + px, 2 * np.arange(64) + py
    ramp = [np.add.outer(np.zeros(64), 3 * across), np.add.outer(5 * down, np.zeros(128))]
    cb, cr = ((100 + plane * 4).astype(np.uint16) for plane in ramp)
    frame = Planes(np.zeros((128, 256), np.uint16), cb, cr, 128, 256, 2, 2, 16)
    planes = resample(frame, Box(0, 0, 64, 128), (64, 128), tags(siting))
    inside = slice(4, -4)
    luma_x, luma_y = 2 * np.arange(128) + 0.5, 2 * np.arange(64) + 0.5
    assert np.abs(planes.cb - (100 + 12 * luma_x))[inside, inside].max() <= 0.5
    assert np.abs(planes.cr - (100 + 20 * luma_y)[:, None])[inside, inside].max() <= 0.5


def test_planes_with_gaps_between_columns_are_accepted():
    frame = noise(64, 64)
    pairs = np.stack([frame.cb, frame.cr], axis=-1)
    pairs.flags.writeable = False
    gappy = Planes(frame.y, pairs[..., 0], pairs[..., 1], 64, 64, 2, 2, 10)
    for name in ("cb", "cr"):
        contiguous, strided = (resample(p, Box(3, 5, 20, 20), (32, 32), tags()) for p in (frame, gappy))
        np.testing.assert_array_equal(getattr(contiguous, name), getattr(strided, name))


def test_an_unknown_siting_is_refused():
    with pytest.raises(ValueError, match="chroma_location 'middle': unknown name; accepted are left, center"):
        resample(noise(8, 8), Box(0, 0, 4, 4), (4, 4), tags("middle"))


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (2160, 3840, (1080, 1920)),
        (1746, 4096, (818, 1920)),  # 818.4
        (1600, 3840, (800, 1920)),
        (2160, 4096, (1013, 1920)),  # 1012.5
        (1440, 1080, (1080, 810)),
        (1080, 1920, (1080, 1920)),
        (360, 640, (360, 640)),
        (1081, 1920, (1080, 1918)),  # 1918.2
        (1, 10_000, (1, 1920)),
        (10_000, 1, (1080, 1)),
    ],
)
def test_the_working_size_fits_inside_the_frame_and_keeps_the_aspect(height, width, expected):
    assert working_size(height, width, (1920, 1080)) == expected


def test_native_keeps_the_size():
    assert working_size(4320, 7680, None) == (4320, 7680)
