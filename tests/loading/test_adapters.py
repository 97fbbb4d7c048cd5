"""Adapters give other trainers the shapes, ranges and names that they expect."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, default_collate

from torch_hdrpatches import HDRPatchDataset
from torch_hdrpatches.loading.adapters import basicsr, kair, mmagic, stacked, write_old_layout


@pytest.fixture
def sample(recipe: dict[str, Any]) -> Any:
    recipe["categories"]["master"]["formats"] = {"square": 1.0}
    return next(iter(HDRPatchDataset(recipe)))


def test_basicsr_gets_float_frames_in_0_to_1(sample):
    adapted = basicsr(sample)
    assert list(adapted) == ["lq", "gt", "key"]
    assert tuple(adapted["lq"].shape) == (7, 3, 60, 60)
    assert tuple(adapted["gt"].shape) == (3, 180, 180)
    for name in ("lq", "gt"):
        assert adapted[name].dtype == torch.float32
        assert torch.equal((adapted[name] * 255).round().to(torch.uint8), sample[name])
    white = sample | {"gt": torch.tensor([0, 255], dtype=torch.uint8), "lq": torch.tensor([0, 65535]).to(torch.uint16)}
    assert basicsr(white)["gt"].tolist() == basicsr(white)["lq"].tolist() == [0.0, 1.0]


def test_batches_are_adapted_as_samples_are(sample):
    batch = default_collate([sample, sample])
    assert torch.equal(basicsr(batch)["lq"], torch.stack([basicsr(sample)["lq"]] * 2))
    assert torch.equal(stacked(batch["lq"]), torch.stack([stacked(sample["lq"])] * 2))


def test_a_plain_loader_adapts_in_its_workers(recipe):
    recipe["categories"] = {name: {"formats": {"square": 1.0}} for name in recipe["categories"]}
    batch = next(iter(DataLoader(HDRPatchDataset(recipe, transform=as_kair), batch_size=4)))
    assert tuple(batch["L"].shape) == (4, 7, 3, 60, 60)


def as_kair(sample: Any, rng: np.random.Generator) -> Any:
    return kair(sample)


def test_kair_has_its_own_names(sample):
    adapted = kair(sample)
    assert list(adapted) == ["L", "H", "key"]
    assert torch.equal(adapted["L"], basicsr(sample)["lq"])
    assert torch.equal(adapted["H"], basicsr(sample)["gt"])


def test_mmagic_gets_inputs_and_a_data_sample_in_0_to_255(sample):
    adapted = mmagic(sample, SimpleNamespace)
    assert torch.equal(adapted["inputs"].round().to(torch.uint8), sample["lq"])
    assert torch.equal(adapted["data_samples"].gt_img.round().to(torch.uint8), sample["gt"])
    assert adapted["data_samples"].metainfo == {"key": sample["key"]}


@pytest.mark.parametrize("frames", [1, 3, 5, 7])
def test_the_old_stack_holds_the_middle_frames_from_top_to_bottom(sample, frames):
    image = stacked(sample["lq"], frames)
    assert tuple(image.shape) == (3, 60 * frames, 60)
    first = (7 - frames) // 2
    for number in range(frames):
        assert torch.equal(image[:, 60 * number : 60 * (number + 1)], sample["lq"][first + number])


def test_frames_without_a_middle_are_refused(sample):
    for frames in (0, 4, 9):
        with pytest.raises(ValueError, match="cannot take the middle"):
            stacked(sample["lq"], frames)
    with pytest.raises(TypeError, match="float32"):
        basicsr(sample | {"gt": sample["gt"].float()})


def test_the_old_layout_has_the_files_that_the_old_trainer_reads(sample, tmp_path):
    write_old_layout(sample, tmp_path)
    sizes = {}
    for path in tmp_path.rglob("*.png"):
        assert path.stem == sample["key"]
        with Image.open(path) as image:
            sizes[path.parent.relative_to(tmp_path).as_posix()] = image.size
    assert sizes == {"Patches/GT": (180, 180), "Patches/LR": (60, 300), "Patches/LR_7frames": (60, 420)}
    with Image.open(tmp_path / "Patches" / "GT" / f"{sample['key']}.png") as image:
        truth = np.asarray(image)
    assert np.array_equal(truth, sample["gt"].permute(1, 2, 0).numpy())
