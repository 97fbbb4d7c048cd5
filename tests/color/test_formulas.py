"""The formulas give the published values, and every name in H.273 is accepted or refused with a reason."""

from __future__ import annotations

import numpy as np
import pytest

from torch_hdrpatches.color import formulas, names


@pytest.mark.parametrize(
    ("nits", "signal"),
    [
        (0, 0.0),
        (0.1, 0.06234),
        (1, 0.14995),
        (100, 0.50808),
        (203, 0.58069),
        (1000, 0.75183),
        (4000, 0.90257),
        (10_000, 1),
    ],
)
def test_pq_has_the_published_values(nits: float, signal: float) -> None:
    assert formulas.inverse_eotf_pq(nits) == pytest.approx(signal, abs=1e-5)
    assert formulas.eotf_pq(formulas.inverse_eotf_pq(nits)) == pytest.approx(nits, rel=1e-9, abs=1e-9)


def test_pq_clamps_values_out_of_range() -> None:
    assert formulas.eotf_pq([-0.1, 1.1]).tolist() == [0, 10_000]
    assert formulas.inverse_eotf_pq([20_000]).tolist() == [1]


@pytest.mark.parametrize(("scene", "signal"), [(0, 0), (1 / 48, 0.25), (1 / 12, 0.5), (0.26496, 0.75), (1, 1)])
def test_hlg_has_the_published_values(scene: float, signal: float) -> None:
    assert formulas.oetf_hlg(scene) == pytest.approx(signal, abs=1e-5)
    assert formulas.inverse_oetf_hlg(signal) == pytest.approx(scene, abs=1e-5)


def test_hlg_signal_of_75_percent_is_reference_white_of_203_nits() -> None:
    assert formulas.ootf_hlg_per_channel(formulas.inverse_oetf_hlg(0.75)) == pytest.approx(203, abs=0.2)


def test_bt1886_is_gamma_2_4() -> None:
    assert formulas.eotf_bt1886([-1, 0, 0.5, 1]) == pytest.approx([0, 0, 0.18946, 1], abs=1e-5)
    assert formulas.inverse_eotf_bt1886([-1, 0, 0.18946, 1]) == pytest.approx([0, 0, 0.5, 1], abs=1e-5)


@pytest.mark.parametrize(
    ("matrix", "red_cr", "green_cb", "green_cr", "blue_cb"),
    [
        ("bt2020nc", 1.4746, -0.16455, -0.57135, 1.8814),
        ("bt709", 1.5748, -0.18732, -0.46812, 1.8556),
        ("smpte170m", 1.402, -0.34414, -0.71414, 1.772),
    ],
)
def test_ycbcr_matrices_have_the_published_values(
    matrix: str, red_cr: float, green_cb: float, green_cr: float, blue_cb: float
) -> None:
    decode = formulas.ycbcr_to_rgb(matrix)
    assert decode == pytest.approx(np.array([[1, 0, red_cr], [1, green_cb, green_cr], [1, blue_cb, 0]]), abs=1e-5)
    assert decode @ formulas.rgb_to_ycbcr(matrix) == pytest.approx(np.eye(3), abs=1e-12)


def test_bt2020_to_bt709_has_the_values_of_bt2087() -> None:
    published = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
    assert formulas.rgb_to_rgb("bt2020", "bt709") == pytest.approx(np.array(published), abs=1e-4)


@pytest.mark.parametrize("source", sorted(names.CHROMATICITIES))
@pytest.mark.parametrize("target", ["bt709", "bt2020"])
def test_white_stays_white_and_the_reverse_conversion_is_the_inverse(source: str, target: str) -> None:
    forward, backward = formulas.rgb_to_rgb(source, target), formulas.rgb_to_rgb(target, source)
    assert forward.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-12)
    assert forward @ backward == pytest.approx(np.eye(3), abs=1e-12)


@pytest.mark.parametrize(
    ("range_", "bits", "expected"),
    [
        ("tv", 8, (16, 219, 128, 224)),
        ("tv", 10, (64, 876, 512, 896)),
        ("tv", 12, (256, 3504, 2048, 3584)),
        ("pc", 8, (0, 255, 128, 255)),
        ("pc", 10, (0, 1023, 512, 1023)),
    ],
)
def test_code_ranges_are_those_of_bt2100(range_: str, bits: int, expected: tuple[float, ...]) -> None:
    assert formulas.code_range(range_, bits) == expected


def test_every_numbered_name_is_accepted_or_refused_with_a_reason() -> None:
    numbered = {
        "transfer": names.TRANSFERS,
        "primaries": names.PRIMARIES,
        "matrix": names.MATRICES,
        "range": names.RANGES,
        "chroma_location": names.CHROMA_LOCATIONS,
    }
    for field, known in numbered.items():
        for name in known.values():
            assert name in names.ACCEPTED[field] or name in names.REFUSED, (field, name)


@pytest.mark.parametrize(
    ("field", "alias", "name"),
    [
        ("transfer", "smpte2084", "pq"),
        ("transfer", "arib-std-b67", "hlg"),
        ("matrix", "gbr", "rgb"),
        ("range", "pc", "pc"),
    ],
)
def test_ffmpeg_names_are_accepted(field: str, alias: str, name: str) -> None:
    assert names.accepted_name(field, alias) == name


@pytest.mark.parametrize("matrix", ["ictcp", "bt2020c", "ycgco", "ipt-c2", "chroma-derived-nc", "smpte2085"])
def test_unsupported_matrices_are_refused_with_the_reason(matrix: str) -> None:
    with pytest.raises(ValueError, match=f"matrix '{matrix}': .*accepted are rgb, bt709"):
        names.accepted_name("matrix", matrix)
    with pytest.raises(ValueError, match=matrix):
        formulas.luma_coefficients(matrix)


def test_the_error_about_an_unknown_name_lists_the_valid_names() -> None:
    with pytest.raises(ValueError, match="transfer 'hdr10': unknown name; accepted are pq, hlg"):
        names.accepted_name("transfer", "hdr10")
