"""A sample is a dict in all that torch, pickle, JSON and users do with it; only its text is shorter."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
import torch
from torch.utils import _pytree as pytree
from torch.utils.data import DataLoader, default_collate
from torch.utils.data._utils.pin_memory import pin_memory

from torch_hdrpatches import HDRPatchDataset, PatchLoader, export, read_shards
from torch_hdrpatches.sampling.sample import SampleDict


@pytest.fixture
def sample(small):
    return next(iter(HDRPatchDataset(small)))


def equal(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(value, other[name]) if isinstance(value, torch.Tensor) else value == other[name]
        for name, value in one.items()
    )


def test_a_sample_equals_a_plain_dict_and_survives_copies_and_pickles(sample):
    plain = {name: value for name, value in sample.items() if not isinstance(value, torch.Tensor)}
    assert SampleDict(plain) == plain
    assert json.loads(json.dumps(SampleDict(plain)))["key"] == sample["key"]
    for again in (copy.copy(sample), copy.deepcopy(sample), pickle.loads(pickle.dumps(sample)), dict(sample)):
        assert equal(again, sample)
    assert type(pickle.loads(pickle.dumps(sample))) is type(copy.copy(sample)) is SampleDict
    assert not hasattr(sample, "__dict__")


def test_the_text_of_a_sample_has_shapes_in_place_of_pixels():
    frames, centre = torch.zeros(7, 3, 16, 16, dtype=torch.uint8), torch.zeros(3, 48, 48, dtype=torch.uint8)
    sample = SampleDict(key="pq-one-0-000003", gt=centre, lq=frames, category="one", format="a", seconds=1.5)
    assert repr(sample) == "<Sample pq-one-0-000003: one, a, gt uint8 (3, 48, 48), lq uint8 (7, 3, 16, 16)>"
    batch = default_collate([sample, sample | {"category": "two"}])
    assert repr(batch) == "<Batch of 2: one, two, a, gt uint8 (2, 3, 48, 48), lq uint8 (2, 7, 3, 16, 16)>"
    assert repr(SampleDict(gt=centre)) == "<Sample without a key: gt uint8 (3, 48, 48)>"


@pytest.mark.parametrize("workers", [0, 1])
def test_every_loader_gives_samples_and_batches_of_this_kind(small, workers):
    small["formats"] = {name: {"gt": [48, 48]} for name in "abc"}
    dataset = HDRPatchDataset(small)
    for loader in (PatchLoader(dataset, 2, num_workers=workers), DataLoader(dataset, 2, num_workers=workers)):
        assert type(next(iter(loader))) is SampleDict
    (first, _) = next(iter(PatchLoader(dataset, 2, num_workers=workers, collate_fn=list)))
    assert type(first) is SampleDict


def test_a_transform_may_return_a_plain_dict(small):
    assert type(next(iter(HDRPatchDataset(small, transform=with_label)))) is SampleDict


def with_label(sample, rng):
    return {**sample, "label": int(rng.integers(5))}


def test_stored_samples_are_of_this_kind(small, tmp_path):
    export(small, tmp_path / "out", limit=2)
    assert {type(sample) for sample in read_shards(tmp_path / "out")} == {SampleDict}


def test_torch_finds_the_tensors_of_a_batch_as_in_a_dict(sample):
    batch = default_collate([sample, sample])
    assert len(pytree.tree_leaves(batch)) == len(pytree.tree_leaves(dict(batch))) > 10
    doubled = pytree.tree_map_only(torch.Tensor, lambda tensor: 2 * tensor, batch)
    assert type(doubled) is SampleDict
    assert torch.equal(doubled["gt"], 2 * batch["gt"])
    named = {pytree.keystr(path): leaf for path, leaf in pytree.tree_leaves_with_path(batch)}
    assert named["['gt']"] is batch["gt"]
    if torch.cuda.is_available():
        assert type(pin_memory(batch)) is SampleDict
