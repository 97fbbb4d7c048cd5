"""A map-style view gives every planned sample by number, and makes each run once."""

from __future__ import annotations

import pickle
from collections import Counter
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from tests.helpers.samples import Refuses, signature, signatures
from torch_hdrpatches import HDRPatchDataset, export, read_shards
from torch_hdrpatches.errors import NoSamplesError
from torch_hdrpatches.loading.map_style import MapStyleDataset, RunSampler


class CountingDataset(HDRPatchDataset):
    """Counts how often each item of each epoch is made, in all processes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.made = torch.zeros(8, self.items, dtype=torch.int64).share_memory_()

    def outcomes(self, epoch, position):
        self.made[epoch, position] += 1
        return super().outcomes(epoch, position)


@pytest.fixture
def one_format(small):
    small["categories"] = {name: {"formats": {"a": 1.0}} for name in small["categories"]}
    small["sampling"]["stability"] = "first_to_last"
    small["sampling"]["max_scene_change"] = 255  # so that no window is refused
    return small


def as_is(samples: list[Any]) -> list[Any]:
    return samples


def test_numbers_give_the_samples_of_the_epoch_in_the_order_of_the_plan(one_format):
    dataset = HDRPatchDataset(one_format)
    view = MapStyleDataset(dataset)
    plan = [
        sample for position in range(dataset.items) for out in dataset.outcomes(0, position) for sample in out.samples
    ]
    assert len(view) == len(plan)
    assert signatures(view[number] for number in range(len(view))) == signatures(plan)
    assert signature(view[len(view) - 1]) == signature(plan[-1])
    for outside in (-1, len(view)):
        with pytest.raises(IndexError, match=f"which has {len(view)} samples"):
            view[outside]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_sampler_makes_each_run_once_and_gives_each_number_once(one_format, workers):
    dataset = CountingDataset(one_format)
    view = MapStyleDataset(dataset, runs=2)
    sampler = RunSampler(view, batch_size=4, num_workers=workers)
    loader = DataLoader(view, batch_size=4, num_workers=workers, sampler=sampler, collate_fn=as_is)
    for epoch in (0, 1):
        keys = Counter(sample["key"] for batch in loader for sample in batch)
        assert max(keys.values()) == 1
        assert len(keys) == len(view)
        assert all(f"-{epoch}-" in key for key in keys)
        twice = int(dataset.made[epoch].sum()) - dataset.items
        assert 0 <= twice <= (2 if workers else 0)  # the last batches, which both workers share


def test_a_random_order_would_make_runs_again(one_format):
    dataset = CountingDataset(one_format)
    view = MapStyleDataset(dataset, runs=1)
    order = torch.randperm(len(view), generator=torch.Generator().manual_seed(0)).tolist()
    list(DataLoader(view, batch_size=4, sampler=order, collate_fn=as_is))
    assert int(dataset.made.sum()) > 3 * dataset.items


def test_ranks_share_the_numbers_and_get_equally_many(one_format):
    view = MapStyleDataset(HDRPatchDataset(one_format))
    samplers = [RunSampler(view, rank=rank, world_size=3) for rank in range(3)]
    assert len({len(sampler) for sampler in samplers}) == 1
    shares = [list(sampler) for sampler in samplers]
    assert [len(share) for share in shares] == [-(-len(view) // 3)] * 3
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not set(shares[one]) & set(shares[other])
    with pytest.raises(ValueError, match="runs for 99 ranks"):
        list(RunSampler(view, rank=0, world_size=99))


def test_an_epoch_can_be_chosen(one_format):
    view = MapStyleDataset(HDRPatchDataset(one_format), epoch=2)
    sampler = RunSampler(view)
    assert "-2-" in view[next(iter(sampler))]["key"]
    sampler.set_epoch(5)
    assert "-5-" in view[next(iter(sampler))]["key"]
    assert sorted(sampler) == list(range(len(view)))


def test_refused_slots_are_replaced_by_other_samples_of_their_run(one_format):
    dataset = HDRPatchDataset(one_format, accept=Refuses(0.9))
    given = {signature(sample) for sample in dataset}
    view = MapStyleDataset(dataset)
    everything = [view[number] for number in range(len(view))]
    assert {signature(sample) for sample in everything} == given
    assert len(given) < len(view)
    batches = list(DataLoader(view, batch_size=8, sampler=RunSampler(view, batch_size=8)))
    assert sum(len(batch["key"]) for batch in batches) == len(view)


def test_a_movie_that_cannot_be_read_is_replaced_by_the_others(one_format, tmp_path):
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"no movie")
    one_format["movies"].append({"path": str(broken), "categories": ["one"]})
    view = MapStyleDataset(HDRPatchDataset(one_format))
    assert {view[number]["movie"] for number in range(len(view))} == {"first", "second"}


def test_a_view_that_gives_nothing_says_why(one_format, tmp_path):
    with pytest.raises(NoSamplesError, match="x not_accepted_by_callable"):
        MapStyleDataset(HDRPatchDataset(one_format, accept=Refuses(1.0)))[0]
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"no movie")
    one_format["movies"] = [{"path": str(broken), "categories": ["one"]}]
    with pytest.raises(NoSamplesError, match="broken failed"):
        MapStyleDataset(HDRPatchDataset(one_format))[0]


def test_exported_samples_have_numbers_too(one_format, tmp_path):
    export(one_format, tmp_path / "out")
    dataset = read_shards(tmp_path / "out", category="one", seed=None)
    view = pickle.loads(pickle.dumps(MapStyleDataset(dataset)))
    assert len(view) == len(dataset)
    assert signatures(view[number] for number in range(len(view))) == signatures(dataset)
