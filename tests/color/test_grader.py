"""Converted colours are those of the float64 formulas for every storage format, and do not depend on the box."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.helpers import reference
from tests.helpers.charts import (
    CHART,
    HLG,
    PQ,
    SDR,
    assert_within_one_code,
    coded,
    expected,
    noise,
    patches,
    ramp,
    whole,
)
from torch_hdrpatches.color import Grader, ToneSettings
from torch_hdrpatches.color.curves import PRESETS
from torch_hdrpatches.frames import Box, ColorTags, Planes

# --- storage formats -------------------------------------------------------------------------------------------------

LAYOUTS = {"420": (2, 2), "422": (1, 2), "444": (1, 1)}


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("range_", ["tv", "pc"])
@pytest.mark.parametrize("layout", ["420", "422", "444", "gbr"])
def test_every_layout_is_within_one_code_of_the_formula(transfer: str, bits: int, range_: str, layout: str) -> None:
    tags = ColorTags(transfer, "bt2020", "rgb" if layout == "gbr" else "bt2020nc", range_)
    frame = coded(patches(transfer), tags, bits, *LAYOUTS.get(layout, (1, 1)))
    codes = Grader(tags, bits, ToneSettings(), 1000).sdr([frame], CHART)[0]
    assert_within_one_code(codes, expected(frame, tags, ToneSettings(), 1000))


@pytest.mark.parametrize("location", sorted(reference.SITING))
@pytest.mark.parametrize("layout", ["420", "422"])
def test_every_chroma_location_is_within_one_code_of_the_formula(location: str, layout: str) -> None:
    tags = replace(PQ, chroma_location=location)
    frame = coded(patches("pq")[:301, :475], tags, 10, *LAYOUTS[layout])
    codes = Grader(tags, 10, ToneSettings(), 1000).sdr([frame], whole(frame))[0]
    assert_within_one_code(codes, expected(frame, tags, ToneSettings(), 1000))


@pytest.mark.parametrize("tags", [PQ, HLG, replace(PQ, primaries="smpte432"), replace(PQ, matrix="bt709")])
def test_illegal_codes_are_clamped_and_then_within_one_code_of_the_formula(tags: ColorTags) -> None:
    frame = noise(height=400, width=400)
    codes = Grader(tags, 10, ToneSettings(), 1000).sdr([frame], whole(frame))[0]
    assert_within_one_code(codes, expected(frame, tags, ToneSettings(), 1000))


@pytest.mark.parametrize("location", sorted(reference.SITING))
@pytest.mark.parametrize("sub", [(2, 2), (1, 2), (1, 1)])
def test_a_box_equals_the_same_box_of_the_whole_frame(location: str, sub: tuple[int, int]) -> None:
    frame = noise(10, *sub, height=45, width=67)
    grader = Grader(replace(PQ, chroma_location=location), 10, ToneSettings(), 1000)
    sdr, signal = (convert([frame], whole(frame)) for convert in (grader.sdr, grader.signal))
    boxes = [
        (0, 0, 1, 1),
        (44, 66, 1, 1),
        (3, 5, 20, 31),
        (4, 6, 41, 61),
        (1, 0, 44, 67),
        (0, 65, 45, 2),
        (7, 64, 2, 3),
    ]
    for top, left, height, width in boxes:
        cut = np.s_[:, top : top + height, left : left + width]
        assert np.array_equal(grader.sdr([frame], Box(top, left, height, width)), sdr[cut])
        assert np.array_equal(grader.signal([frame], Box(top, left, height, width)), signal[cut])


def test_codes_stored_in_the_upper_bits_give_the_same_result() -> None:
    ten = noise()
    sixteen = Planes(ten.y << 6, ten.cb << 6, ten.cr << 6, ten.height, ten.width, 2, 2, 16)
    low, high = (Grader(PQ, bits, ToneSettings(), 1000) for bits in (10, 16))
    assert np.array_equal(low.sdr([ten], whole(ten)), high.sdr([sixteen], whole(ten)))


def test_the_memory_layout_of_planes_does_not_matter() -> None:
    frame = noise()
    grader = Grader(PQ, 10, ToneSettings(), 1000)
    planes = (np.asfortranarray(frame.y), frame.cb[::-1][::-1], frame.cr.copy())
    planes[2].flags.writeable = False
    other = replace(frame, y=planes[0], cb=planes[1], cr=planes[2])
    box = Box(3, 3, 50, 50)
    assert np.array_equal(grader.sdr([frame], box), grader.sdr([other], box))
    assert grader.sdr([frame, other], box).shape == (2, 50, 50, 3)


@pytest.mark.parametrize("transfer", ["pq", "hlg", "bt709"])
@pytest.mark.parametrize("primaries", ["bt2020", "smpte432", "bt709"])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_grey_stays_exactly_grey(transfer: str, primaries: str, bits: int) -> None:
    tags = ColorTags(transfer, primaries, "bt2020nc", "tv")
    for settings in (ToneSettings(), PRESETS["bt2408"]):
        codes = Grader(tags, bits, settings, 1000).sdr([ramp(bits)], Box(0, 0, 1, 2**bits))[0, 0]
        assert (codes == codes[:, :1]).all()
        assert (np.diff(codes[:, 0].astype(int)) >= 0).all()


@pytest.mark.parametrize("tags", [PQ, HLG, replace(PQ, matrix="rgb")])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_black_and_white_codes_are_black_and_full_scale(tags: ColorTags, bits: int) -> None:
    grader, frame, box = Grader(tags, bits, ToneSettings(), 1000), ramp(bits, tags), Box(0, 0, 1, 2**bits)
    black, white = 16 << (bits - 8), 235 << (bits - 8)
    signal = grader.signal([frame], box)[0, 0]
    assert signal[black].tolist() == signal[0].tolist() == [0, 0, 0]
    assert signal[white].tolist() == signal[-1].tolist() == [65535] * 3
    assert signal[white - 1].max() < 65535
    assert grader.grey[black] == 0
    assert grader.grey[white] == 255


# --- SDR movies ------------------------------------------------------------------------------------------------------


def test_sdr_luma_is_only_expanded_to_full_range() -> None:
    grey = Grader(SDR, 8, ToneSettings(), 1000).grey
    assert grey.tolist() == [min(max((2 * 255 * (code - 16) + 219) // (2 * 219), 0), 255) for code in range(256)]


def test_full_range_8_bit_gbr_passes_unchanged() -> None:
    frame = noise(8, 1, 1)
    codes = Grader(ColorTags("iec61966-2-1", "bt709", "rgb", "pc"), 8, ToneSettings(), 1000).sdr(
        [frame], Box(1, 2, 50, 60)
    )
    for channel, plane in enumerate((frame.cr, frame.y, frame.cb)):
        assert np.array_equal(codes[0, :, :, channel], plane[1:51, 2:62])


@pytest.mark.parametrize("tags", [SDR, ColorTags("smpte170m", "smpte170m", "smpte170m", "pc")])
@pytest.mark.parametrize("bits", [8, 10])
def test_sdr_has_no_tone_curve(tags: ColorTags, bits: int) -> None:
    frame = noise(bits)
    codes = Grader(tags, bits, ToneSettings(), 1000).sdr([frame], whole(frame))[0]
    assert_within_one_code(codes, reference.sdr_of_sdr(frame, tags), rare=0)


def test_bt2020_sdr_is_converted_to_bt709_and_white_stays_white() -> None:
    tags = ColorTags("bt2020-10", "bt2020", "bt2020nc", "tv")
    frame = coded(patches("hlg"), tags, 10, 2, 2)
    grader = Grader(tags, 10, ToneSettings(), 1000)
    assert_within_one_code(grader.sdr([frame], CHART)[0], reference.sdr_of_sdr(frame, tags))
    assert grader.grey[940] == 255


def test_hdr_signal_of_an_sdr_movie_is_refused() -> None:
    with pytest.raises(ValueError, match="transfer is 'bt709': HDR output needs a PQ or HLG movie"):
        Grader(SDR, 8, ToneSettings(), 1000).signal([noise(8)], Box(0, 0, 2, 2))


# --- tables and errors -----------------------------------------------------------------------------------------------


def test_nits_of_luma_codes() -> None:
    pq, hlg, sdr = (Grader(tags, 10, ToneSettings(), 1000).nits for tags in (PQ, HLG, SDR))
    assert pq[[0, 64, 940, 1023]].tolist() == [0, 0, 10_000, 10_000]
    assert pq[509] == pytest.approx(100, rel=0.01)
    assert hlg[940] == pytest.approx(1000)
    assert hlg[721] == pytest.approx(203, rel=0.01)
    assert sdr[940] == pytest.approx(100)
    assert {table.dtype for table in (pq, hlg, sdr)} == {np.dtype(np.float32)}


def test_a_pickled_grader_is_small_and_gives_the_same_result() -> None:
    grader = Grader(HLG, 10, PRESETS["bt2408"], 1000)
    frame = noise()
    codes = grader.sdr([frame], whole(frame))
    pickled = pickle.dumps(grader)
    assert len(pickled) < 1000
    assert np.array_equal(pickle.loads(pickled).sdr([frame], whole(frame)), codes)


@pytest.mark.parametrize(
    ("box", "bits", "message"),
    [
        (Box(0, 0, 91, 10), 10, "not inside a frame of 90 x 130"),
        (Box(0, 121, 10, 10), 10, "not inside"),
        (Box(-1, 0, 10, 10), 10, "not inside"),
        (Box(0, 0, 10, 10), 8, "a frame has 8 bits, expected 10"),
    ],
)
def test_a_frame_or_box_that_does_not_fit_is_refused(box: Box, bits: int, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Grader(PQ, 10, ToneSettings(), 1000).sdr([noise(bits)], box)


def test_planes_smaller_than_the_frame_are_refused() -> None:
    frame = noise()
    with pytest.raises(ValueError, match=re.escape("a plane is (44, 68), expected at least 45 x 65")):
        Grader(PQ, 10, ToneSettings(), 1000).sdr([replace(frame, cr=frame.cr[:44])], Box(0, 0, 2, 2))


@pytest.mark.parametrize(
    "tags",
    [replace(PQ, matrix="ictcp"), replace(PQ, primaries="film"), replace(PQ, transfer="log100"), replace(PQ, range="")],
)
def test_tags_that_cannot_be_converted_are_refused(tags: ColorTags) -> None:
    with pytest.raises(ValueError, match="accepted are"):
        Grader(tags, 10, ToneSettings(), 1000)
