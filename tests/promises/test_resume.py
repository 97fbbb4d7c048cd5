"""A loader killed at any step resumes bit for bit, from movies and from shards, with any number of workers."""

from __future__ import annotations

import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torchdata.stateful_dataloader import StatefulDataLoader

from tests.helpers.samples import batch_signatures
from torch_hdrpatches import HDRPatchDataset, PatchLoader, export, read_shards
from torch_hdrpatches.errors import StateError
from torch_hdrpatches.rng import rng_at
from torch_hdrpatches.transforms import Compose


@pytest.fixture
def exported(small: dict[str, Any], tmp_path: Path) -> Path:
    export(small, tmp_path / "exported")
    return tmp_path / "exported"


@pytest.fixture(params=["movies", "shards"])
def source(request: pytest.FixtureRequest, small: dict[str, Any], exported: Path) -> Any:
    """Both sources, with augmentation."""
    if request.param == "movies":
        return HDRPatchDataset(small, transform=Compose())
    return read_shards(exported, transform=Compose())


def test_killed_at_twenty_steps_and_resumed_with_other_workers(source):
    def loader(workers: int) -> PatchLoader:
        return PatchLoader(source, 2, num_workers=workers, shuffle_runs=2, by_category=True)

    whole, states = [], [loader(0).state_dict()]
    first = loader(1)
    batches = len(first)
    for batch in first:
        whole += batch_signatures([batch])
        states.append(first.state_dict())
    assert len(whole) == batches > 20
    steps = rng_at("steps").choice(len(whole), 20, replace=False)
    for step in steps.tolist():
        state = json.dumps(states[step])
        assert len(state) < 4096
        resumed = loader(workers=step % 4)
        resumed.load_state_dict(json.loads(state))
        assert batch_signatures(resumed) == whole[step:], step


def train_until_killed(source: Any, workers: int, diary: str) -> None:
    """Write every batch and the state after it to a file, as a training script saves checkpoints."""
    torch.set_num_threads(1)
    loader = PatchLoader(source, 2, num_workers=workers, shuffle_runs=2, by_category=True)
    with Path(diary).open("w", encoding="utf-8") as file:
        for batch in loader:
            line = {"batch": batch_signatures([batch])[0], "state": loader.state_dict()}
            file.write(json.dumps(line) + "\n")
            file.flush()


def test_killed_with_kill_9_and_resumed_with_other_workers(source, tmp_path):
    whole = batch_signatures(PatchLoader(source, 2, shuffle_runs=2, by_category=True))
    for workers, resumed_with, step in ((2, 0, 2), (0, 3, 15)):
        diary = tmp_path / f"{workers}.jsonl"
        diary.touch()
        training = multiprocessing.get_context("spawn").Process(
            target=train_until_killed, args=(source, workers, str(diary))
        )
        training.start()
        while len(lines := diary.read_text().splitlines()) < step and training.is_alive():
            time.sleep(0.005)
        training.kill()  # between two batches, or in the middle of one
        training.join()
        lines = [line for line in diary.read_text().splitlines(keepends=True) if line.endswith("\n")]
        assert step <= len(lines)
        taken, last = len(lines), json.loads(lines[-1])
        assert [list(map(tuple, json.loads(line)["batch"])) for line in lines] == whole[:taken]
        loader = PatchLoader(source, 2, num_workers=resumed_with, shuffle_runs=2, by_category=True)
        loader.load_state_dict(last["state"])
        assert batch_signatures(loader) == whole[taken:]


def test_augmentation_differs_by_epoch_and_not_by_history(source):
    loader = PatchLoader(source, 2, shuffle_runs=2)
    epochs = [batch_signatures(loader) for _ in range(2)]
    assert epochs[0] != epochs[1]
    loader.set_epoch(1)
    assert batch_signatures(loader) == epochs[1]


def test_a_state_of_other_shards_is_refused(small, exported, tmp_path):
    state = PatchLoader(read_shards(exported), 2).state_dict()
    with pytest.raises(StateError, match="seed"):
        PatchLoader(read_shards(exported, seed=1), 2).load_state_dict(state)
    with pytest.raises(StateError, match="transform"):
        PatchLoader(read_shards(exported, transform=Compose()), 2).load_state_dict(state)
    with pytest.raises(StateError, match="accept"):
        PatchLoader(read_shards(exported, accept={"entropy": 0.1}), 2).load_state_dict(state)
    export(small | {"seed": 1}, tmp_path)
    with pytest.raises(StateError, match="shards"):
        PatchLoader(read_shards(tmp_path), 2).load_state_dict(state)


def keys(batches: Any) -> list[str]:
    return [key for batch in batches for key in batch["key"]]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stateful_loader_resumes_in_the_middle_of_an_epoch(source, workers):
    def loader() -> StatefulDataLoader:
        source.set_epoch(0)
        return StatefulDataLoader(source, batch_size=None, num_workers=workers)

    whole = [sample["key"] for sample in loader()]
    source.set_epoch(0)
    assert sorted(whole) == sorted(sample["key"] for sample in source)
    for taken in (0, 1, 7, 23, len(whole) - 1):
        first = loader()
        samples = iter(first)
        for _ in range(taken):
            next(samples)
        state = first.state_dict()
        resumed = loader()
        resumed.load_state_dict(state)
        assert [sample["key"] for sample in resumed] == whole[taken:], taken
        following = loader()
        source.set_epoch(1)
        expected = [sample["key"] for sample in following]
        source.set_epoch(1)
        assert [sample["key"] for sample in resumed] == expected, "the epoch after a resumed one is whole"


def test_a_stateful_loader_refuses_another_stream_or_number_of_workers(small):
    def state_of(recipe: Any, workers: int) -> Any:
        loader = StatefulDataLoader(HDRPatchDataset(recipe), batch_size=None, num_workers=workers)
        next(iter(loader))
        return loader.state_dict()

    def resume(state: Any, recipe: Any, workers: int) -> None:
        loader = StatefulDataLoader(HDRPatchDataset(recipe), batch_size=None, num_workers=workers)
        loader.load_state_dict(state)
        next(iter(loader))

    with pytest.raises(StateError, match="seed"):
        resume(state_of(small, 0), small | {"seed": 5}, 0)
    with pytest.raises((StateError, AssertionError), match="worker"):
        resume(state_of(small, 2), small, 3)
