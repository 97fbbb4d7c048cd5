"""A map-style view of a dataset: ``len``, samples by number, and a sampler that makes each run once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, cycle, islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from ..errors import NoSamplesError
from ..rng import rng_at
from ..sampling.sample import Sample
from .epochs import Counts, EpochDataset, RejectStreak, agreed_ranks
from .ranks import Ranks, current_ranks, current_world_size


class MapStyleDataset(Dataset[Sample]):
    """The planned samples of one epoch by number, for trainers that need ``len(dataset)`` and ``dataset[number]``.

    Numbers follow the plan of the epoch: run after run, and in each run slot after slot. To get one sample, its whole
    run is made, and the last runs are remembered. So take the numbers from ``RunSampler``, or in their order; a
    sampler that draws them at random makes a run again for nearly every sample.

    Every number gives a sample. If a run gives fewer samples than planned, because windows were refused, each missing
    one is replaced by the next sample of the run, and the last ones by its first. A run that gives none, because all of
    its windows were refused or its movie cannot be read, is replaced by the next run of the epoch that gives some.

    Args:
        dataset: an ``HDRPatchDataset``, or the dataset that ``read_shards`` returns.
        epoch: the epoch whose samples are given; see ``set_epoch``.
        runs: number of runs that are remembered in each process.

    Raises:
        ValueError: if ``runs`` is not positive.
        NoSamplesError: on access, if an epoch or too many slots in a row give no sample.
    """

    def __init__(self, dataset: EpochDataset, *, epoch: int = 0, runs: int = 4) -> None:
        if runs < 1:
            raise ValueError(f"runs is {runs}, expected 1 or more")
        self.dataset = dataset
        self.runs = runs
        # In shared memory, so that persistent workers see set_epoch.
        self._epoch = torch.tensor(epoch).share_memory_()  # type: ignore[no-untyped-call]
        self._starts: tuple[int, Counts] = -1, np.zeros(1, np.int64)
        self._made: dict[tuple[int, int], list[Sample]] = {}

    @property
    def epoch(self) -> int:
        """The epoch whose samples are given."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose samples are given, also for workers that are already running."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        """Planned samples of the epoch."""
        return int(self.starts(self.epoch)[-1])

    def __getitem__(self, number: int) -> Sample:
        epoch = self.epoch
        starts = self.starts(epoch)
        if not 0 <= number < starts[-1]:
            raise IndexError(f"sample {number} of epoch {epoch}, which has {starts[-1]} samples")
        position = int(np.searchsorted(starts, number, side="right")) - 1
        samples = self._samples(epoch, position)
        return samples[int(number - starts[position]) % len(samples)]

    def starts(self, epoch: int) -> Counts:
        """int64 (items + 1,): number of the first sample of the run at each position of an epoch, and the total."""
        if self._starts[0] != epoch:
            self._starts = epoch, np.append(0, np.cumsum(self.dataset.planned(epoch)))
        return self._starts[1]

    def _samples(self, epoch: int, position: int) -> list[Sample]:
        """The samples of the run at a position, remembered."""
        if (epoch, position) not in self._made:
            if len(self._made) == self.runs:
                del self._made[next(iter(self._made))]  # the oldest
            self._made[epoch, position] = self._make(epoch, position)
        return self._made[epoch, position]

    def _make(self, epoch: int, position: int) -> list[Sample]:
        """The samples of the first run from a position on that gives some."""
        items, streak = self.dataset.items, RejectStreak(self.dataset.max_empty_slots)
        for later in range(position, position + items):
            samples = list[Sample]()
            for outcome in self.dataset.outcomes(epoch, later % items):
                streak.add(outcome)
                samples += outcome.samples
            if samples:
                return samples
        raise NoSamplesError(f"epoch {epoch} gave no samples: {streak.tally.explain()}")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_made": {}}  # a spawned worker makes its own


class RunSampler(Sampler[int]):
    """The numbers of an epoch in an order in which the view makes each run once.

    Runs come in the order of the plan, which is random and differs by epoch. The samples of ``view.runs`` neighbouring
    runs are mixed. Each iteration gives the next epoch, beginning with ``view.epoch``; ``set_epoch`` chooses one.

    A ``DataLoader`` gives whole batches to its workers in turn. The sampler therefore has to know both numbers, and
    deals every run to one worker; only the runs of the last few batches of an epoch may be made by two.

    Every rank gets equally many numbers: a rank whose runs have fewer samples begins with its first ones again, and of
    a rank whose runs have more, the last ones are left out.

    Args:
        view: the dataset of the ``DataLoader``.
        batch_size, num_workers: as of the ``DataLoader``.
        rank, world_size: this process's rank and the number of ranks; by default those of the view's dataset, or of
            torch's process group, or of torchrun, found when an iteration begins.
        seed: of the order in which the samples of neighbouring runs are mixed.

    Raises:
        ValueError: if an argument is invalid, or an epoch has fewer runs than there are ranks.
    """

    def __init__(
        self,
        view: MapStyleDataset,
        *,
        batch_size: int = 1,
        num_workers: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        seed: int = 0,
    ) -> None:
        self.view = view
        self.batch_size = batch_size
        self.workers = max(1, num_workers)
        self.given_ranks = agreed_ranks(view.dataset, rank, world_size)
        self.seed = seed
        self._next_epoch = view.epoch
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, expected 1 or more")

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self._next_epoch = epoch

    def __len__(self) -> int:
        """Numbers per epoch, the same on every rank."""
        return self._count(current_world_size(self.given_ranks[1]))

    def __iter__(self) -> Iterator[int]:
        epoch, ranks = self._next_epoch, current_ranks(*self.given_ranks)
        self.view.dataset.check_runs(ranks.world_size)
        count = self._count(ranks.world_size)
        self.view.set_epoch(epoch)
        self._next_epoch = epoch + 1
        yield from islice(cycle(self._dealt(epoch, ranks)), count)

    def _count(self, world_size: int) -> int:
        return -(-int(self.view.starts(self._next_epoch)[-1]) // world_size)

    def _dealt(self, epoch: int, ranks: Ranks) -> Iterator[int]:
        """A rank's numbers, of which every batch in turn belongs to the next worker."""
        workers = [iter(self._share(epoch, ranks, worker)) for worker in range(self.workers)]
        while True:
            batches = [list(islice(numbers, self.batch_size)) for numbers in workers]
            if min(map(len, batches)) < self.batch_size:
                break
            yield from chain(*batches)
        yield from chain(*batches, *workers)

    def _share(self, epoch: int, ranks: Ranks, worker: int) -> Iterator[int]:
        """The numbers of one worker's runs, mixed within groups of ``view.runs`` runs."""
        starts, dealt = self.view.starts(epoch), ranks.world_size * self.workers
        positions = range(ranks.rank * self.workers + worker, self.view.dataset.items, dealt)
        for first in range(0, len(positions), self.view.runs):
            group = positions[first : first + self.view.runs]
            numbers = list(chain(*(range(starts[position], starts[position + 1]) for position in group)))
            order = rng_at("mix", self.seed, epoch, group[0]).permutation(len(numbers))
            yield from (int(numbers[place]) for place in order)
