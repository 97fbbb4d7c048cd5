"""Batches come in one order for any number of workers, ranks get equally many, and a saved state resumes exactly."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.helpers.samples import Refuses, batch_signatures, signatures
from torch_hdrpatches import HDRPatchDataset, PatchLoader
from torch_hdrpatches.errors import NoSamplesError, StateError, WorkerDiedError
from torch_hdrpatches.loading.batching import EXTRA_EPOCH_OFFSET, Batching, EpochBatches
from torch_hdrpatches.loading.cursor import Cursor
from torch_hdrpatches.loading.epochs import EpochDataset
from torch_hdrpatches.loading.fetcher import Fetcher
from torch_hdrpatches.rng import rng_at, uniform_at
from torch_hdrpatches.sampling import Outcome
from torch_hdrpatches.sampling.cutter import weighted_choice
from torch_hdrpatches.sampling.sweep import Reject


class Numbers(EpochDataset):
    """A dataset of tiny samples with rejects, so that order and resume can be tried thousands of times."""

    def __init__(self, items: int, rejects: float = 0.0) -> None:
        super().__init__(0, 0, 1, items, max_empty_slots=1000)
        self.rejects = rejects

    def fingerprint(self) -> dict[str, Any]:
        return {"items": self.items, "rejects": self.rejects}

    def outcomes(self, epoch: int, position: int) -> Iterator[Outcome]:
        rng = rng_at("numbers", epoch, position)
        extra, number = divmod(epoch, EXTRA_EPOCH_OFFSET)
        for slot in range(6):
            key = f"{number}-{extra}-{position}-{slot}"
            sample = {"key": key, "format": "ab"[rng.random() < 0.3], "category": "c"}
            if rng.random() >= self.rejects:
                yield Outcome("numbers", epoch, slot, samples=(sample,), windows=1)
            else:
                yield Outcome("numbers", epoch, slot, rejects=(Reject(0.0, "unlucky"),), windows=1)

    def describe(self, epoch: int, position: int) -> str:
        return f"item {position}"

    def planned(self, epoch: int, positions: range) -> int:
        return 6 * len(positions)

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
    assert keys(resumed) == rest
    assert keys(resumed) == following, "the epoch after a resumed one is whole"
    assert len(first) + len(rest) == len(loader)


def test_the_state_is_small_with_many_samples_waiting(small):
    small["categories"] = {
        f"category_{name}": {"formats": {f"format_{n}": 1.0 + 4 * n for n in range(5)}} for name in range(4)
    }
    small["formats"] = {f"format_{n}": {"gt": [3 + 3 * n, 3]} for n in range(5)}
    small["sampling"]["timestamps_per_movie"] = 800
    for movie in small["movies"]:
        movie["categories"] = dict.fromkeys(small["categories"], 0.5)
    loader = PatchLoader(Planned(small), 64, collate_fn=list, by_category=True)
    sizes, waiting = [], []
    for _ in loader:
        state = loader.state_dict()
        sizes.append(len(json.dumps(state)))
        waiting.append(sum(Cursor.from_json(state).waiting.values()))
    assert max(waiting) > 600
    assert max(sizes) < 4096


class Planned(HDRPatchDataset):
    """The samples that a recipe plans, without frames."""

    def outcomes(self, epoch: int, position: int) -> Iterator[Outcome]:
        recipe = self.stream.recipe
        for slot in self.stream.plan.run_at(epoch, position).slots:
            samples = []
            for category in slot.categories(recipe.seed, epoch):
                u = uniform_at("format", slot.movie.name, epoch, slot.index, category)
                name = weighted_choice(recipe.categories[category].formats, u)
                samples.append({"key": f"{slot.movie.name}-{slot.index}", "format": name, "category": category})
            yield Outcome(slot.movie.name, epoch, slot.index, tuple(samples), windows=1)


def test_a_state_of_another_stream_is_refused_by_name(small):
    state = PatchLoader(HDRPatchDataset(small), 4).state_dict()
    with pytest.raises(StateError, match="batch_size"):
        PatchLoader(HDRPatchDataset(small), 5).load_state_dict(state)
    with pytest.raises(StateError, match=r"tonemap\.curve"):
        PatchLoader(HDRPatchDataset(small | {"tonemap": {"curve": "hable"}}), 4).load_state_dict(state)
    with pytest.raises(StateError, match="output"):
        PatchLoader(HDRPatchDataset(small, output="hdr"), 4).load_state_dict(state)
    with pytest.raises(StateError, match=r"version 99, expected 2$"):
        PatchLoader(HDRPatchDataset(small), 4).load_state_dict({"version": 99})
    with pytest.raises(StateError, match="version 1, expected 2; it was saved by an earlier version of this package"):
        PatchLoader(HDRPatchDataset(small), 4).load_state_dict(state | {"version": 1})
    with pytest.raises(StateError, match="rank, world_size; every rank saves"):
        PatchLoader(HDRPatchDataset(small), 4, rank=1, world_size=2).load_state_dict(state)
    with pytest.raises(StateError, match="not the state of a PatchLoader"):
        PatchLoader(HDRPatchDataset(small), 4).load_state_dict(state | {"waiting": "x"})


def test_iterating_again_gives_the_next_epoch():
    loader = loader_of(Numbers(9))
    first, second = keys(loader), keys(loader)
    assert {key.split("-")[0] for batch in first for key in batch} == {"0"}
    assert {key.split("-")[0] for batch in second for key in batch} == {"1"}
    loader.set_epoch(0)
    assert keys(loader) == first


def test_stopping_early_and_iterating_again_restarts_the_epoch():
    loader = loader_of(Numbers(9))
    next(iter(loader))
    assert keys(loader) == keys(loader_of(Numbers(9)))


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


def test_waiting_samples_do_not_keep_the_memory_of_their_run(small):
    batching = Batching(8, 0, 1, shuffle_runs=1, by_category=True, drop_last=False, steps=None)
    dataset = HDRPatchDataset(small)
    batches = EpochBatches(dataset, Fetcher(dataset, 1, True), batching, Cursor(), 100)
    waited = 0
    for _, cursor in batches:
        done = cursor.group - (cursor.taken == 0)
        for queued in chain(*batches._buckets.values()):
            if queued.item < done:
                waited += 1
                for tensor in (queued.sample["gt"], queued.sample["lq"]):
                    assert tensor.untyped_storage().nbytes() == tensor.numel()
    assert waited > 10


def test_more_ranks_than_runs_is_an_error():
    with pytest.raises(ValueError, match="3 runs for 4 ranks"):
        keys(loader_of(Numbers(3), rank=0, world_size=4))
