"""Tone curves give the published codes and their formulas' values; a movie's peak comes from plausible metadata."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.helpers import reference
from tests.helpers.charts import CHART, HLG, PQ, assert_within_one_code, coded, expected, noise, patches, whole
from torch_hdrpatches.color import Grader, ToneSettings
from torch_hdrpatches.color.curves import PRESETS, implausible_peaks, peak_nits
from torch_hdrpatches.frames import Box, ColorTags

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
def test_neutral_colours_have_the_published_codes(curve: Any, white: float, peak: float, codes: list[int]) -> None:
    grader = Grader(replace(PQ, range="pc"), 16, ToneSettings(curve, white), peak)
    luma = np.round(reference.pq_signal(np.array(NITS[: len(codes)])) * 65535).astype(int)
    assert grader.grey[luma].tolist() == codes


@pytest.mark.parametrize("curve", sorted(reference.CURVES))
@pytest.mark.parametrize(("tags", "peak"), [(PQ, 1000), (PQ, 4000), (PQ, 80), (HLG, 1000)])
def test_every_curve_is_within_one_code_of_the_formula(curve: Any, tags: ColorTags, peak: float) -> None:
    frame = coded(patches(tags.transfer), tags, 10, 2, 2)
    settings = ToneSettings(curve)
    exact = expected(frame, tags, replace(settings, curve="none") if peak == 80 else settings, peak)
    assert_within_one_code(Grader(tags, 10, settings, peak).sdr([frame], CHART)[0], exact)


@pytest.mark.parametrize("tags", [PQ, HLG])
def test_the_bt2408_preset_is_within_one_code_of_the_formula(tags: ColorTags) -> None:
    frame = coded(patches(tags.transfer, seed=1), tags, 10, 2, 2)
    settings = PRESETS["bt2408"]
    assert_within_one_code(
        Grader(tags, 10, settings, 1000).sdr([frame], CHART)[0], expected(frame, tags, settings, 1000)
    )


def test_a_user_curve_gives_the_same_result_as_the_same_named_curve() -> None:
    frame = noise()
    named = Grader(PQ, 10, ToneSettings("reinhard"), 1000)
    own = Grader(PQ, 10, ToneSettings(lambda light, peak: light / (light + 1) * (peak + 1) / peak), 1000)
    assert np.array_equal(named.sdr([frame], whole(frame)), own.sdr([frame], whole(frame)))


def test_a_user_curve_must_return_one_finite_value_per_value() -> None:
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
def test_invalid_settings_are_refused(arguments: dict[str, Any], named: str) -> None:
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
def test_the_peak_comes_from_maxcll_then_mastering_then_a_default(
    max_cll: float, mastering: float, expected_peak: tuple[float, str]
) -> None:
    assert peak_nits(max_cll, mastering) == expected_peak


def test_implausible_peaks_are_named_in_a_warning() -> None:
    assert implausible_peaks(1000, 4000) == implausible_peaks(0, 0) == ""
    assert implausible_peaks(30, 4000) == (
        "MaxCLL of 30 cd/m2 is outside 50..10000 and ignored; the peak is 4000 cd/m2 (from the mastering display)"
    )
    assert implausible_peaks(65535, 0.1) == (
        "MaxCLL of 65535 cd/m2 and mastering display peak of 0.1 cd/m2 are outside 50..10000 and ignored; "
        "the peak is 1000 cd/m2 (assumed)"
    )
