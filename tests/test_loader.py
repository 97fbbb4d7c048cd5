"""One order for any number of workers, equal ranks, and a cursor from which the rest comes out bit for bit."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from samples import batch_signatures

from torch_hdrpatches.batching import LAP
from torch_hdrpatches.dataset import HDRPatchDataset
from torch_hdrpatches.errors import NoSamplesError, StateError
from torch_hdrpatches.loader import PatchLoader
from torch_hdrpatches.rng import rng_at
from torch_hdrpatches.stream import Outcome
from torch_hdrpatches.transport import pack, unpack


class Numbers:
    """A source of tiny samples with rejects, so that order and resume can be tried by the thousand."""

    def __init__(self, items: int, rejects: float = 0.0) -> None:
        self.count, self.rejects = items, rejects
        self.patience = 1000

    def fingerprint(self) -> dict[str, Any]:
        return {"items": self.count, "rejects": self.rejects}

    def items(self, epoch: int) -> int:
        return self.count

    def outcomes(self, epoch: int, position: int) -> Iterator[Outcome]:
        rng = rng_at("numbers", epoch, position)
        lap, number = divmod(epoch, LAP)
        for slot in range(6):
            where = {"key": f"{number}-{lap}-{position}-{slot}", "format": "ab"[rng.random() < 0.3], "category": "c"}
            given = rng.random() >= self.rejects
            yield Outcome("numbers", epoch, slot, (where,) if given else (), () if given else ("unlucky",), windows=1)

    def where(self, epoch: int, position: int) -> str:
        return f"numbers at {position}"

    def planned(self, epoch: int, positions: range) -> int:
        return 6 * len(positions)

    def buckets(self, by_category: bool) -> int:
        return 2


def samples_of(source: Any, epoch: int = 0) -> list[Any]:
    """Every sample of an epoch, item by item."""
    outcomes = (outcome for item in range(source.items(epoch)) for outcome in source.outcomes(epoch, item))
    return [sample for outcome in outcomes for sample in outcome.samples]


def keys(batches: Any) -> list[list[str]]:
    return [[sample["key"] for sample in batch] for batch in batches]


def loader_of(source: Any, batch_size: int = 4, **options: Any) -> PatchLoader:
    return PatchLoader(source, batch_size, collate_fn=list, **options)


def own(batches: list[list[str]]) -> list[str]:
    """The keys that belong to the epoch itself, not to what a short rank draws on."""
    return [key for batch in batches for key in batch if key.split("-")[1] == "0"]


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_the_batches_are_the_same_for_any_number_of_workers(recipe, workers):
    here = batch_signatures(PatchLoader(HDRPatchDataset(recipe), 4))
    assert batch_signatures(PatchLoader(HDRPatchDataset(recipe), 4, num_workers=workers)) == here


def test_batches_hold_one_format(recipe):
    for batch in PatchLoader(HDRPatchDataset(recipe), 3):
        assert len(set(batch["format"])) == 1
    for batch in PatchLoader(HDRPatchDataset(recipe), 3, by_category=True):
        assert len(set(zip(batch["format"], batch["category"], strict=True))) == 1


@given(st.integers(3, 40), st.integers(1, 3), st.integers(1, 9), st.sampled_from([0.0, 0.3, 0.9]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_ranks_give_equal_numbers_of_batches_and_share_the_epoch(items, world_size, batch_size, rejects, drop_last):
    source = Numbers(items, rejects)
    options = {"world_size": world_size, "drop_last": drop_last, "shuffle_runs": 2}
    loaders = [loader_of(source, batch_size, rank=rank, **options) for rank in range(world_size)]
    lengths = {len(loader) for loader in loaders}
    if lengths == {0}:  # less than one batch, and drop_last leaves it out: said, not given as an empty epoch
        with pytest.raises(NoSamplesError, match="drop_last"):
            next(iter(loaders[0]))
        return
    shares = [keys(loader) for loader in loaders]
    assert {len(share) for share in shares} == lengths
    given_out = Counter(key for share in shares for key in own(share))
    everything = {sample["key"] for sample in samples_of(source)}
    assert max(given_out.values(), default=1) == 1
    assert set(given_out) <= everything
    if not drop_last:
        assert set(given_out) == everything
    else:
        assert all(len(batch) == batch_size for share in shares for batch in share)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_resumed_loader_gives_exactly_the_rest(data):
    source = Numbers(data.draw(st.integers(2, 20)), data.draw(st.sampled_from([0.0, 0.3, 0.9])))
    options = {
        "batch_size": data.draw(st.integers(1, 7)),
        "shuffle_runs": data.draw(st.integers(1, 5)),
        "drop_last": data.draw(st.booleans()),
        "by_category": data.draw(st.booleans()),
    }
    loader = loader_of(source, **options)
    loader.set_epoch(data.draw(st.integers(0, 3)))
    taken = data.draw(st.integers(0, len(loader)))
    assume(len(loader) > 0)
    batches = iter(loader)
    first = keys(next(batches) for _ in range(taken))
    state = json.loads(json.dumps(loader.state_dict()))
    rest, following = keys(batches), keys(loader)
    resumed = loader_of(source, **options)
    resumed.load_state_dict(state)
    assert keys(resumed) == rest
    assert keys(resumed) == following, "the epoch after a resumed one is whole"
    assert len(first) + len(rest) == len(loader)


@pytest.mark.parametrize("taken", [0, 1, 3, 5])
def test_a_resumed_loader_gives_the_same_bits_with_other_workers(recipe, taken):
    loader = PatchLoader(HDRPatchDataset(recipe), 3, num_workers=1)
    batches = iter(loader)
    for _ in range(taken):
        next(batches)
    state = json.dumps(loader.state_dict())
    resumed = PatchLoader(HDRPatchDataset(recipe), 3, num_workers=2)
    resumed.load_state_dict(json.loads(state))
    assert batch_signatures(resumed) == batch_signatures(batches)


def test_the_state_is_small(recipe):
    loader = loader_of(Numbers(400), 64)
    for _ in zip(range(30), loader, strict=False):
        assert len(json.dumps(loader.state_dict())) < 4096
    assert len(json.dumps(PatchLoader(HDRPatchDataset(recipe)).state_dict())) < 4096


def test_a_state_of_another_stream_is_refused_by_name(recipe):
    state = PatchLoader(HDRPatchDataset(recipe), 4).state_dict()
    with pytest.raises(StateError, match="batch_size"):
        PatchLoader(HDRPatchDataset(recipe), 5).load_state_dict(state)
    with pytest.raises(StateError, match=r"tonemap\.curve"):
        PatchLoader(HDRPatchDataset(recipe | {"tonemap": {"curve": "hable"}}), 4).load_state_dict(state)
    with pytest.raises(StateError, match="output"):
        PatchLoader(HDRPatchDataset(recipe, output="hdr"), 4).load_state_dict(state)
    with pytest.raises(StateError, match="version"):
        PatchLoader(HDRPatchDataset(recipe), 4).load_state_dict({"version": 99})


def test_iterating_again_gives_the_next_epoch():
    loader = loader_of(Numbers(9))
    first, second = keys(loader), keys(loader)
    assert {key.split("-")[0] for batch in first for key in batch} == {"0"}
    assert {key.split("-")[0] for batch in second for key in batch} == {"1"}
    loader.set_epoch(0)
    assert keys(loader) == first


def test_breaking_off_and_iterating_anew_starts_the_epoch_anew():
    loader = loader_of(Numbers(9))
    next(iter(loader))
    assert keys(loader) == keys(loader_of(Numbers(9)))


def test_neighbouring_runs_are_mixed():
    batches = keys(loader_of(Numbers(12), 6, shuffle_runs=4))
    assert max(len({key.split("-")[2] for key in batch}) for batch in batches) > 1


def test_steps_says_how_many_batches():
    assert len(keys(loader_of(Numbers(3), steps=50))) == 50


def test_a_stream_that_gives_nothing_is_an_error():
    with pytest.raises(NoSamplesError):
        keys(loader_of(Numbers(5, rejects=1.0)))


def test_more_ranks_than_runs_is_an_error():
    with pytest.raises(ValueError, match="3 runs for 4 ranks"):
        keys(loader_of(Numbers(3), rank=0, world_size=4))


def test_packing_keeps_every_bit_and_field():
    samples = (
        {"key": "a", "gt": torch.arange(60, dtype=torch.uint8).view(4, 5, 3).permute(2, 0, 1), "crop": (1, 2)},
        {"key": "b", "gt": torch.arange(60).view(3, 4, 5).to(torch.uint16), "x": torch.tensor([1.5])},
    )
    outcomes = (Outcome("m", 0, 0, samples), Outcome("m", 0, 1, rejects=("unstable",)))
    again = unpack(pack(outcomes))
    assert [replace(outcome, samples=()) for outcome in again] == [replace(outcome, samples=()) for outcome in outcomes]
    assert [list(sample) for sample in again[0].samples] == [list(sample) for sample in samples]
    for before, after in zip(samples, again[0].samples, strict=True):
        for name, value in before.items():
            if isinstance(value, torch.Tensor):
                assert value.dtype == after[name].dtype
                assert torch.equal(value.to(torch.float64), after[name].to(torch.float64))
            else:
                assert value == after[name]
    assert unpack(pack(())) == ()
