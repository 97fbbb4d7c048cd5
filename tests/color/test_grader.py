"""Colours are those of the float64 formulas, for every way in which a movie may store them, whatever box is cut."""

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

# --- how pictures are stored -----------------------------------------------------------------------------------------

LAYOUTS = {"420": (2, 2), "422": (1, 2), "444": (1, 1)}


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("range_", ["tv", "pc"])
@pytest.mark.parametrize("layout", ["420", "422", "444", "gbr"])
def test_every_layout_is_within_one_code_of_the_formula(transfer: str, bits: int, range_: str, layout: str) -> None:
    tags = ColorTags(transfer, "bt2020", "rgb" if layout == "gbr" else "bt2020nc", range_)
    picture = coded(patches(transfer), tags, bits, *LAYOUTS.get(layout, (1, 1)))
    codes = Grader(tags, bits, ToneSettings(), 1000).sdr([picture], CHART)[0]
    assert_within_one_code(codes, expected(picture, tags, ToneSettings(), 1000))


@pytest.mark.parametrize("location", sorted(reference.SITING))
@pytest.mark.parametrize("layout", ["420", "422"])
def test_every_chroma_location_is_within_one_code_of_the_formula(location: str, layout: str) -> None:
    tags = replace(PQ, chroma_location=location)
    picture = coded(patches("pq")[:301, :475], tags, 10, *LAYOUTS[layout])
    codes = Grader(tags, 10, ToneSettings(), 1000).sdr([picture], whole(picture))[0]
    assert_within_one_code(codes, expected(picture, tags, ToneSettings(), 1000))


@pytest.mark.parametrize("tags", [PQ, HLG, replace(PQ, primaries="smpte432"), replace(PQ, matrix="bt709")])
def test_illegal_codes_are_held_and_then_within_one_code_of_the_formula(tags: ColorTags) -> None:
    picture = noise(height=400, width=400)
    codes = Grader(tags, 10, ToneSettings(), 1000).sdr([picture], whole(picture))[0]
    assert_within_one_code(codes, expected(picture, tags, ToneSettings(), 1000))


@pytest.mark.parametrize("location", sorted(reference.SITING))
@pytest.mark.parametrize("sub", [(2, 2), (1, 2), (1, 1)])
def test_a_crop_is_the_same_as_cut_from_the_whole_picture(location: str, sub: tuple[int, int]) -> None:
    picture = noise(10, *sub, height=45, width=67)
    grader = Grader(replace(PQ, chroma_location=location), 10, ToneSettings(), 1000)
    sdr, signal = (give([picture], whole(picture)) for give in (grader.sdr, grader.signal))
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
        assert np.array_equal(grader.sdr([picture], Box(top, left, height, width)), sdr[cut])
        assert np.array_equal(grader.signal([picture], Box(top, left, height, width)), signal[cut])


def test_codes_in_the_upper_bits_give_the_same_picture() -> None:
    ten = noise()
    sixteen = Planes(ten.y << 6, ten.cb << 6, ten.cr << 6, ten.height, ten.width, 2, 2, 16)
    low, high = (Grader(PQ, bits, ToneSettings(), 1000) for bits in (10, 16))
    assert np.array_equal(low.sdr([ten], whole(ten)), high.sdr([sixteen], whole(ten)))


def test_it_does_not_matter_how_the_planes_lie_in_memory() -> None:
    picture = noise()
    grader = Grader(PQ, 10, ToneSettings(), 1000)
    planes = (np.asfortranarray(picture.y), picture.cb[::-1][::-1], picture.cr.copy())
    planes[2].flags.writeable = False
    other = replace(picture, y=planes[0], cb=planes[1], cr=planes[2])
    box = Box(3, 3, 50, 50)
    assert np.array_equal(grader.sdr([picture], box), grader.sdr([other], box))
    assert grader.sdr([picture, other], box).shape == (2, 50, 50, 3)


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
    grader, picture, box = Grader(tags, bits, ToneSettings(), 1000), ramp(bits, tags), Box(0, 0, 1, 2**bits)
    black, white = 16 << (bits - 8), 235 << (bits - 8)
    signal = grader.signal([picture], box)[0, 0]
    assert signal[black].tolist() == signal[0].tolist() == [0, 0, 0]
    assert signal[white].tolist() == signal[-1].tolist() == [65535] * 3
    assert signal[white - 1].max() < 65535
    assert grader.grey[black] == 0
    assert grader.grey[white] == 255


# --- SDR movies ------------------------------------------------------------------------------------------------------


def test_sdr_luma_is_only_stretched_to_full_range() -> None:
    grey = Grader(SDR, 8, ToneSettings(), 1000).grey
    assert grey.tolist() == [min(max((2 * 255 * (code - 16) + 219) // (2 * 219), 0), 255) for code in range(256)]


def test_full_range_8_bit_gbr_passes_unchanged() -> None:
    picture = noise(8, 1, 1)
    codes = Grader(ColorTags("iec61966-2-1", "bt709", "rgb", "pc"), 8, ToneSettings(), 1000).sdr(
        [picture], Box(1, 2, 50, 60)
    )
    for channel, plane in enumerate((picture.cr, picture.y, picture.cb)):
        assert np.array_equal(codes[0, :, :, channel], plane[1:51, 2:62])


@pytest.mark.parametrize("tags", [SDR, ColorTags("smpte170m", "smpte170m", "smpte170m", "pc")])
@pytest.mark.parametrize("bits", [8, 10])
def test_sdr_has_no_tone_curve(tags: ColorTags, bits: int) -> None:
    picture = noise(bits)
    codes = Grader(tags, bits, ToneSettings(), 1000).sdr([picture], whole(picture))[0]
    assert_within_one_code(codes, reference.sdr_of_sdr(picture, tags), rare=0)


def test_bt2020_sdr_is_brought_to_bt709_and_white_stays_white() -> None:
    tags = ColorTags("bt2020-10", "bt2020", "bt2020nc", "tv")
    picture = coded(patches("hlg"), tags, 10, 2, 2)
    grader = Grader(tags, 10, ToneSettings(), 1000)
    assert_within_one_code(grader.sdr([picture], CHART)[0], reference.sdr_of_sdr(picture, tags))
    assert grader.grey[940] == 255


def test_an_sdr_movie_gives_no_hdr_signal() -> None:
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


def test_a_grader_pickles_small_and_gives_the_same() -> None:
    grader = Grader(HLG, 10, PRESETS["bt2408"], 1000)
    picture = noise()
    codes = grader.sdr([picture], whole(picture))
    frozen = pickle.dumps(grader)
    assert len(frozen) < 1000
    assert np.array_equal(pickle.loads(frozen).sdr([picture], whole(picture)), codes)


@pytest.mark.parametrize(
    ("box", "bits", "message"),
    [
        (Box(0, 0, 91, 10), 10, "not inside a picture of 90 x 130"),
        (Box(0, 121, 10, 10), 10, "not inside"),
        (Box(-1, 0, 10, 10), 10, "not inside"),
        (Box(0, 0, 10, 10), 8, "a picture has 8 bits, the movie 10"),
    ],
)
def test_a_picture_or_box_that_does_not_fit_is_refused(box: Box, bits: int, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Grader(PQ, 10, ToneSettings(), 1000).sdr([noise(bits)], box)


def test_planes_smaller_than_the_picture_are_refused() -> None:
    picture = noise()
    with pytest.raises(ValueError, match=re.escape("a plane is (44, 68), expected at least 45 x 65")):
        Grader(PQ, 10, ToneSettings(), 1000).sdr([replace(picture, cr=picture.cr[:44])], Box(0, 0, 2, 2))


@pytest.mark.parametrize(
    "tags",
    [replace(PQ, matrix="ictcp"), replace(PQ, primaries="film"), replace(PQ, transfer="log100"), replace(PQ, range="")],
)
def test_tags_that_cannot_be_converted_are_refused(tags: ColorTags) -> None:
    with pytest.raises(ValueError, match="accepted are"):
        Grader(tags, 10, ToneSettings(), 1000)
