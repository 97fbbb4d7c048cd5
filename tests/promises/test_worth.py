"""Patches are chosen for training: the sharpest of several crop boxes, and rejection by thresholds or a callable."""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import torch

from torch_hdrpatches import HDRPatchDataset, Recipe

CLIPS = (
    "pq_hevc_sdr_container_1080p.mp4",
    "pq_hevc_countdown_1080p24.mov",
    "hlg_hevc_848x464.mkv",
    "pq_hevc_dv8_360p60.mp4",
)


def of_clips(clips: Path, candidates: int) -> HDRPatchDataset:
    recipe = Recipe.of(
        [clips / name for name in CLIPS],
        format="patch",
        formats={"patch": {"gt": [180, 180]}},
        sampling={"timestamps_per_movie": 8, "retry_skip": 0.2},
        crop={"candidates": candidates},
    )
    return HDRPatchDataset(recipe)


def test_candidates_raise_the_sharpness_of_patches_of_real_movies(clips):
    plain, chosen = ({s["key"]: s for s in of_clips(clips, candidates)} for candidates in (1, 4))
    assert plain.keys() == chosen.keys()
    for movie in {sample["movie"] for sample in plain.values()}:
        before, after = (
            mean(sample["measures"]["sharpness"] for sample in samples.values() if sample["movie"] == movie)
            for samples in (plain, chosen)
        )
        assert after > before, movie


class Brighter:
    """Accepts patches with a mean luma of the ground truth above a threshold."""

    def __init__(self, luma: float) -> None:
        self.luma = luma

    def __call__(self, sample: Any) -> bool:
        return bool(sample["gt"].float().mean() > self.luma)

    def __repr__(self) -> str:
        return f"Brighter({self.luma})"


def test_a_patch_that_accept_rejects_is_drawn_again_in_the_same_window(small):
    plain = {sample["key"]: sample for sample in HDRPatchDataset(small)}
    bright = {sample["key"]: sample for sample in HDRPatchDataset(small, accept=Brighter(60))}
    assert all(sample["gt"].float().mean() > 60 for sample in bright.values())
    kept = [key for key in bright if torch.equal(bright[key]["gt"], plain[key]["gt"])]
    moved = [key for key in bright if bright[key]["crop"] != plain[key]["crop"]]
    assert kept
    assert moved, "no patch was drawn again"
    assert all(bright[key]["seconds"] == plain[key]["seconds"] for key in moved)
    assert all(plain[key]["gt"].float().mean() <= 60 for key in moved)


def test_accept_is_part_of_the_fingerprint(small):
    identity = HDRPatchDataset(small, accept=Brighter(60)).fingerprint()
    assert identity["accept"] == "Brighter(60)"
    assert identity != HDRPatchDataset(small, accept=Brighter(61)).fingerprint()


@pytest.mark.parametrize("bounds", [{"entropy": 3.0}, {"clipped": 0.01}, {"mean_luma": (40.0, 120.0)}])
def test_thresholds_reject_patches_by_their_measures(small, bounds):
    accepted = list(HDRPatchDataset(small | {"accept": bounds}))
    assert accepted
    ((name, bound),) = bounds.items()
    low, high = bound if isinstance(bound, tuple) else ((0, bound) if name == "clipped" else (bound, float("inf")))
    assert all(low <= sample["measures"][name] <= high for sample in accepted)
