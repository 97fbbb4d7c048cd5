"""What the loaders read: items that are numbered in every epoch, and one worker's walk through its share of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch.utils.data import IterableDataset, get_worker_info

from ..errors import NoSamplesError, StateError
from ..sampling.fingerprint import differing, digests
from ..sampling.sample import Sample
from ..sampling.stream import Outcome
from ..sampling.tally import Tally
from .ranks import rank_and_world, share_of_this_worker

WALK_VERSION = 1


class Source(Protocol):
    """What a ``PatchLoader`` reads: ``HDRPatchDataset``, or the dataset that ``read_shards`` returns."""

    @property
    def patience(self) -> int:
        """Slots in a row without a sample after which the source is taken for empty."""

    def fingerprint(self) -> dict[str, Any]:
        """What the samples depend on, as flat JSON-able keys."""

    def items(self, epoch: int) -> int:
        """Items of an epoch; an item is some neighbouring slots that are cheap to make together."""

    def outcomes(self, epoch: int, position: int) -> Iterator[Outcome]:
        """What the slots of one item give: a pure function of its arguments."""

    def where(self, epoch: int, position: int) -> str:
        """An item in words, for messages."""

    def planned(self, epoch: int, positions: range) -> int:
        """Samples of these items if nothing is rejected."""

    def buckets(self, by_category: bool) -> Mapping[tuple[str, ...], int | None]:
        """Formats, or pairs of format and category, that samples can have: how many of an epoch do, if known."""


class EpochDataset(IterableDataset[Sample]):
    """A source that also drops into any ``DataLoader``: every epoch's items are dealt to ranks and workers."""

    def __init__(self, epoch: int, rank: int | None, world_size: int | None) -> None:
        super().__init__()
        self.rank, self.world_size = rank_and_world(rank, world_size)
        # In shared memory, so that persistent workers see set_epoch, and each other's counts.
        self._epoch = torch.tensor(epoch).share_memory_()  # type: ignore[no-untyped-call]
        self._ledger = torch.zeros(MAX_WORKERS, 2, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        self._walks = 0

    @property
    def epoch(self) -> int:
        """The epoch that the next iteration gives."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration, also for workers that are already running."""
        self._epoch.fill_(epoch)

    @property
    @abstractmethod
    def patience(self) -> int:
        """See ``Source``."""

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """See ``Source``."""

    @abstractmethod
    def items(self, epoch: int) -> int:
        """See ``Source``."""

    @abstractmethod
    def outcomes(self, epoch: int, position: int) -> Iterator[Outcome]:
        """See ``Source``."""

    def __iter__(self) -> Walk:
        self._walks += 1
        return Walk(self, self._walks)

    def whole_epoch_is_empty(self, walk: int, samples: int) -> bool:
        """Whether this worker is the last of its rank to end this walk, and none of them gave anything."""
        info = get_worker_info()
        worker, workers, seed = (info.id, info.num_workers, info.seed - info.id) if info else (0, 1, 0)
        # The seed is one for all workers and another for each start of them; persistent workers count their walks.
        token = (seed + walk) % (1 << 62) + 1
        self._ledger[worker] = torch.tensor([token, samples])
        rows = self._ledger[:workers]
        return bool((rows[:, 0] == token).all()) and not bool(rows[:, 1].any())


class Walk(Iterator[Sample]):
    """One worker's way through its share of an epoch; its state, for ``StatefulDataLoader``, says how far it came."""

    def __init__(self, dataset: EpochDataset, number: int) -> None:
        self._dataset = dataset
        self._number = number
        self._identity: dict[str, str] = {}
        info = get_worker_info()
        self._who = {
            "rank": dataset.rank,
            "world_size": dataset.world_size,
            "worker": info.id if info else 0,
            "num_workers": info.num_workers if info else 0,
        }
        self._epoch = dataset.epoch
        self._items = 0
        """Items used up, the one at hand not counted."""
        self._taken = 0
        """Samples taken of the item at hand."""
        self._total = 0
        self._samples = self._walk()

    def __next__(self) -> Sample:
        return next(self._samples)

    def state_dict(self) -> dict[str, Any]:
        """A small JSON-able cursor."""
        self._identity = self._identity or digests(self._dataset.fingerprint())
        return {
            "version": WALK_VERSION,
            "identity": self._identity,
            **self._who,
            "epoch": self._epoch,
            "items": self._items,
            "taken": self._taken,
            "total": self._total,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the state was taken.

        Raises:
            StateError: if it is of another recipe, rank, or number of workers; names what differs.
        """
        if state.get("version") != WALK_VERSION:
            raise StateError(f"state has version {state.get('version')!r}, expected {WALK_VERSION}")
        mine = self.state_dict()
        differs = differing(state["identity"], mine["identity"])
        differs += [f"{key} ({state[key]} -> {mine[key]})" for key in self._who if state[key] != mine[key]]
        if differs:
            raise StateError(
                f"state is of another stream; differing: {', '.join(differs)}; "
                "PatchLoader resumes with any number of workers"
            )
        self._epoch, self._items, self._taken, self._total = (
            state[key] for key in ("epoch", "items", "taken", "total")
        )

    def _walk(self) -> Iterator[Sample]:
        # Runs from the first next() on: load_state_dict comes before it.
        dataset, barren = self._dataset, Barren(self._dataset.patience)
        share = share_of_this_worker(dataset.items(self._epoch), dataset.rank, dataset.world_size)
        skip, everything = self._taken, Tally()
        for position in share[self._items :]:
            self._taken = 0
            for outcome in dataset.outcomes(self._epoch, position):
                barren.add(outcome)
                everything.add(replace(outcome, samples=()))  # a transform may have made anything of them
                for sample in outcome.samples:
                    self._taken += 1
                    if self._taken > skip:
                        self._total += 1
                        yield sample
            self._items, self._taken, skip = self._items + 1, 0, 0
        if dataset.whole_epoch_is_empty(self._number, self._total):
            raise NoSamplesError(f"epoch {self._epoch} gave no samples: {everything.explain()}")


class Barren:
    """The slots since the last sample, and why they gave nothing."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._tally = Tally()

    def add(self, outcome: Outcome) -> None:
        """Count a slot; those of a failed movie do not count.

        Raises:
            NoSamplesError: if ``patience`` slots in a row gave nothing.
        """
        if outcome.samples:
            self._tally = Tally()
            return
        self._tally.add(outcome)
        if self._tally.slots >= self._patience:
            raise NoSamplesError(f"{self._tally.slots} slots in a row gave nothing: {self.explain()}")

    def explain(self) -> str:
        """Why there is nothing, in one line."""
        return self._tally.explain()


MAX_WORKERS = 1024
