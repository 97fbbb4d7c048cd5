"""Augmentations change ground truth and low-quality frames in the same way."""

import pickle

import numpy as np
import pytest
import torch

from torch_hdrpatches.transforms import Compose, Flip, OldLanczos, ReverseTime, Rotate


def sample(height: int = 18, width: int = 18, sequence: bool = False) -> dict[str, object]:
    """``lq`` is every third pixel of seven different frames, ``gt`` their centre or all of them."""
    codes = np.random.default_rng(2).integers(0, 256, (7, height, width, 3), dtype=np.uint8)
    frames = torch.from_numpy(codes).permute(0, 3, 1, 2).contiguous()
    lq = OldLanczos()(frames, 3, np.random.default_rng()).contiguous()
    return {"key": "a", "gt": frames if sequence else frames[3], "lq": lq, "crop": (0, 0, height, width)}


@pytest.mark.parametrize("sequence", [False, True])
@pytest.mark.parametrize("size", [(18, 18), (18, 30)])
@pytest.mark.parametrize("seed", range(12))
def test_low_quality_frames_still_match_the_ground_truth(size, sequence, seed):
    original = sample(*size, sequence)
    changed = Compose()(original, np.random.default_rng(seed))
    gt, lq = changed["gt"], changed["lq"]
    assert gt.is_contiguous()
    assert lq.is_contiguous()
    assert gt.shape == original["gt"].shape
    assert lq.shape == original["lq"].shape
    assert torch.equal(gt[..., 1::3, 1::3], lq if sequence else lq[3])
    assert (changed["key"], changed["crop"]) == (original["key"], original["crop"])


def test_every_orientation_and_direction_is_drawn():
    seen = {Compose()(sample(), np.random.default_rng(seed))["lq"].numpy().tobytes() for seed in range(200)}
    assert len(seen) == 16  # eight of the square, each in both directions of time


def test_results_depend_on_the_generator_only_and_the_input_is_not_modified():
    original = sample()
    kept = {key: value.clone() for key, value in original.items() if isinstance(value, torch.Tensor)}
    first, second = (pickle.loads(pickle.dumps(Compose()))(original, np.random.default_rng(9)) for _ in range(2))
    assert torch.equal(first["lq"], second["lq"])
    assert all(torch.equal(original[key], value) for key, value in kept.items())


def test_each_transform_changes_the_frames_as_documented():
    original = sample()
    turned = ReverseTime(1.0)(original, np.random.default_rng(0))
    assert torch.equal(turned["lq"], original["lq"].flip(0))
    assert torch.equal(turned["gt"], original["gt"])
    flipped = Flip(1.0)(original, np.random.default_rng(0))
    assert torch.equal(flipped["gt"], original["gt"].flip(-1, -2))
    assert Flip(0.0)(original, np.random.default_rng(0)) is original
    shapes = {tuple(Rotate()(sample(18, 30), np.random.default_rng(s))["gt"].shape) for s in range(20)}
    assert shapes == {(3, 18, 30)}


@pytest.mark.parametrize("seed", range(8))
def test_sixteen_bit_samples_change_as_eight_bit_ones_do(seed):
    eight = sample()
    sixteen = {
        key: value.to(torch.uint16) if isinstance(value, torch.Tensor) else value for key, value in eight.items()
    }
    first, second = (Compose()(one, np.random.default_rng(seed)) for one in (eight, sixteen))
    assert second["lq"].dtype == torch.uint16
    assert np.array_equal(first["lq"].numpy(), second["lq"].numpy())
