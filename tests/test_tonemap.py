"""Colours are those of the float64 formulas, for every way in which a movie may store them, whatever box is cut."""

from __future__ import annotations

import pickle
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import torch

from torch_hdrpatches.frames import Box, ColorTags, Planes
from torch_hdrpatches.tonemap import PRESETS, Grader, ToneMap, ToneSettings, implausible_peaks, peak_nits

PQ = ColorTags("pq", "bt2020", "bt2020nc", "tv")
HLG = ColorTags("hlg", "bt2020", "bt2020nc", "tv")
SDR = ColorTags("bt709", "bt709", "bt709", "tv")
CHART = Box(0, 0, 320, 512)

Codes = np.ndarray[Any, np.dtype[Any]]


def noise(bits: int = 10, sub_y: int = 2, sub_x: int = 2, height: int = 90, width: int = 130, seed: int = 0) -> Planes:
    """Every code at random, legal or not."""
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if bits == 8 else np.uint16
    rows, columns = -(-height // sub_y), -(-width // sub_x)
    shapes = [(height, width + 6), (rows, columns + 3), (rows + 1, columns + 3)]
    y, cb, cr = (rng.integers(0, 2**bits, shape).astype(dtype) for shape in shapes)
    return Planes(y, cb, cr, height, width, sub_y, sub_x, bits)


def whole(picture: Planes) -> Box:
    return Box(0, 0, picture.height, picture.width)


def ramp(bits: int, tags: ColorTags = PQ) -> Planes:
    """Every luma code once, without colour."""
    codes = np.arange(2**bits, dtype=np.uint8 if bits == 8 else np.uint16)[None, :]
    neutral = codes if tags.matrix == "rgb" else np.full_like(codes, 2 ** (bits - 1))
    return Planes(codes, neutral, neutral, 1, 2**bits, 1, 1, bits)


def assert_within_one_code(codes: Codes, exact: Codes, rare: float = 1e-5) -> None:
    """All but ``rare`` of the samples are at most 1 code from the exact value, rounded half up."""
    difference = np.abs(codes.astype(np.int64) - np.floor(exact + 0.5).astype(np.int64))
    assert (difference > 1).mean() <= rare, f"{(difference > 1).mean():.1e} off by more than 1, most {difference.max()}"
    assert (difference > 0).mean() < 0.02


def expected(picture: Planes, tags: ColorTags, settings: ToneSettings, peak: float) -> Codes:
    white = settings.reference_white
    assert isinstance(settings.curve, str)
    curve = reference.CURVES[settings.curve]
    return reference.sdr(
        picture,
        tags,
        lambda x: curve(x, peak / white, white),
        desat=settings.desat,
        reference_white=white,
        by_luminance=settings.hlg_ootf == "luminance",
    )


# --- the tone curves -------------------------------------------------------------------------------------------------

NITS = [0.1, 1, 5, 10, 26, 50, 100, 203, 400, 600, 1000, 2000, 4000]
PUBLISHED = [
    ("mobius", 100, 1000, [14, 37, 73, 98, 145, 184, 215, 235, 247, 251, 255, 255, 255]),
    ("mobius", 100, 4000, [14, 37, 73, 98, 145, 184, 214, 233, 244, 248, 251, 254, 255]),
    ("mobius", 203, 1000, [11, 28, 54, 73, 108, 142, 184, 217, 239, 247, 255]),
    ("hable", 100, 1000, [10, 25, 50, 66, 97, 124, 157, 193, 224, 240, 255]),
    ("hable", 100, 4000, [9, 23, 46, 61, 89, 114, 144, 177, 206, 220, 234, 247, 255]),
    ("reinhard", 100, 1000, [15, 39, 75, 98, 137, 168, 199, 225, 242, 249, 255]),
    ("gamma", 100, 1000, [15, 38, 75, 88, 110, 127, 150, 176, 206, 227, 255]),
    ("linear", 100, 1000, [5, 14, 28, 37, 56, 73, 98, 131, 174, 206, 255]),
    ("clip", 100, 1000, [14, 37, 73, 98, 145, 191, 255]),
    ("none", 100, 1000, [14, 37, 73, 98, 145, 191, 255]),
    ("bt2390", 100, 1000, [14, 37, 73, 98, 145, 185, 219, 242, 252, 255, 255]),
    ("bt2390", 203, 1000, [11, 28, 54, 73, 108, 142, 189, 230, 250, 254, 255]),
    ("bt2390", 203, 4000, [11, 28, 54, 73, 108, 142, 178, 210, 233, 243, 250, 254, 255]),
    ("bt2446a", 100, 1000, [10, 25, 47, 60, 85, 108, 137, 175, 212, 233, 255]),
]


@pytest.mark.parametrize(("curve", "white", "peak", "codes"), PUBLISHED)
def test_neutrals_have_the_published_codes(curve: Any, white: float, peak: float, codes: list[int]) -> None:
    grader = Grader(replace(PQ, range="pc"), 16, ToneSettings(curve, white), peak)
    luma = np.round(reference.pq_signal(np.array(NITS[: len(codes)])) * 65535).astype(int)
    assert grader.grey[luma].tolist() == codes


@pytest.mark.parametrize("curve", sorted(reference.CURVES))
@pytest.mark.parametrize(("tags", "peak"), [(PQ, 1000), (PQ, 4000), (PQ, 80), (HLG, 1000)])
def test_every_curve_is_within_one_code_of_the_formula(curve: Any, tags: ColorTags, peak: float) -> None:
    picture = reference.coded(reference.patches(tags.transfer), tags, 10, 2, 2)
    settings = ToneSettings(curve)
    exact = expected(picture, tags, replace(settings, curve="none") if peak == 80 else settings, peak)
    assert_within_one_code(Grader(tags, 10, settings, peak).sdr([picture], CHART)[0], exact)


@pytest.mark.parametrize("tags", [PQ, HLG])
def test_the_bt2408_preset_is_within_one_code_of_the_formula(tags: ColorTags) -> None:
    picture = reference.coded(reference.patches(tags.transfer, seed=1), tags, 10, 2, 2)
    settings = PRESETS["bt2408"]
    assert_within_one_code(
        Grader(tags, 10, settings, 1000).sdr([picture], CHART)[0], expected(picture, tags, settings, 1000)
    )


def test_a_users_curve_is_used_as_a_named_one_is() -> None:
    picture = noise()
    named = Grader(PQ, 10, ToneSettings("reinhard"), 1000)
    own = Grader(PQ, 10, ToneSettings(lambda light, peak: light / (light + 1) * (peak + 1) / peak), 1000)
    assert np.array_equal(named.sdr([picture], whole(picture)), own.sdr([picture], whole(picture)))


def test_a_users_curve_must_give_one_finite_value_per_value() -> None:
    for curve in (lambda light, peak: light.sum(), lambda light, peak: np.log(light - 1e9)):
        with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="curve"):
            Grader(PQ, 10, ToneSettings(curve), 1000).sdr([noise()], Box(0, 0, 2, 2))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"curve": "aces"}, "curve 'aces' is unknown; valid are none, linear"),
        ({"reference_white": 0}, "reference_white"),
        ({"peak": -1}, "peak"),
        ({"desat": -1}, "desat"),
        ({"hlg_ootf": "both"}, "hlg_ootf"),
    ],
)
def test_settings_that_mean_nothing_are_refused(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        ToneSettings(**arguments)


# --- the peak --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("max_cll", "mastering", "expected_peak"),
    [
        (4000, 1000, (4000, "maxcll")),
        (0, 4000, (4000, "mastering")),
        (0, 0, (1000, "assumed")),
        (0.1, 600, (600, "mastering")),
        (65535, 0.1, (1000, "assumed")),
        (float("nan"), 0, (1000, "assumed")),
    ],
)
def test_the_peak_is_maxcll_or_mastering_or_assumed(
    max_cll: float, mastering: float, expected_peak: tuple[float, str]
) -> None:
    assert peak_nits(max_cll, mastering) == expected_peak


def test_a_peak_that_is_not_believed_is_named() -> None:
    assert implausible_peaks(1000, 4000) == implausible_peaks(0, 0) == ""
    assert "MaxCLL of 65535 cd/m2 and mastering peak of 0.1 cd/m2" in implausible_peaks(65535, 0.1)


# --- how pictures are stored -----------------------------------------------------------------------------------------

LAYOUTS = {"420": (2, 2), "422": (1, 2), "444": (1, 1)}


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("range_", ["tv", "pc"])
@pytest.mark.parametrize("layout", ["420", "422", "444", "gbr"])
def test_every_layout_is_within_one_code_of_the_formula(transfer: str, bits: int, range_: str, layout: str) -> None:
    tags = ColorTags(transfer, "bt2020", "rgb" if layout == "gbr" else "bt2020nc", range_)
    picture = reference.coded(reference.patches(transfer), tags, bits, *LAYOUTS.get(layout, (1, 1)))
    codes = Grader(tags, bits, ToneSettings(), 1000).sdr([picture], CHART)[0]
    assert_within_one_code(codes, expected(picture, tags, ToneSettings(), 1000))


@pytest.mark.parametrize("location", sorted(reference.SITING))
@pytest.mark.parametrize("layout", ["420", "422"])
def test_every_chroma_location_is_within_one_code_of_the_formula(location: str, layout: str) -> None:
    tags = replace(PQ, chroma_location=location)
    picture = reference.coded(reference.patches("pq")[:301, :475], tags, 10, *LAYOUTS[layout])
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
    picture = reference.coded(reference.patches("hlg"), tags, 10, 2, 2)
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


@pytest.mark.parametrize(
    "tags",
    [replace(PQ, matrix="ictcp"), replace(PQ, primaries="film"), replace(PQ, transfer="log100"), replace(PQ, range="")],
)
def test_tags_that_cannot_be_converted_are_refused(tags: ColorTags) -> None:
    with pytest.raises(ValueError, match="accepted are"):
        Grader(tags, 10, ToneSettings(), 1000)


# --- torch -----------------------------------------------------------------------------------------------------------


def hdr_tensor(tags: ColorTags, settings: ToneSettings) -> tuple[torch.Tensor, torch.Tensor]:
    """The patches as HDR signal and as SDR codes, both (1, 3, H, W), both from ``Grader``."""
    picture = reference.coded(reference.patches(tags.transfer), tags, 10, 1, 1)
    grader = Grader(tags, 10, settings, 1000)
    signal, sdr = (torch.from_numpy(give([picture], CHART)).movedim(-1, -3) for give in (grader.signal, grader.sdr))
    return signal, sdr


def codes_apart(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (one.int() - other.int()).abs()


def same_map(tags: ColorTags, settings: ToneSettings) -> ToneMap:
    assert tags.transfer in ("pq", "hlg")
    transfer: Any = tags.transfer
    white, desat, ootf = settings.reference_white, settings.desat, settings.hlg_ootf
    return ToneMap(transfer, settings.curve, white, 1000, desat, ootf, dtype=torch.uint8)


@pytest.mark.parametrize("tags", [PQ, HLG])
@pytest.mark.parametrize("settings", [*PRESETS.values(), ToneSettings("hable"), ToneSettings("bt2446a", desat=0)])
def test_torch_gives_the_sdr_of_the_signal(tags: ColorTags, settings: ToneSettings) -> None:
    signal, sdr = hdr_tensor(tags, settings)
    apart = codes_apart(same_map(tags, settings)(signal), sdr)
    assert (apart > 1).float().mean() <= 1e-5
    assert (apart > 0).float().mean() < 0.02


@pytest.mark.parametrize("tags", [replace(PQ, primaries="smpte432"), replace(HLG, primaries="bt709")])
@pytest.mark.parametrize("settings", PRESETS.values())
def test_signal_is_in_bt2020_whatever_the_movies_primaries(tags: ColorTags, settings: ToneSettings) -> None:
    signal, sdr = hdr_tensor(tags, settings)
    apart = codes_apart(same_map(tags, settings)(signal), sdr)
    # 16 bits of BT.2020 signal are not quite enough for the darkest channel of a saturated colour in other primaries.
    assert (apart > 1).float().mean() <= 0.005
    assert apart.max() <= 3


def test_torch_takes_any_batch_and_any_dtype() -> None:
    signal, _ = hdr_tensor(PQ, ToneSettings())
    module = ToneMap(dtype=torch.uint8)
    codes = module(signal)
    batch = signal.expand(2, 7, 3, 320, 512)
    assert torch.equal(module(batch), codes.expand(2, 7, 3, 320, 512))
    light = signal.to(torch.float32) / 65535
    assert torch.equal(module(light), codes)
    assert torch.equal(module(light.double()), codes)
    for dtype in (torch.bfloat16, torch.float16):
        assert torch.equal(module(light.to(dtype)), module(light.to(dtype).float()))
    with pytest.raises(TypeError, match="uint8"):
        module(signal.to(torch.uint8))


def test_torch_computes_in_float32_whatever_surrounds_it() -> None:
    signal, _ = hdr_tensor(PQ, ToneSettings())
    module = ToneMap(dtype=torch.uint8)
    codes = module(signal)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(module(signal), codes)
    assert torch.equal(module.to(torch.bfloat16)(signal), codes)


def test_torch_floats_are_the_codes_before_rounding() -> None:
    signal, sdr = hdr_tensor(PQ, ToneSettings())
    light = ToneMap()(signal)
    assert light.dtype == torch.float32
    assert codes_apart((light * 255 + 0.5).floor(), sdr).max() <= 1
    assert ToneMap(dtype=torch.bfloat16)(signal).dtype == torch.bfloat16


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
@pytest.mark.parametrize("hlg_ootf", ["per_channel", "luminance"])
def test_torch_gradients_are_finite_from_black_to_white(transfer: Any, hlg_ootf: Any) -> None:
    levels = torch.tensor([0.0, 1e-6, 0.01, 0.3, 0.5, 0.9, 1.0])
    signal = torch.cartesian_prod(levels, levels, levels).T[None, :, :, None].clone().requires_grad_()
    ToneMap(transfer, hlg_ootf=hlg_ootf)(signal).sum().backward()
    assert signal.grad is not None
    assert signal.grad.isfinite().all()
    assert signal.grad.abs().max() > 0


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_torch_compiles_in_one_graph(transfer: Any) -> None:
    signal = torch.rand(2, 3, 8, 8)
    module = ToneMap(transfer)
    assert torch.equal(torch.compile(module, fullgraph=True, backend="eager")(signal), module(signal))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("tags", [PQ, HLG])
def test_torch_gives_the_same_codes_on_cuda(tags: ColorTags) -> None:
    signal, sdr = hdr_tensor(tags, ToneSettings())
    codes = ToneMap(tags.transfer, dtype=torch.uint8).cuda()(signal.cuda()).cpu()  # type: ignore[arg-type]
    assert (codes_apart(codes, sdr) > 1).float().mean() <= 1e-5


# --- the ffmpeg program ----------------------------------------------------------------------------------------------

CHAIN = "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=mobius,zscale=t=bt709,format=gbrp"


def ffmpeg_lacks() -> str:
    """Why the ffmpeg program cannot be compared with; the chain's meaning changed before 5.1 and after 6.1."""
    if shutil.which("ffmpeg") is None:
        return "there is no ffmpeg program"
    version = re.search(r"version n?(\d+)\.(\d+)", _ffmpeg("-version").decode())
    if version is None or not (5, 1) <= tuple(map(int, version.groups())) <= (6, 1):
        return "ffmpeg is not 5.1 to 6.1"
    filters, encoders = _ffmpeg("-hide_banner", "-filters").decode(), _ffmpeg("-hide_banner", "-encoders").decode()
    return "" if " zscale " in filters and " libx265 " in encoders else "ffmpeg was built without zscale or x265"


def _ffmpeg(*arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["ffmpeg", *arguments], input=stdin, capture_output=True, check=True).stdout


@pytest.mark.skipif(bool(ffmpeg_lacks()), reason=ffmpeg_lacks())
@pytest.mark.parametrize(("tags", "max_cll"), [(PQ, 0), (PQ, 1000), (PQ, 4000), (HLG, 0)])
def test_the_codes_are_those_of_the_ffmpeg_program(tmp_path: Path, tags: ColorTags, max_cll: int) -> None:
    picture = reference.coded(reference.patches(tags.transfer), tags, 10, 2, 2)
    height, width = picture.height, picture.width
    planes = (
        picture.y[:height, :width],
        picture.cb[: height // 2, : width // 2],
        picture.cr[: height // 2, : width // 2],
    )
    raw = b"".join(plane.tobytes() for plane in planes)
    transfer = "smpte2084" if tags.transfer == "pq" else "arib-std-b67"
    options = f"lossless=1:log-level=error:range=limited:chromaloc=0:colorprim=9:colormatrix=9:transfer={transfer}"
    options += f":hdr10=1:max-cll={max_cll},400" if max_cll else ""
    movie, size = str(tmp_path / "chart.mkv"), f"{width}x{height}"
    as_raw, ten_bit = ("-f", "rawvideo", "-pix_fmt"), "yuv420p10le"
    quiet = ("-v", "error")
    _ffmpeg(
        *quiet, *as_raw, ten_bit, "-s", size, "-i", "-", "-c:v", "libx265", "-x265-params", options, movie, stdin=raw
    )
    assert _ffmpeg(*quiet, "-i", movie, *as_raw, ten_bit, "-") == raw, "the encoder is not lossless"
    green, blue, red = np.frombuffer(
        _ffmpeg(*quiet, "-i", movie, "-vf", CHAIN, *as_raw, "gbrp", "-"), np.uint8
    ).reshape(3, height, width)

    codes = Grader(tags, 10, ToneSettings(), max_cll or 1000).sdr([picture], CHART)[0]
    apart = np.abs(codes.astype(int) - np.stack([red, green, blue], axis=-1))
    # Where patches meet, chroma bleeds and PQ signal may exceed 1: zimg goes on beyond 10000 cd/m2, and we stop there.
    legal = (reference.signal(picture, tags) <= (1 if tags is PQ else 1.5)).all(axis=-1)
    assert legal.mean() > 0.99
    assert (apart[legal] > 1).mean() <= 1e-4
    assert tags is HLG or apart[legal].max() <= 1
