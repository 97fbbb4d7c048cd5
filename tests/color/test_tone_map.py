"""``ToneMap`` converts HDR signal as ``Grader`` converts the frame, for any batch, dtype and autocast setting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.helpers.charts import CHART, HLG, PQ, coded, patches
from torch_hdrpatches import ToneMap
from torch_hdrpatches.color import Grader, ToneSettings
from torch_hdrpatches.color.curves import PRESETS
from torch_hdrpatches.frames import ColorTags


def hdr_tensor(tags: ColorTags, settings: ToneSettings) -> tuple[torch.Tensor, torch.Tensor]:
    """The colour chart as HDR signal and as SDR codes from ``Grader``, both (1, 3, H, W)."""
    frame = coded(patches(tags.transfer), tags, 10, 1, 1)
    grader = Grader(tags, 10, settings, 1000)
    signal, sdr = (torch.from_numpy(convert([frame], CHART)).movedim(-1, -3) for convert in (grader.signal, grader.sdr))
    return signal, sdr


def code_difference(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return (first.int() - second.int()).abs()


def tone_map_of(tags: ColorTags, settings: ToneSettings) -> ToneMap:
    assert tags.transfer in ("pq", "hlg")
    transfer: Any = tags.transfer
    white, desat, ootf = settings.reference_white, settings.desat, settings.hlg_ootf
    return ToneMap(transfer, settings.curve, white, 1000, desat, ootf, dtype=torch.uint8)


@pytest.mark.parametrize("tags", [PQ, HLG])
@pytest.mark.parametrize("settings", [*PRESETS.values(), ToneSettings("hable"), ToneSettings("bt2446a", desat=0)])
def test_sdr_from_signal_equals_sdr_from_the_frame(tags: ColorTags, settings: ToneSettings) -> None:
    signal, sdr = hdr_tensor(tags, settings)
    difference = code_difference(tone_map_of(tags, settings)(signal), sdr)
    assert (difference > 1).float().mean() <= 1e-5
    assert (difference > 0).float().mean() < 0.02


@pytest.mark.parametrize("tags", [replace(PQ, primaries="smpte432"), replace(HLG, primaries="bt709")])
@pytest.mark.parametrize("settings", PRESETS.values())
def test_signal_is_in_bt2020_for_movies_of_any_primaries(tags: ColorTags, settings: ToneSettings) -> None:
    signal, sdr = hdr_tensor(tags, settings)
    difference = code_difference(tone_map_of(tags, settings)(signal), sdr)
    # 16 bits of BT.2020 signal are not quite enough for the darkest channel of a saturated colour in other primaries.
    assert (difference > 1).float().mean() <= 0.005
    assert difference.max() <= 3


def test_any_batch_shape_and_input_dtype_is_accepted() -> None:
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


def test_arithmetic_is_float32_under_autocast_and_after_a_dtype_conversion() -> None:
    signal, _ = hdr_tensor(PQ, ToneSettings())
    module = ToneMap(dtype=torch.uint8)
    codes = module(signal)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(module(signal), codes)
    assert torch.equal(module.to(torch.bfloat16)(signal), codes)


def test_floating_point_output_is_the_codes_before_rounding() -> None:
    signal, sdr = hdr_tensor(PQ, ToneSettings())
    light = ToneMap()(signal)
    assert light.dtype == torch.float32
    assert code_difference((light * 255 + 0.5).floor(), sdr).max() <= 1
    assert ToneMap(dtype=torch.bfloat16)(signal).dtype == torch.bfloat16


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
@pytest.mark.parametrize("hlg_ootf", ["per_channel", "luminance"])
def test_gradients_are_finite_from_black_to_white(transfer: Any, hlg_ootf: Any) -> None:
    levels = torch.tensor([0.0, 1e-6, 0.01, 0.3, 0.5, 0.9, 1.0])
    signal = torch.cartesian_prod(levels, levels, levels).T[None, :, :, None].clone().requires_grad_()
    ToneMap(transfer, hlg_ootf=hlg_ootf)(signal).sum().backward()
    assert signal.grad is not None
    assert signal.grad.isfinite().all()
    assert signal.grad.abs().max() > 0


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_the_module_compiles_in_one_graph(transfer: Any) -> None:
    signal = torch.rand(2, 3, 8, 8)
    module = ToneMap(transfer)
    assert torch.equal(torch.compile(module, fullgraph=True, backend="eager")(signal), module(signal))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("tags", [PQ, HLG])
def test_cuda_gives_the_same_codes(tags: ColorTags) -> None:
    signal, sdr = hdr_tensor(tags, ToneSettings())
    codes = ToneMap(tags.transfer, dtype=torch.uint8).cuda()(signal.cuda()).cpu()  # type: ignore[arg-type]
    assert (code_difference(codes, sdr) > 1).float().mean() <= 1e-5
