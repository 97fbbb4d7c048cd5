"""Datasets whose samples are numbered epoch by epoch, and the iteration over one worker's share of an epoch."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch.distributed
from torch.utils.data import IterableDataset, get_worker_info

from ..errors import NoSamplesError
from ..sampling.fingerprint import digests
from ..sampling.sample import Sample
from ..sampling.sweep import Outcome
from ..sampling.tally import Tally
from .cursor import check_state

ITERATOR_STATE_VERSION = 1
MAX_WORKERS = 1024


class EpochDataset(IterableDataset[Sample]):
    """What a ``PatchLoader`` reads; it also works in any ``DataLoader``.

    The items of an epoch are neighbouring slots or records, which are cheap to read together. Each belongs to one rank
    and one worker.
    """

    def __init__(self, epoch: int, rank: int | None, world_size: int | None, items: int, max_empty_slots: int) -> None:
        super().__init__()
        self.rank, self.world_size = rank_and_world(rank, world_size)
        self.items = items
        """Number of items in every epoch."""
        self.max_empty_slots = max_empty_slots
        """After this many slots in a row without a sample, iteration stops with an error."""
        # In shared memory, so that persistent workers see set_epoch and the counts of other workers.
        self._epoch = torch.tensor(epoch).share_memory_()  # type: ignore[no-untyped-call]
        self._given = torch.zeros(MAX_WORKERS, 2, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        self._iterations = 0

    @property
    def epoch(self) -> int:
        """The epoch of the next iteration."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration, also for workers that are already running."""
        self._epoch.fill_(epoch)

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """Everything that the samples depend on, as flat JSON-able keys."""

    @abstractmethod
    def outcomes(self, epoch: int, position: int) -> Iterator[Outcome]:
        """The outcomes of one item's slots; they depend on the arguments and nothing else."""

    @abstractmethod
    def describe(self, epoch: int, position: int) -> str:
        """Names an item in messages."""

    @abstractmethod
    def planned(self, epoch: int, positions: range) -> int:
        """Number of samples in these items if nothing is rejected."""

    @abstractmethod
    def buckets(self, by_category: bool) -> Mapping[tuple[str, ...], int | None]:
        """Every format, or (format, category), that samples can have, with its samples per epoch where known."""

    def __iter__(self) -> EpochIterator:
        self._iterations += 1
        return EpochIterator(self, self._iterations)

    def whole_epoch_is_empty(self, iteration: int, samples: int) -> bool:
        """Whether this worker is the last of its rank to end this iteration, and no worker gave a sample."""
        info = get_worker_info()
        worker, workers, seed = (info.id, info.num_workers, info.seed - info.id) if info else (0, 1, 0)
        # All workers share the seed, and each start of them has another; persistent workers count their iterations.
        token = (seed + iteration) % (1 << 62) + 1
        self._given[worker] = torch.tensor([token, samples])
        rows = self._given[:workers]
        return bool((rows[:, 0] == token).all()) and not bool(rows[:, 1].any())


class EpochIterator(Iterator[Sample]):
    """Iterates over one worker's share of an epoch; ``StatefulDataLoader`` saves and loads its state."""

    def __init__(self, dataset: EpochDataset, number: int) -> None:
        self._dataset = dataset
        self._number = number
        info = get_worker_info()
        self._share = {
            "rank": dataset.rank,
            "world_size": dataset.world_size,
            "worker": info.id if info else 0,
            "num_workers": info.num_workers if info else 0,
        }
        self._epoch = dataset.epoch
        self._items = 0
        """Number of items used up, without the current one."""
        self._taken = 0
        """Number of samples taken from the current item."""
        self._total = 0
        self._samples = self._iterate()

    def __next__(self) -> Sample:
        return next(self._samples)

    def state_dict(self) -> dict[str, Any]:
        """A small JSON-able state from which iteration can continue."""
        return {
            "version": ITERATOR_STATE_VERSION,
            "identity": self._identity,
            **self._share,
            "epoch": self._epoch,
            "items": self._items,
            "taken": self._taken,
            "total": self._total,
        }

    @cached_property
    def _identity(self) -> dict[str, str]:
        return digests(self._dataset.fingerprint())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where the state was saved; raises StateError if the recipe, rank or number of workers differs."""
        check_state(state, self.state_dict(), tuple(self._share))
        self._epoch, self._items, self._taken, self._total = (
            state[key] for key in ("epoch", "items", "taken", "total")
        )

    def _iterate(self) -> Iterator[Sample]:
        # Runs from the first next() on: load_state_dict comes before it.
        dataset, streak = self._dataset, RejectStreak(self._dataset.max_empty_slots)
        rank, world_size, worker, num_workers = self._share.values()
        workers, skip = max(1, num_workers), self._taken
        # Every n-th item: the shares of all workers of all ranks are disjoint and complete.
        for position in range(rank * workers + worker, dataset.items, world_size * workers)[self._items :]:
            self._taken = 0
            for outcome in dataset.outcomes(self._epoch, position):
                streak.add(outcome)
                for sample in outcome.samples:
                    self._taken += 1
                    if self._taken > skip:
                        self._total += 1
                        yield sample
            self._items, self._taken, skip = self._items + 1, 0, 0
        if dataset.whole_epoch_is_empty(self._number, self._total):
            raise NoSamplesError(f"epoch {self._epoch} gave no samples: {streak.tally.explain()}")


@dataclass(slots=True)
class RejectStreak:
    """The slots since the last sample, and why they gave no sample."""

    max_empty_slots: int
    tally: Tally = field(default_factory=Tally)

    def add(self, outcome: Outcome) -> None:
        """Count a slot, but none of a movie that failed; raises NoSamplesError after ``max_empty_slots`` in a row."""
        if outcome.samples:
            self.tally = Tally()
            return
        self.tally.add(outcome)
        if self.tally.slots >= self.max_empty_slots:
            raise NoSamplesError(f"{self.tally.slots} slots in a row gave no sample: {self.tally.explain()}")


def rank_and_world(rank: int | None, world_size: int | None) -> tuple[int, int]:
    """The given rank and number of ranks, or else those of the environment, or else those of torch's process group.

    Call it in the main process: the workers of a DataLoader belong to no process group.
    """
    found = 0, 1
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        found = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    elif torch.distributed.is_available() and torch.distributed.is_initialized():
        found = torch.distributed.get_rank(), torch.distributed.get_world_size()
    rank = found[0] if rank is None else rank
    world_size = found[1] if world_size is None else world_size
    if not 0 <= rank < world_size:
        raise ValueError(f"rank is {rank}, expected 0 to {world_size - 1} (world_size is {world_size})")
    return rank, world_size
