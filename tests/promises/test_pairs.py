"""HDR and SDR pairs of one decode have the same crops, and equal each output on its own bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from torch_hdrpatches import HDRPatchDataset, PatchLoader, ToneMap, export, read_shards
from torch_hdrpatches.errors import UnsupportedMovieError
from torch_hdrpatches.rng import rng_at
from torch_hdrpatches.shards.manifest import tally_of
from torch_hdrpatches.testing import MovieSpec, write_movie
from torch_hdrpatches.transforms import BI


def by_key(recipe: Any, **options: Any) -> dict[str, Any]:
    return {sample["key"]: sample for sample in HDRPatchDataset(recipe, **options)}


def test_both_outputs_equal_each_output_on_its_own(small):
    both, sdr, hdr = (by_key(small, output=output) for output in ("both", "sdr", "hdr"))
    assert both.keys() == sdr.keys() == hdr.keys()
    for key, sample in both.items():
        assert sample["crop"] == sdr[key]["crop"] == hdr[key]["crop"]
        for name in ("gt", "lq"):
            assert torch.equal(sample[name], sdr[key][name])
            assert torch.equal(sample[f"{name}_hdr"], hdr[key][name])
            assert sample[name].dtype == torch.uint8
            assert sample[f"{name}_hdr"].dtype == torch.uint16


def test_a_sequence_contains_the_centre_frame_and_degrades_to_lq(small):
    sequences, centres = by_key(small, output="both", gt="sequence"), by_key(small, output="both")
    for key, sample in sequences.items():
        for suffix in ("", "_hdr"):
            assert sample["gt" + suffix].shape[0] == 7
            assert torch.equal(sample["gt" + suffix][3], centres[key]["gt" + suffix])
            assert torch.equal(sample["lq" + suffix], BI()(sample["gt" + suffix], 3, rng_at()))


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_tone_mapping_the_signal_of_a_batch_gives_its_sdr_within_one_code(small, transfer, tmp_path):
    movie = write_movie(tmp_path / "movie.mkv", MovieSpec(height=96, width=128, frames=32, transfer=transfer))
    small["movies"] = [{"path": str(movie), "categories": ["one"]}]
    worst = 0
    for batch in PatchLoader(HDRPatchDataset(small, output="both"), 4, steps=4):
        tonemap = ToneMap(transfer, peak=float(batch["tonemap"]["peak"][0]), dtype=torch.uint8)
        difference = tonemap(batch["gt_hdr"]).to(torch.int16) - batch["gt"].to(torch.int16)
        # HLG allows signal above 1. It is clipped at 65535 in "hdr", but not in the input of the tone curve of "sdr".
        whole = (batch["gt_hdr"].to(torch.int32) < 65535).all(1, keepdim=True)
        assert whole.float().mean() > 0.9
        worst = max(worst, int((difference.abs() * whole).max()))
    assert worst <= 1


def test_shards_of_16_bit_are_read_for_training(small, tmp_path):
    export(small, tmp_path, output="hdr")
    batches = list(PatchLoader(read_shards(tmp_path), 4))
    live = by_key(small, output="hdr")
    assert sorted(key for batch in batches for key in batch["key"]) == sorted(live)
    for batch in batches:
        for key, gt, lq in zip(batch["key"], batch["gt"], batch["lq"], strict=True):
            assert gt.dtype == torch.uint16
            assert torch.equal(gt, live[key]["gt"])
            assert torch.equal(lq, live[key]["lq"])


@pytest.fixture
def mixed(small: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """Two HDR movies and one that is SDR."""
    sdr = write_movie(tmp_path / "sdr.mkv", MovieSpec(height=96, width=128, frames=24, transfer="bt709"))
    return small | {"movies": [*small["movies"], {"path": str(sdr), "categories": ["one"]}]}


@pytest.mark.parametrize("output", ["hdr", "both"])
def test_an_sdr_movie_without_hdr_signal_fails_and_the_others_go_on(mixed, output, tmp_path):
    dataset = HDRPatchDataset(mixed, output=output)
    assert {sample["movie"] for sample in dataset} == {"first", "second"}
    failure = dataset.stream.outcome(0, "sdr", 0).failure
    assert isinstance(failure, UnsupportedMovieError)
    assert 'is SDR (bt709), and has no HDR signal; leave it out, or use output="sdr"' in str(failure)
    export(mixed, tmp_path / "shards", output=output)
    assert "has no HDR signal" in tally_of(tmp_path / "shards").failures["sdr"]


def test_an_sdr_movie_gives_samples_without_tone_mapping(mixed):
    sdr = [sample for sample in HDRPatchDataset(mixed) if sample["movie"] == "sdr"]
    assert sdr
    assert {sample["tonemap"]["curve"] for sample in sdr} == {"none"}
