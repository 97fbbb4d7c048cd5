"""A plain DataLoader gives every sample exactly once, with any number of workers and ranks."""

from __future__ import annotations

import gc
import multiprocessing
import pickle
from collections import Counter
from typing import Any

import pytest
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from tests.helpers.samples import signatures
from torch_hdrpatches import HDRPatchDataset
from torch_hdrpatches.errors import NoSamplesError, RanksError, StateError


def set_of(
    recipe: Any, workers: int = 0, start: str | None = None, loader: Any = DataLoader, **options: Any
) -> Counter[tuple[str, str, str]]:
    dataset = HDRPatchDataset(recipe, **options)
    return Counter(signatures(loader(dataset, batch_size=None, num_workers=workers, multiprocessing_context=start)))


@pytest.mark.parametrize(("workers", "start"), [(1, "fork"), (2, "fork"), (4, "fork"), (2, "spawn"), (2, "forkserver")])
def test_the_set_is_the_same_for_any_workers_and_start_method(small, workers, start):
    here = set_of(small)
    assert max(here.values()) == 1
    assert set_of(small, workers, start) == here


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_stateful_loader_gives_the_same_set(small, workers):
    assert set_of(small, workers, loader=StatefulDataLoader) == set_of(small)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_of_one_format_collate_by_default(recipe, workers):
    recipe["categories"]["master"]["formats"] = {"square": 1.0}
    recipe["categories"]["toon"]["formats"] = {"square": 1.0}
    batches = list(DataLoader(HDRPatchDataset(recipe), batch_size=8, num_workers=workers))
    assert tuple(batches[0]["lq"].shape) == (8, 7, 3, 60, 60)
    assert tuple(batches[0]["gt"].shape) == (8, 3, 180, 180)
    assert len(batches[0]["key"]) == len(batches[0]["category"]) == 8


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_the_set_without_overlap(small, world_size):
    shares = [set_of(small, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert sum(shares, Counter()) == set_of(small)


def test_ranks_are_found_when_an_iteration_begins(small, monkeypatch):
    dataset = HDRPatchDataset(small)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert Counter(signatures(dataset)) == set_of(small, rank=1, world_size=2)
    with pytest.raises(ValueError, match="rank is 2, expected 0 to 1"):
        iter(HDRPatchDataset(small, rank=2))
    with pytest.raises(ValueError, match="rank is 2, expected 0 to 1"):
        HDRPatchDataset(small, rank=2, world_size=2)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_world_that_has_changed_is_an_error_and_never_the_same_data_twice(small, monkeypatch, workers):
    loader = DataLoader(HDRPatchDataset(small), batch_size=None, num_workers=workers)
    next(iter(loader))
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RanksError, match="began as rank 0 of 1, and now this is rank 1 of 2"):
        next(iter(loader))


def test_a_number_of_ranks_without_a_rank_is_an_error(small, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RanksError, match="WORLD_SIZE is 2, but there is neither RANK nor a process group"):
        iter(HDRPatchDataset(small))


@pytest.mark.parametrize(("workers", "persistent", "start"), [(0, False, None), (2, False, "fork"), (2, True, "fork")])
def test_every_iteration_that_begins_gives_the_next_epoch(small, workers, persistent, start):
    loader = DataLoader(
        HDRPatchDataset(small),
        batch_size=None,
        num_workers=workers,
        persistent_workers=persistent,
        multiprocessing_context=start,
    )
    seen = [{sample["epoch"] for sample in loader}]
    next(iter(loader))  # broken off
    seen.append({sample["epoch"] for sample in loader})
    assert seen == [{0}, {2}]


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
def test_spawned_workers_count_epochs_together(small, start):
    loader = DataLoader(HDRPatchDataset(small), batch_size=None, num_workers=2, multiprocessing_context=start)
    assert [{sample["epoch"] for sample in loader} for _ in range(2)] == [{0}, {1}]


def test_two_iterations_at_a_time_give_two_epochs(small):
    loader = DataLoader(HDRPatchDataset(small), batch_size=None, num_workers=2)
    pairs = list(zip(loader, loader, strict=False))
    epochs = [{pair[side]["epoch"] for pair in pairs} for side in range(2)]
    assert sorted(map(tuple, epochs)) == [(0,), (1,)]


def test_set_epoch_reaches_workers_that_are_already_running(small):
    dataset = HDRPatchDataset(small)
    loader = DataLoader(dataset, batch_size=None, num_workers=2, persistent_workers=True)
    first = set(signatures(loader))
    dataset.set_epoch(0)
    assert set(signatures(loader)) == first
    dataset.set_epoch(7)
    second = set(signatures(loader))
    assert second == set(set_of(small, epoch=7))
    assert not first & second


def test_workers_can_be_forked_after_the_dataset_was_iterated(small):
    dataset = HDRPatchDataset(small)
    stopped_midway = iter(dataset)
    next(stopped_midway)
    loader = DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=120)
    assert Counter(signatures(loader)) == set_of(small, epoch=1)


def test_a_forked_process_can_collect_an_iterator_of_its_parent(small):
    midway = iter(HDRPatchDataset(small))
    next(midway)
    cycle: list[Any] = [midway]  # garbage that the child collects: it must not free a decoder whose threads it lacks
    cycle.append(cycle)
    child = multiprocessing.get_context("fork").Process(target=gc.collect)
    del midway, cycle
    child.start()
    child.join(60)
    child.kill()
    child.join()
    assert child.exitcode == 0


def test_a_dataset_pickles(small):
    dataset = pickle.loads(pickle.dumps(HDRPatchDataset(small, epoch=3)))
    assert Counter(signatures(dataset)) == set_of(small, epoch=3)


def test_a_dataset_continues_where_its_state_was_saved_and_then_gives_the_next_epoch(small):
    first = HDRPatchDataset(small)
    whole, states = [], [first.state_dict()]
    for sample in first:
        whole += signatures([sample])
        states.append(first.state_dict())
    following = signatures(first)
    assert not set(whole) & set(following)
    for taken in (0, 1, 9, len(whole)):
        resumed = HDRPatchDataset(small)
        resumed.load_state_dict(states[taken])
        assert resumed.epoch == 0
        assert resumed.state_dict() == states[taken]
        assert signatures(resumed) == whole[taken:]
        assert signatures(resumed) == following


def test_set_epoch_of_the_epoch_of_a_state_keeps_the_position(small):
    first = HDRPatchDataset(small)
    samples = iter(first)
    head = signatures([next(samples), next(samples)])
    resumed = HDRPatchDataset(small)
    resumed.load_state_dict(first.state_dict())
    resumed.set_epoch(0)
    assert signatures(resumed)[0] not in head
    resumed.set_epoch(0)
    assert signatures(resumed)[:2] == head


def test_a_state_of_another_recipe_or_for_other_workers_is_refused(small):
    state = HDRPatchDataset(small).state_dict()
    with pytest.raises(StateError, match="seed"):
        HDRPatchDataset(small | {"seed": 5}).load_state_dict(state)
    dataset = HDRPatchDataset(small)
    dataset.load_state_dict(state)
    with pytest.raises(StateError, match="num_workers"):
        list(DataLoader(dataset, batch_size=None, num_workers=2))


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (2, False), (2, True)])
def test_a_stateful_loader_resumed_at_the_end_of_an_epoch_gives_the_next_one(small, workers, persistent):
    def loader() -> StatefulDataLoader:
        dataset = HDRPatchDataset(small)
        return StatefulDataLoader(dataset, batch_size=None, num_workers=workers, persistent_workers=persistent)

    first = loader()
    samples = iter(first)
    for _ in range(len(set_of(small))):
        next(samples)
    before_the_end = first.state_dict()
    assert next(samples, None) is None
    at_the_end = first.state_dict()
    following = signatures(first)
    resumed = loader()
    resumed.load_state_dict(at_the_end)
    assert signatures(resumed) == following
    resumed = loader()
    resumed.load_state_dict(before_the_end)
    assert [signatures(resumed), signatures(resumed)] == [[], following]


def without_samples(recipe: Any) -> Any:
    """The recipe with every window refused."""
    return recipe | {
        "sampling": recipe["sampling"] | {"stability": "first_to_last", "max_scene_change": 1e-9, "max_attempts": 2}
    }


@pytest.mark.parametrize(("workers", "start"), [(0, None), (2, "fork"), (2, "spawn")])
def test_an_epoch_without_samples_is_an_error_that_gives_the_reasons(small, workers, start):
    with pytest.raises(NoSamplesError, match="unstable"):
        set_of(without_samples(small), workers, start)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_without_samples_is_an_error_in_a_stateful_loader_too(small, workers):
    with pytest.raises(NoSamplesError, match="unstable"):
        set_of(without_samples(small), workers, loader=StatefulDataLoader)


def only_in_epoch_1(sample: Any) -> bool:
    return sample["epoch"] == 1


def test_persistent_workers_tell_an_empty_epoch_from_one_with_samples(small):
    dataset = HDRPatchDataset(small, accept=only_in_epoch_1)
    loader = DataLoader(dataset, batch_size=None, num_workers=2, persistent_workers=True)
    dataset.set_epoch(1)
    first = signatures(loader)
    assert first
    dataset.set_epoch(1)
    next(iter(loader))  # stopped early: one worker may end this epoch, and the other not
    dataset.set_epoch(1)
    assert Counter(signatures(loader)) == Counter(first)
    dataset.set_epoch(2)
    with pytest.raises(NoSamplesError, match="by_callable"):
        list(loader)


def test_a_worker_without_items_does_not_make_the_epoch_empty(small):
    small["sampling"] |= {"timestamps_per_movie": 3}
    assert set_of(small, workers=4) == set_of(small)


def test_too_many_slots_in_a_row_without_a_sample_stop_the_stream(small):
    recipe = without_samples(small)
    recipe["sampling"] |= {"max_attempts": 1, "max_consecutive_rejects": 5}
    with pytest.raises(NoSamplesError, match="5 slots in a row"):
        set_of(recipe)


def test_an_error_names_the_movies_if_all_of_them_fail(recipe, tmp_path):
    for movie in recipe["movies"]:
        path = tmp_path / f"bad{len(movie['categories'])}{movie.get('timestamps')}.mkv"
        path.write_bytes(b"nothing")
        movie["path"] = str(path)
    with pytest.raises(NoSamplesError, match="failed"):
        set_of(recipe)
