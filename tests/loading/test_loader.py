"""Batches come in one order for any number of workers, ranks get equally many, and a saved state resumes exactly."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from itertools import chain, combinations, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.helpers.samples import Refuses, batch_signatures, signatures
from torch_hdrpatches import HDRPatchDataset, PatchLoader
from torch_hdrpatches.errors import NoSamplesError, RanksError, StateError, WorkerDiedError
from torch_hdrpatches.loading.batching import EpochBatches, Part
from torch_hdrpatches.loading.epochs import EpochDataset
from torch_hdrpatches.loading.fetcher import Fetcher
from torch_hdrpatches.loading.ranks import Ranks
from torch_hdrpatches.loading.segments import EXTRA_EPOCH_OFFSET, Batching, Layout
from torch_hdrpatches.rng import rng_at
from torch_hdrpatches.sampling import Outcome
from torch_hdrpatches.sampling.sweep import Reject


class Numbers(EpochDataset):
    """A dataset of tiny samples with rejects, so that order and resume can be tried thousands of times."""

    def __init__(self, items: int, rejects: float = 0.0) -> None:
        super().__init__(0, None, None, items, max_empty_slots=1000)
        self.rejects = rejects
        self.formats = "ab"

    def fingerprint(self) -> dict[str, Any]:
        return {"items": self.items, "rejects": self.rejects}

    def outcomes(self, epoch: int, position: int) -> Iterator[Outcome]:
        rng = rng_at("numbers", epoch, position)
        extra, number = divmod(epoch, EXTRA_EPOCH_OFFSET)
        for slot in range(6):
            key = f"{number}-{extra}-{position}-{slot}"
            sample = {"key": key, "format": self.formats[rng.random() < 0.3], "category": "c"}
            if rng.random() >= self.rejects:
                yield Outcome("numbers", epoch, slot, samples=(sample,), windows=1)
            else:
                yield Outcome("numbers", epoch, slot, rejects=(Reject(0.0, "unlucky"),), windows=1)

    def describe(self, epoch: int, position: int) -> str:
        return f"item {position}"

    def planned(self, epoch: int) -> Any:
        return np.full(self.items, 6)

    def buckets(self, by_category: bool) -> dict[tuple[str, ...], None]:
        return dict.fromkeys([("a", "c"), ("b", "c")] if by_category else [("a",), ("b",)])


def samples_of(dataset: Any, epoch: int = 0) -> list[Any]:
    """Every sample of an epoch, item by item."""
    outcomes = (outcome for item in range(dataset.items) for outcome in dataset.outcomes(epoch, item))
    return [sample for outcome in outcomes for sample in outcome.samples]


def keys(batches: Any) -> list[list[str]]:
    return [[sample["key"] for sample in batch] for batch in batches]


def loader_of(dataset: Any, batch_size: int = 4, **options: Any) -> PatchLoader:
    return PatchLoader(dataset, batch_size, collate_fn=list, **options)


def own(batches: list[list[str]]) -> list[str]:
    """The keys of the epoch itself, without those of the extra epochs with which a short rank continues."""
    return [key for batch in batches for key in batch if key.split("-")[1] == "0"]


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_the_batches_are_the_same_for_any_number_of_workers(small, workers):
    here = batch_signatures(PatchLoader(HDRPatchDataset(small), 4))
    assert batch_signatures(PatchLoader(HDRPatchDataset(small), 4, num_workers=workers)) == here


def test_the_batches_are_the_same_from_spawned_workers(small):
    here = batch_signatures(PatchLoader(HDRPatchDataset(small), 4))
    loader = PatchLoader(HDRPatchDataset(small), 4, num_workers=2, multiprocessing_context="spawn")
    assert batch_signatures(loader) == here


def test_batches_hold_one_format(small):
    for batch in PatchLoader(HDRPatchDataset(small), 3):
        assert len(set(batch["format"])) == 1
    for batch in PatchLoader(HDRPatchDataset(small), 3, by_category=True):
        assert len(set(zip(batch["format"], batch["category"], strict=True))) == 1


@given(st.integers(3, 40), st.integers(1, 3), st.integers(1, 9), st.sampled_from([0.0, 0.3, 0.9]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_ranks_give_equal_numbers_of_batches_and_share_the_epoch(items, world_size, batch_size, rejects, drop_last):
    dataset = Numbers(items, rejects)
    options = {"world_size": world_size, "drop_last": drop_last, "shuffle_runs": 2}
    loaders = [loader_of(dataset, batch_size, rank=rank, **options) for rank in range(world_size)]
    lengths = {len(loader) for loader in loaders}
    assume(lengths != {0})
    shares = [keys(loader) for loader in loaders]
    assert {len(share) for share in shares} == lengths
    given_out = Counter(key for share in shares for key in own(share))
    everything = {sample["key"] for sample in samples_of(dataset)}
    assert max(given_out.values(), default=1) == 1
    assert set(given_out) <= everything
    if not drop_last:
        assert set(given_out) == everything
    else:
        assert all(len(batch) == batch_size for share in shares for batch in share)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_three_ranks_share_the_slots_of_movies_and_give_equal_numbers_of_batches(small, share):
    small["sampling"] |= {"timestamps_per_movie": 12}
    dataset = HDRPatchDataset(small, accept=Refuses(share))
    loaders = [loader_of(dataset, rank=rank, world_size=3) for rank in range(3)]
    promised = {len(loader) for loader in loaders}
    shares = [list(loader) for loader in loaders]
    assert {len(share) for share in shares} == promised
    kept = [[sample for batch in share for sample in batch if sample["epoch"] == 0] for share in shares]
    slots = [{(sample["movie"], sample["slot"]) for sample in samples} for samples in kept]
    assert not any(first & second for first, second in combinations(slots, 2))
    assert sorted(signatures(chain(*kept))) == sorted(signatures(dataset))


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_resumed_loader_gives_exactly_the_rest(data):
    dataset = Numbers(data.draw(st.integers(2, 20)), data.draw(st.sampled_from([0.0, 0.3, 0.9])))
    options = {
        "batch_size": data.draw(st.integers(1, 7)),
        "shuffle_runs": data.draw(st.integers(1, 5)),
        "drop_last": data.draw(st.booleans()),
        "by_category": data.draw(st.booleans()),
    }
    loader = loader_of(dataset, **options)
    loader.set_epoch(data.draw(st.integers(0, 3)))
    taken = data.draw(st.integers(0, len(loader)))
    batches = iter(loader)
    first = keys(next(batches) for _ in range(taken))
    state = json.loads(json.dumps(loader.state_dict()))
    rest, following = keys(batches), keys(loader)
    resumed = loader_of(dataset, **options)
    resumed.load_state_dict(state)
    assert keys(resumed) == (rest or following), "after the last batch comes the next epoch"
    assert keys(resumed) == following or not rest, "the epoch after a resumed one is whole"
    assert len(first) + len(rest) == len(loader)


def consumed(loader: PatchLoader, batches: int) -> list[list[str]]:
    """The keys of this many batches of a new iteration, which is then broken off."""
    return keys(islice(loader, batches))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_state_of_one_rank_resumes_all_ranks(data):
    world_size = data.draw(st.integers(1, 4))
    dataset = Numbers(data.draw(st.integers(world_size, 300)), data.draw(st.sampled_from([0.0, 0.3])))
    options = {"batch_size": data.draw(st.integers(1, 4)), "world_size": world_size}
    options["drop_last"] = data.draw(st.booleans())
    ranks = [loader_of(dataset, rank=rank, **options) for rank in range(world_size)]
    assume(len(ranks[0]) > 0)
    whole = [keys(loader) for loader in ranks]
    taken = data.draw(st.integers(0, len(ranks[0]) - 1))
    first = loader_of(dataset, rank=0, **options)
    assert consumed(first, taken) == whole[0][:taken]
    state = json.loads(json.dumps(first.state_dict()))
    for rank in range(world_size):
        loader = loader_of(dataset, rank=rank, **options)
        loader.load_state_dict(state)
        assert keys(loader) == whole[rank][taken:]


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_with_another_number_of_ranks_nothing_is_lost_or_given_twice(data):
    dataset = Numbers(data.draw(st.integers(4, 300)), data.draw(st.sampled_from([0.0, 0.3])))
    options = {"batch_size": data.draw(st.integers(1, 4)), "shuffle_runs": 2}
    seen: list[str] = []
    state: Any = None
    for world_size in data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=4)):
        states, left = [], 10**6
        for rank in range(world_size):
            loader = loader_of(dataset, rank=rank, world_size=world_size, **options)
            if state:
                loader.load_state_dict(state)
            if left == 10**6:
                left = data.draw(st.integers(1, max(1, len(loader) // 2)))
            seen += own(consumed(loader, left))
            states.append(loader.state_dict())
        assert all(later == states[0] for later in states), "the state is the same on all ranks"
        state = states[0]
        if state["epoch"] == 1:
            break
    else:
        loader = loader_of(dataset, **options)
        loader.load_state_dict(state)
        seen += own(keys(loader))
    assert sorted(seen) == sorted(sample["key"] for sample in samples_of(dataset))


def test_another_number_of_ranks_is_said(caplog):
    loader = loader_of(Numbers(40), rank=0, world_size=2)
    consumed(loader, 3)
    resumed = loader_of(Numbers(40))
    resumed.load_state_dict(loader.state_dict())
    keys(resumed)
    assert "saved by 2 ranks, and now there are 1: they share out the next 56 batches" in caplog.text


def test_a_long_epoch_gives_every_sample_once_in_full_batches():
    dataset = Numbers(1000, rejects=0.1)
    dataset.buckets = lambda by_category: {("a",): None}  # type: ignore[method-assign]
    dataset.formats = "aa"
    batches = list(loader_of(dataset, 4))
    assert sum(len(batch) < 4 for batch in batches) <= 1
    assert sorted(own(keys(batches))) == sorted(sample["key"] for sample in samples_of(dataset))
    extra = sum(len(batch) for batch in batches) - len(own(keys(batches)))
    assert extra < 0.15 * 6000


@pytest.mark.parametrize("batch_size", [1, 4, 7, 12])
def test_without_rejects_a_rank_gives_no_extra_samples(batch_size):
    dataset = Numbers(2016)
    dataset.formats = "aa"
    dataset.buckets = lambda by_category: {("a",): None}  # type: ignore[method-assign]
    given = keys(loader_of(dataset, batch_size))
    assert sum(map(len, given)) == len(own(given)) == 6 * 2016


def test_the_state_is_small_and_resuming_makes_few_items_again():
    dataset = Numbers(30_000)
    first = loader_of(dataset)
    consumed(first, 30_000)
    state = first.state_dict()
    assert len(json.dumps(state)) < 500
    resumed = loader_of(dataset)
    resumed.load_state_dict(state)
    made: list[int] = []
    outcomes = dataset.outcomes
    dataset.outcomes = lambda epoch, position: made.append(position) or outcomes(epoch, position)  # type: ignore[method-assign, func-returns-value]
    next(iter(resumed))
    assert len(made) < 200


@pytest.mark.parametrize("names", [3, 16, 60])
def test_the_state_is_small_with_any_number_of_categories_and_formats(small, names):
    long = [f"{number:02d}-{'x' * 21}" for number in range(names)]
    small["formats"] = {name: {"gt": [36, 36]} for name in long}
    small["categories"] = {name: {"formats": {name: 1.0}} for name in long}
    for movie in small["movies"]:
        movie["categories"] = long
    state = PatchLoader(HDRPatchDataset(small), 4).state_dict()
    assert len(json.dumps(state)) < 4096
    small["categories"][long[1]]["formats"] = {long[0]: 1.0}
    with pytest.raises(StateError, match="categories"):
        PatchLoader(HDRPatchDataset(small), 4).load_state_dict(state)


def test_a_state_of_another_stream_is_refused_by_name(small):
    state = PatchLoader(HDRPatchDataset(small), 4).state_dict()
    with pytest.raises(StateError, match="batch_size"):
        PatchLoader(HDRPatchDataset(small), 5).load_state_dict(state)
    with pytest.raises(StateError, match=r"tonemap\.curve"):
        PatchLoader(HDRPatchDataset(small | {"tonemap": {"curve": "hable"}}), 4).load_state_dict(state)
    with pytest.raises(StateError, match="output"):
        PatchLoader(HDRPatchDataset(small, output="hdr"), 4).load_state_dict(state)
    with pytest.raises(StateError, match=r"version 99, expected 3$"):
        PatchLoader(HDRPatchDataset(small), 4).load_state_dict({"version": 99})
    with pytest.raises(StateError, match="version 2, expected 3; it was saved by an earlier version of this package"):
        PatchLoader(HDRPatchDataset(small), 4).load_state_dict(state | {"version": 2})
    with pytest.raises(StateError, match="not the state of a PatchLoader"):
        PatchLoader(HDRPatchDataset(small), 4).load_state_dict(state | {"given": "x"})
    with pytest.raises(StateError, match="not the state of a PatchLoader"):
        PatchLoader(HDRPatchDataset(small), 4).load_state_dict(state | {"given": 3})


def test_iterating_again_gives_the_next_epoch():
    loader = loader_of(Numbers(9))
    first, second = keys(loader), keys(loader)
    assert {key.split("-")[0] for batch in first for key in batch} == {"0"}
    assert {key.split("-")[0] for batch in second for key in batch} == {"1"}
    loader.set_epoch(0)
    assert keys(loader) == first


def first_epoch(batch: Any) -> int:
    return int(batch[0]["key"].split("-")[0])


LOOPS = {
    "for": lambda loader: list(loader),
    "next": lambda loader: [next(batches) for batches in [iter(loader)] for _ in range(len(loader))],
    "islice": lambda loader: list(islice(loader, len(loader))),
    "islice, broken off": lambda loader: list(islice(loader, 2)),
    "zip": lambda loader: [batch for _, batch in zip(range(len(loader)), loader, strict=False)],
    "for, broken off": lambda loader: (next(iter(loader)),),
}


@pytest.mark.parametrize("loop", LOOPS)
def test_every_iteration_that_begins_gives_the_next_epoch(loop):
    loader = loader_of(Numbers(9))
    assert [{first_epoch(batch) for batch in LOOPS[loop](loader)} for _ in range(3)] == [{0}, {1}, {2}]


@pytest.mark.parametrize("loop", ["for", "next", "islice", "zip"])
def test_the_state_after_the_last_batch_is_the_start_of_the_next_epoch(loop):
    loader = loader_of(Numbers(9))
    LOOPS[loop](loader)
    state = loader.state_dict()
    assert (state["epoch"], state["batches"]) == (1, 0)
    resumed = loader_of(Numbers(9))
    resumed.load_state_dict(state)
    whole = loader_of(Numbers(9))
    whole.set_epoch(1)
    assert keys(resumed) == keys(whole)


@pytest.mark.parametrize("of", ["loader", "sampler", "source"])
def test_set_epoch_of_the_epoch_of_a_state_keeps_the_position(of):
    unbroken = loader_of(Numbers(9))
    whole = [batch for _ in range(3) for batch in keys(unbroken)]
    first = loader_of(Numbers(9))
    keys(first)
    consumed(first, 5)
    resumed = loader_of(Numbers(9))
    resumed.load_state_dict(first.state_dict())
    rest = []
    for epoch in range(first.state_dict()["epoch"], 3):
        (resumed if of == "loader" else getattr(resumed, of)).set_epoch(epoch)
        rest += keys(resumed)
    assert rest == whole[len(first) + 5 :]


def test_set_epoch_starts_an_epoch_that_was_broken_off_again():
    loader = loader_of(Numbers(9))
    peeked = consumed(loader, 2)
    loader.set_epoch(0)
    assert keys(loader)[:2] == peeked


def test_the_dataset_s_epoch_and_ranks_count_in_its_loader():
    dataset = Numbers(9)
    dataset.set_epoch(5)
    loader = loader_of(dataset)
    assert first_epoch(next(iter(loader))) == 5
    dataset.set_epoch(3)
    assert first_epoch(next(iter(loader))) == 3
    assert first_epoch(next(iter(loader))) == 4
    ranked = Numbers(9)
    ranked.given_ranks = 1, 2
    assert keys(loader_of(ranked)) == keys(loader_of(Numbers(9), rank=1, world_size=2))
    with pytest.raises(ValueError, match="rank is 0 in the loader and 1 in its dataset"):
        loader_of(ranked, rank=0)


def test_an_iteration_that_cannot_begin_counts_as_none(monkeypatch):
    loader = loader_of(Numbers(9))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RanksError, match="neither RANK nor a process group"):
        keys(loader)
    monkeypatch.setenv("RANK", "1")
    assert first_epoch(next(iter(loader))) == 0


def test_shuffle_is_told_that_order_is_built_in():
    with pytest.raises(ValueError, match="the order is built in"):
        loader_of(Numbers(9), shuffle=True)


def test_neighbouring_runs_are_mixed():
    batches = keys(loader_of(Numbers(12), 6, shuffle_runs=4))
    assert max(len({key.split("-")[2] for key in batch}) for batch in batches) > 1


def test_steps_sets_the_number_of_batches():
    assert len(keys(loader_of(Numbers(3), steps=50))) == 50


def test_an_iteration_cannot_continue_after_a_newer_one_has_started():
    loader = loader_of(Numbers(9))
    older = iter(loader)
    next(older)
    next(iter(loader))
    with pytest.raises(RuntimeError, match="a newer iteration"):
        next(older)


def test_an_epoch_of_less_than_one_batch_is_an_error():
    with pytest.raises(NoSamplesError, match="less than one batch of 64"):
        keys(loader_of(Numbers(3), 64, drop_last=True))


@pytest.mark.parametrize("name", ["batch_size", "shuffle_runs", "steps"])
def test_numbers_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} is 0, expected 1 or more"):
        PatchLoader(Numbers(3), **{name: 0})


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_without_samples_is_an_error_that_gives_the_reasons(small, workers):
    with pytest.raises(NoSamplesError, match=r"\d+ x unlucky"):
        keys(loader_of(Numbers(5, rejects=1.0)))
    small["sampling"] |= {"max_consecutive_rejects": 30}
    with pytest.raises(NoSamplesError, match=r"30 slots in a row gave no sample: .* x not_accepted_by_callable"):
        keys(loader_of(HDRPatchDataset(small, accept=never), num_workers=workers))
    small["accept"] = {"entropy": 8.0}
    with pytest.raises(NoSamplesError, match=r"30 slots in a row gave no sample: .* x not_accepted_entropy"):
        keys(loader_of(HDRPatchDataset(small), num_workers=workers))


def never(sample: Any) -> bool:
    return False


def test_movies_that_all_fail_are_an_error_that_names_them(small, tmp_path):
    for number, movie in enumerate(small["movies"]):
        movie["path"] = str(tmp_path / f"{number}.mkv")
        Path(movie["path"]).write_bytes(b"nothing")
    with pytest.raises(NoSamplesError, match=r"first failed .*second failed"):
        keys(loader_of(HDRPatchDataset(small), num_workers=1))


class At:
    """A transform that calls ``action`` at one slot of a movie."""

    def __init__(self, movie: str, slot: int, action: Any) -> None:
        self.movie, self.slot, self.action = movie, slot, action

    def __call__(self, sample: Any, rng: np.random.Generator) -> Any:
        if (sample["movie"], sample["slot"]) == (self.movie, self.slot):
            self.action()
        return sample


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def broken() -> None:
    raise KeyError("no such thing")


def test_the_error_for_a_dead_worker_names_its_movie(small):
    dataset = HDRPatchDataset(small, transform=At("second", 11, killed))
    with pytest.raises(WorkerDiedError, match=r"while making movie second \(.*2\.mkv\), slots 8 to 15, epoch 0"):
        keys(loader_of(dataset, num_workers=2))


def test_a_worker_that_dies_during_a_training_step_is_named_in_the_log(small, caplog):
    last = HDRPatchDataset(small).stream.plan.run_at(0, -1)
    dataset = HDRPatchDataset(small, transform=At(last.name, last.first, killed))

    def train() -> None:
        for _ in loader_of(dataset, num_workers=1, prefetch_factor=8, shuffle_runs=1):
            time.sleep(10)  # a training step; the signal handler raises in the middle of it

    with pytest.raises(RuntimeError, match="killed by signal"):
        train()
    assert f"while it was making movie {last.name}" in caplog.text


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_a_transform_names_the_movie(small, workers):
    dataset = HDRPatchDataset(small, transform=At("first", 2, broken))
    with pytest.raises(KeyError) as caught:
        keys(loader_of(dataset, num_workers=workers))
    notes = [str(caught.value), *getattr(caught.value, "__notes__", ())]
    assert "while making movie first" in "".join(notes)


def test_a_transform_that_drops_the_format_is_refused(small):
    with pytest.raises(ValueError, match="lacks 'format'"):
        keys(loader_of(HDRPatchDataset(small, transform=only_frames)))


def only_frames(sample: Any, rng: np.random.Generator) -> Any:
    return {name: sample[name] for name in ("gt", "lq")}


@pytest.mark.parametrize("taken", [3, None], ids=["broken off", "at its end"])
def test_a_loader_that_is_no_longer_used_ends_its_workers_at_once(small, taken):
    loader = loader_of(HDRPatchDataset(small), num_workers=1)
    gc.collect()
    gc.disable()  # it must not take a collection of garbage
    try:
        keys(islice(loader, taken))
        workers = multiprocessing.active_children()
        assert len(workers) == 1
        del loader
        assert multiprocessing.active_children() == []
    finally:
        gc.enable()


def collects_garbage(sample: Any, rng: np.random.Generator) -> Any:
    gc.collect()
    return sample


class Garbage:
    """Belongs to a cycle, like the old loaders of trainers; notes if another process ends it."""

    def __init__(self) -> None:
        self.cycle, self.pid = self, os.getpid()
        self.ended_elsewhere = torch.zeros(1).share_memory_()

    def __del__(self) -> None:
        self.ended_elsewhere += os.getpid() != self.pid


def test_a_worker_leaves_the_garbage_of_its_parent_alone(small):
    loader = loader_of(HDRPatchDataset(small, transform=collects_garbage), num_workers=1)
    gc.disable()
    try:
        ended_elsewhere = Garbage().ended_elsewhere
        keys(loader)
    finally:
        gc.enable()
    assert not ended_elsewhere


def test_waiting_samples_do_not_keep_the_memory_of_their_run(small):
    batching = Batching(8, shuffle_runs=1, by_category=True, drop_last=False, steps=None)
    dataset = HDRPatchDataset(small)
    layout = Layout(dataset, batching)
    batches = EpochBatches(dataset, Fetcher(dataset, 1, True), layout, Ranks(0, 1))
    segment = layout.segment(0, 0, 1)
    part = Part(segment, 0, batching, batches)
    batches._request(batches._addresses(segment, 0))
    for number in range(segment.batches):
        part.batch(number)
    waited = 0
    fresh = Part(segment, 0, batching, batches)
    for group in fresh._groups:
        addresses = [segment.address(position) for position in group]
        batches.request_first(addresses)
        list(fresh._filled(addresses))
        for sample in chain(*fresh._waiting.values()):
            waited += 1
            for tensor in (sample["gt"], sample["lq"]):
                assert tensor.untyped_storage().nbytes() == tensor.numel()
    assert waited > 10


def test_more_ranks_than_runs_is_an_error():
    with pytest.raises(ValueError, match="3 runs for 4 ranks"):
        keys(loader_of(Numbers(3), rank=0, world_size=4))
