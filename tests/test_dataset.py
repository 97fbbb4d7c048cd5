"""A plain DataLoader gives every sample once, whoever makes it."""

from __future__ import annotations

import pickle
from collections import Counter
from typing import Any

import pytest
from samples import signatures
from torch.utils.data import DataLoader

from torch_hdrpatches.dataset import HDRPatchDataset
from torch_hdrpatches.errors import NoSamplesError


def set_of(recipe: Any, workers: int = 0, start: str | None = None, **options: Any) -> Counter[tuple[str, str, str]]:
    loader = DataLoader(
        HDRPatchDataset(recipe, **options), batch_size=None, num_workers=workers, multiprocessing_context=start
    )
    return Counter(signatures(loader))


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_set_is_the_same_for_any_workers_and_start_method(recipe, workers, start):
    here = set_of(recipe)
    assert max(here.values()) == 1
    assert set_of(recipe, workers, start) == here


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_of_one_format_collate_by_default(recipe, workers):
    recipe["categories"]["master"]["formats"] = {"square": 1.0}
    recipe["categories"]["toon"]["formats"] = {"square": 1.0}
    batches = list(DataLoader(HDRPatchDataset(recipe), batch_size=8, num_workers=workers))
    assert tuple(batches[0]["lq"].shape) == (8, 7, 3, 60, 60)
    assert tuple(batches[0]["gt"].shape) == (8, 3, 180, 180)
    assert len(batches[0]["key"]) == len(batches[0]["category"]) == 8


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_the_set_without_overlap(recipe, world_size):
    shares = [set_of(recipe, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert sum(shares, Counter()) == set_of(recipe)


def test_ranks_are_found_in_the_environment(recipe, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    dataset = HDRPatchDataset(recipe)
    assert (dataset.rank, dataset.world_size) == (1, 2)
    with pytest.raises(ValueError, match="expected 0 to 1"):
        HDRPatchDataset(recipe, rank=2)


def test_set_epoch_reaches_workers_that_are_already_running(recipe):
    dataset = HDRPatchDataset(recipe)
    loader = DataLoader(dataset, batch_size=None, num_workers=2, persistent_workers=True)
    first = set(signatures(loader))
    assert set(signatures(loader)) == first
    dataset.set_epoch(1)
    second = set(signatures(loader))
    assert second == set(set_of(recipe, epoch=1))
    assert not first & second


def test_iterating_before_a_fork_does_no_harm(recipe):
    dataset = HDRPatchDataset(recipe)
    stopped_midway = iter(dataset)
    next(stopped_midway)
    loader = DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=120)
    assert Counter(signatures(loader)) == set_of(recipe)


def test_a_dataset_pickles(recipe):
    dataset = pickle.loads(pickle.dumps(HDRPatchDataset(recipe, epoch=3)))
    assert Counter(signatures(dataset)) == set_of(recipe, epoch=3)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_that_gives_nothing_is_an_error_that_says_why(recipe, workers):
    recipe["sampling"] |= {"stability": "first_to_last", "max_scene_change": 1e-9, "max_attempts": 2}
    with pytest.raises(NoSamplesError, match="unstable"):
        set_of(recipe, workers)


def test_a_long_row_of_rejects_stops_the_stream(recipe):
    recipe["sampling"] |= {
        "stability": "first_to_last",
        "max_scene_change": 1e-9,
        "max_attempts": 1,
        "max_consecutive_rejects": 5,
    }
    with pytest.raises(NoSamplesError, match="5 slots in a row"):
        set_of(recipe)


def test_all_movies_bad_is_an_error_that_names_them(recipe, tmp_path):
    for movie in recipe["movies"]:
        path = tmp_path / f"bad{len(movie['categories'])}{movie.get('timestamps')}.mkv"
        path.write_bytes(b"nothing")
        movie["path"] = str(path)
    with pytest.raises(NoSamplesError, match="failed"):
        set_of(recipe)
