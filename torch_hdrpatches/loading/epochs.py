"""Datasets whose samples are numbered epoch by epoch, and the iteration over one worker's share of an epoch."""

from __future__ import annotations

import multiprocessing
import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing.context import get_spawning_popen
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from ..errors import NoSamplesError
from ..sampling.fingerprint import check_state, digests
from ..sampling.sample import Sample
from ..sampling.sweep import Outcome
from ..sampling.tally import Tally
from .epoch_counter import Choice, EpochCounter
from .ranks import Ranks, check_start, current_ranks

Counts: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

ITERATOR_STATE_VERSION = 1
MAX_WORKERS = 1024


@dataclass(slots=True)
class Place:
    """How far one worker has come in its share of an epoch."""

    epoch: int | None = None
    """None until it is known: from a state, or when the iteration begins."""
    items: int = 0
    """Number of items used up, without the current one."""
    taken: int = 0
    """Number of samples taken from the current item."""
    total: int = 0
    """Number of samples given."""


SHARE = ("rank", "world_size", "worker", "num_workers")


def share_of(ranks: Ranks) -> dict[str, int]:
    """Which items this process gives: its rank, and its number among the workers (0 of 0 if there are none)."""
    info = get_worker_info()
    worker, num_workers = (info.id, info.num_workers) if info else (0, 0)
    return dict(zip(SHARE, (*ranks, worker, num_workers), strict=True))


class EpochDataset(IterableDataset[Sample]):
    """What a ``PatchLoader`` reads; it also works in any ``DataLoader``.

    The items of an epoch are neighbouring slots or records, which are cheap to read together. Each belongs to one rank
    and one worker.
    """

    def __init__(self, epoch: int, rank: int | None, world_size: int | None, items: int, max_empty_slots: int) -> None:
        super().__init__()
        if rank is not None and world_size is not None:
            current_ranks(rank, world_size)
        self.given_ranks = rank, world_size
        """The arguments; None where they are to be found when an iteration begins."""
        self.items = items
        """Number of items in every epoch."""
        self.max_empty_slots = max_empty_slots
        """After this many slots in a row without a sample, iteration stops with an error."""
        # In shared memory, so that the main process and all workers see them.
        self._counter = EpochCounter(epoch)
        self._iterated_as = torch.tensor([-1, -1]).share_memory_()  # type: ignore[no-untyped-call]
        self._given = torch.zeros(MAX_WORKERS, 2, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        self._iterations = 0
        self._place = Place()
        """Of the newest iteration in this process."""
        self._resumes_from: Mapping[str, Any] | None = None
        """The state with which the next iteration in this process begins."""
        self._spawning = 0, Ranks(0, 1)
        """Process id and ranks of the process that spawned this one: a worker knows no process group."""

    @property
    def epoch(self) -> int:
        """The epoch of the next iteration."""
        return self._counter.next if self._resumes_from is None else int(self._resumes_from["epoch"])

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration, also for workers that are already running.

        The epoch of a state that was just loaded keeps its position.
        """
        if self._resumes_from is None or self._resumes_from["epoch"] != epoch:
            self._place, self._resumes_from = Place(), None
        self._counter.set(epoch)

    def state_dict(self) -> dict[str, Any]:
        """A small JSON-able state from which the newest iteration in this process can continue.

        It counts for iterating the dataset itself: a ``StatefulDataLoader`` asks for it in its workers, and a
        ``PatchLoader`` has a state of its own.
        """
        return dict(self._resumes_from or self.state_at(self._place, share_of(self.ranks)))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration continue where the state was saved.

        Raises:
            StateError: if the recipe, rank or number of workers differs.
        """
        check_state(state, self.state_dict(), SHARE)
        self._resumes_from = dict(state)

    def state_at(self, place: Place, share: Mapping[str, int]) -> dict[str, Any]:
        """The state at a place in a worker's share of an epoch."""
        epoch = self.epoch if place.epoch is None else place.epoch
        head = {"version": ITERATOR_STATE_VERSION, "identity": self._digests, **share}
        return head | {"epoch": epoch, "items": place.items, "taken": place.taken, "total": place.total}

    @cached_property
    def _digests(self) -> dict[str, str]:
        return digests(self.fingerprint())

    @property
    def epoch_choice(self) -> Choice:
        """The epoch that was given, or chosen last by ``set_epoch``, whatever has been iterated since."""
        return self._counter.choice

    @property
    def ranks(self) -> Ranks:
        """The rank whose share an iteration gives if it begins now. Raises RanksError as ``current_ranks``."""
        parent = multiprocessing.parent_process()
        if parent and (parent.pid, get_worker_info() is not None) == (self._spawning[0], True):
            return self._spawning[1]
        return current_ranks(*self.given_ranks)

    def check_runs(self, world_size: int) -> None:
        """Raise ValueError if an epoch has fewer items than there are ranks."""
        if self.items < world_size:
            raise ValueError(f"an epoch has {self.items} runs for {world_size} ranks; give the movies more timestamps")

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
    def planned(self, epoch: int) -> Counts:
        """int64 (items,): number of samples of the item at each position if nothing is rejected."""

    @abstractmethod
    def buckets(self, by_category: bool) -> Mapping[tuple[str, ...], int | None]:
        """Every format, or (format, category), that samples can have, with its samples per epoch where known."""

    def __iter__(self) -> EpochIterator:
        ranks, before = self.ranks, Ranks(*self._iterated_as.tolist())
        check_start(ranks, before if before.world_size > 0 else None)
        self._iterated_as[:] = torch.tensor(ranks)
        self._iterations += 1
        iterator, self._place = EpochIterator(self, ranks, self._token(), place := Place()), place
        if self._resumes_from is not None:
            iterator.load_state_dict(self._resumes_from)
            self._resumes_from = None
        return iterator

    def begin(self, token: int, epoch: int | None) -> int:
        """The epoch of the iteration with this token: ``epoch``, or else the next one."""
        return self._counter.begin(token, epoch)

    def whole_epoch_is_empty(self, token: int, samples: int) -> bool:
        """Whether this worker is the last of its rank to end this iteration, and no worker gave a sample."""
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        self._given[worker] = torch.tensor([token, samples])
        rows = self._given[:workers]
        return bool((rows[:, 0] == token).all()) and not bool(rows[:, 1].any())

    def _token(self) -> int:
        """A number above 0 that all workers of one iteration have in common, and no other iteration."""
        info = get_worker_info()
        if info is None:
            return int.from_bytes(os.urandom(7)) + 1
        # All workers share the seed, and each start of them has another; persistent workers count their iterations.
        return (info.seed - info.id + self._iterations) % (1 << 62) + 1

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | ({"_spawning": (os.getpid(), self.ranks)} if get_spawning_popen() else {})


class EpochIterator(Iterator[Sample]):
    """Iterates over one worker's share of an epoch; ``StatefulDataLoader`` saves and loads its state.

    It begins with the first sample: until then ``set_epoch`` and ``load_state_dict`` still count.
    """

    def __init__(self, dataset: EpochDataset, ranks: Ranks, token: int, place: Place) -> None:
        self._dataset = dataset
        self._token = token
        self._share = share_of(ranks)
        self._place = place
        self._samples = self._iterate()

    def __next__(self) -> Sample:
        return next(self._samples)

    def state_dict(self) -> dict[str, Any]:
        """A small JSON-able state from which iteration can continue."""
        return self._dataset.state_at(self._place, self._share)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where the state was saved; raises StateError if the recipe, rank or number of workers differs."""
        check_state(state, self.state_dict(), SHARE)
        self._place.items, self._place.taken, self._place.total = (state[key] for key in ("items", "taken", "total"))
        # Now and not with the first sample: StatefulDataLoader asks an iterator at its end for none.
        self._place.epoch = self._dataset.begin(self._token, state["epoch"])

    def _iterate(self) -> Iterator[Sample]:
        # Runs from the first next() on: load_state_dict comes before it.
        dataset, place, streak = self._dataset, self._place, RejectStreak(self._dataset.max_empty_slots)
        if place.epoch is None:
            place.epoch = dataset.begin(self._token, None)
        rank, world_size, worker, num_workers = self._share.values()
        workers, skip = max(1, num_workers), place.taken
        # Every n-th item: the shares of all workers of all ranks are disjoint and complete.
        for position in range(rank * workers + worker, dataset.items, world_size * workers)[place.items :]:
            place.taken = 0
            for outcome in dataset.outcomes(place.epoch, position):
                streak.add(outcome)
                for sample in outcome.samples:
                    place.taken += 1
                    if place.taken > skip:
                        place.total += 1
                        yield sample
            place.items, place.taken, skip = place.items + 1, 0, 0
        if dataset.whole_epoch_is_empty(self._token, place.total):
            raise NoSamplesError(f"epoch {place.epoch} gave no samples: {streak.tally.explain()}")


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


def agreed_ranks(dataset: EpochDataset, *given: int | None) -> tuple[int | None, int | None]:
    """The rank and number of ranks given to a loader, or else the dataset's; raises ValueError where both differ."""
    agreed = []
    for name, own, others in zip(("rank", "world_size"), given, dataset.given_ranks, strict=True):
        if None not in (own, others) and own != others:
            raise ValueError(f"{name} is {own} in the loader and {others} in its dataset; give it once")
        agreed.append(others if own is None else own)
    if None not in agreed:
        current_ranks(*agreed)
    return agreed[0], agreed[1]
