"""Shards are a complete training dataset: order, ranks, choice without decoding, and little memory."""

from __future__ import annotations

import gc
import json
import pickle
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
import webdataset
from torch.utils.data import DataLoader

from tests.helpers.samples import batch_signatures, signatures
from torch_hdrpatches import HDRPatchDataset, PatchLoader, export, read_shards
from torch_hdrpatches.errors import NoSamplesError, ShardError
from torch_hdrpatches.loading import shard_dataset
from torch_hdrpatches.shards.index import index_of


@pytest.fixture
def exported(small: dict[str, Any], tmp_path: Path) -> Path:
    export(small, tmp_path / "exported")
    return tmp_path / "exported"


@pytest.fixture
def live(small: dict[str, Any]) -> Counter[tuple[str, str, str]]:
    return Counter(signatures(HDRPatchDataset(small)))


def without_sidecars(folder: Path) -> Path:
    for path in folder.glob("*/*.json"):
        path.unlink()
    return folder


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("sidecars", [True, False])
def test_a_plain_loader_reads_every_sample_once(exported, live, workers, sidecars):
    dataset = read_shards(exported if sidecars else without_sidecars(exported))
    assert len(dataset) == live.total()
    assert Counter(signatures(DataLoader(dataset, None, num_workers=workers))) == live
    dataset.set_epoch(1)
    assert Counter(signatures(DataLoader(dataset, None, num_workers=workers))) == live


def test_spawned_workers_read_the_same(exported, live):
    loader = DataLoader(read_shards(exported), None, num_workers=2, multiprocessing_context="spawn")
    assert Counter(signatures(loader)) == live


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_the_records(exported, live, world_size):
    shares = [
        Counter(signatures(read_shards(exported, rank=rank, world_size=world_size))) for rank in range(world_size)
    ]
    assert sum(shares, Counter()) == live
    assert min(share.total() for share in shares) > 0


def test_the_order_is_addressed_by_seed_and_epoch(exported):
    def keys(**options: Any) -> list[str]:
        return [sample["key"] for sample in read_shards(exported, **options)]

    stored = keys(seed=None)
    assert keys(seed=None, epoch=1) == stored
    assert stored == [record.key for path in read_shards(exported, seed=None).shards for record in index_of(path)]
    shuffled = keys()
    assert keys() == shuffled != keys(epoch=1) != keys(epoch=1, seed=1)
    assert sorted(shuffled) == sorted(stored)


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize("by_category", [False, True])
def test_a_patch_loader_gives_every_sample_once_in_batches_of_one_format(exported, live, workers, by_category):
    loader = PatchLoader(read_shards(exported), 4, num_workers=workers, by_category=by_category)
    batches = list(loader)
    assert len(batches) == len(loader)
    assert Counter(chain(*batch_signatures(batches))) == live
    for batch in batches:
        assert len(set(batch["format"])) == 1
        assert not by_category or len(set(batch["category"])) == 1


def test_two_ranks_give_equal_numbers_of_batches(exported, live):
    loaders = [PatchLoader(read_shards(exported), 4, rank=rank, world_size=2) for rank in range(2)]
    batches = len(loaders[0])
    shares = [batch_signatures(loader) for loader in loaders]
    assert len(shares[0]) == len(shares[1]) == batches
    assert set(chain(*chain(*shares))) == set(live)


def test_samples_are_chosen_without_decoding(exported, monkeypatch):
    everything = {sample["key"]: sample for sample in read_shards(exported)}

    def refuse(*arguments: Any) -> None:
        raise AssertionError("an image was decoded")

    with monkeypatch.context() as patch:
        patch.setattr("torch_hdrpatches.shards.record.decode_image", refuse)
        chosen = {
            "a": read_shards(exported, format="a"),
            "two": read_shards(exported, category="two"),
            "rich": read_shards(exported, accept={"entropy": 5.5}),
            "late": read_shards(exported, where=lambda fields: fields["slot"] >= 10 and fields["movie"] == "first"),
        }
    expected = {
        "a": lambda sample: sample["format"] == "a",
        "two": lambda sample: sample["category"] == "two",
        "rich": lambda sample: sample["measures"]["entropy"] >= 5.5,
        "late": lambda sample: sample["slot"] >= 10 and sample["movie"] == "first",
    }
    for name, dataset in chosen.items():
        wanted = {key for key, sample in everything.items() if expected[name](sample)}
        assert 0 < len(wanted) < len(everything)
        assert {sample["key"] for sample in dataset} == wanted
        assert len(dataset) == len(wanted)
        batches = list(PatchLoader(dataset, 4))
        assert sorted(key for batch in batches for key in batch["key"]) == sorted(wanted)


def test_a_choice_of_no_samples_is_an_error(exported):
    with pytest.raises(NoSamplesError, match="none of the records"):
        read_shards(exported, accept={"entropy": 7.99})
    with pytest.raises(ValueError, match="enthropy"):
        read_shards(exported, accept={"enthropy": 3.0})


def test_a_transform_gets_a_generator_of_its_own_per_epoch_and_key(exported):
    def draw(sample: Any, rng: Any) -> Any:
        return sample | {"draw": float(rng.random())}

    draws = {sample["key"]: sample["draw"] for sample in read_shards(exported, transform=draw)}
    assert len(set(draws.values())) == len(draws)
    again = {sample["key"]: sample["draw"] for sample in read_shards(exported, transform=draw, rank=0, world_size=2)}
    assert again.items() < draws.items()
    later = {sample["key"]: sample["draw"] for sample in read_shards(exported, transform=draw, epoch=1)}
    assert later.keys() == draws.keys()
    assert not set(later.values()) & set(draws.values())


def test_a_transform_can_degrade_stored_sequences_differently(small, exported, tmp_path):
    export(small, tmp_path / "sequences", gt="sequence")

    def every_third(sample: Any, rng: Any) -> Any:
        return sample | {"lq": sample["gt"][:, :, ::3, ::3]}

    stored = {sample["key"]: sample for sample in read_shards(exported)}
    for sample in read_shards(tmp_path / "sequences", transform=every_third):
        assert torch.equal(sample["gt"][3], stored[sample["key"]]["gt"])
        assert sample["lq"].shape == stored[sample["key"]]["lq"].shape
        assert not torch.equal(sample["lq"], stored[sample["key"]]["lq"])


def test_a_block_is_read_without_the_rest_of_its_shard(exported, monkeypatch):
    reads = []
    original = shard_dataset.sample_of
    monkeypatch.setattr(shard_dataset, "sample_of", lambda key, members: reads.append(key) or original(key, members))
    dataset = read_shards(exported)
    samples = [sample for outcome in dataset.outcomes(0, 1) for sample in outcome.samples]
    assert 0 < len(samples) <= shard_dataset.BLOCK
    assert reads == [sample["key"] for sample in samples]


def test_a_dataset_of_shards_pickles_without_their_contents(exported, live):
    data = pickle.dumps(read_shards(exported))
    assert len(data) < 40_000
    assert Counter(signatures(pickle.loads(data))) == live


def test_a_shard_that_differs_from_its_sidecar_is_refused(exported):
    shard = next(exported.glob("*/*.tar"))
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1024])
    with pytest.raises(ShardError, match="its sidecar says"):
        read_shards(exported)
    sidecar = shard.with_suffix(".json")
    fields = json.loads(sidecar.read_bytes())
    shard.write_bytes(whole)
    sidecar.write_text(json.dumps(fields | {"samples": fields["samples"] + 3}))
    with pytest.raises(ShardError, match="its sidecar lists more"):
        list(read_shards(shard))


@pytest.mark.parametrize("record", [0, 2, -1])
def test_a_shard_cut_short_is_refused(exported, record):
    shard = next(exported.glob("*/*.tar"))
    without_sidecars(exported)
    _, offset, size = index_of(str(shard))[record].members[0]
    shard.write_bytes(shard.read_bytes()[: offset + size // 2])
    with pytest.raises(ShardError, match="verify --repair"):
        list(read_shards(exported))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves files open
def test_a_stock_webdataset_pipeline_reads_the_same_pictures(exported):
    ours = {sample["key"]: sample for sample in read_shards(exported)}
    shards = sorted(str(path) for path in exported.glob("*/*.tar"))
    read = list(webdataset.WebDataset(shards, shardshuffle=False).decode("torchrgb8"))
    gc.collect()
    assert [sample["__key__"] for sample in read] == [record.key for path in shards for record in index_of(path)]
    for sample in read:
        mine = ours[sample["__key__"]]
        assert torch.equal(sample["gt.png"], mine["gt"])
        assert torch.equal(sample["lq.png"].unflatten(1, (7, -1)).transpose(0, 1), mine["lq"])
        assert sample["json"]["category"] == mine["category"]
