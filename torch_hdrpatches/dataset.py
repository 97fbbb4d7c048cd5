"""The stream as an ``IterableDataset``: drops into any ``DataLoader``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from .curves import UserCurve
from .degrade import Degrade
from .errors import NoSamplesError
from .identity import identity_of
from .recipe import Recipe
from .sample import GroundTruth, Output, Sample, Transform
from .stream import PatchStream
from .tally import Tally
from .workers import rank_and_world, share_of_this_worker


class HDRPatchDataset(IterableDataset[Sample]):
    """Training patches from HDR movies, live.

    Every epoch's samples are dealt to ranks and workers in runs of neighbouring slots: no sample comes twice, none is
    missing, and each is the same whoever makes it. For an order that does not depend on the number of workers, equal
    ranks and resume, use ``PatchLoader``.

    Args:
        recipe: a path, a mapping or a ``Recipe``.
        epoch: jitter and crops differ by epoch; see ``set_epoch``.
        output: ``"sdr"`` tone-mapped uint8, ``"hdr"`` uint16 signal, or ``"both"``.
        gt: the ``"centre"`` frame, or the whole ``"sequence"``.
        degrade: makes ``lq`` from the ground-truth frames; antialiased bicubic when absent.
        transform: ``transform(sample, rng) -> sample``, applied last.
        curve: a tone curve ``f(light, peak) -> light`` in place of the recipe's; see ``curves.UserCurve``.
        rank, world_size: found from the environment or the process group when absent.

    Raises:
        RecipeError: if the recipe cannot mean anything, or names a file that does not exist.
        NoSamplesError: while iterating, if an epoch gives nothing at all.
    """

    def __init__(
        self,
        recipe: str | Path | Mapping[str, Any] | Recipe,
        *,
        epoch: int = 0,
        output: Output = "sdr",
        gt: GroundTruth = "centre",
        degrade: Degrade | None = None,
        transform: Transform | None = None,
        curve: UserCurve | None = None,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        super().__init__()
        self.stream = PatchStream(recipe, output=output, gt=gt, degrade=degrade, transform=transform, curve=curve)
        self.rank, self.world_size = rank_and_world(rank, world_size)
        # In shared memory, so that persistent workers see set_epoch.
        self._epoch = torch.tensor(epoch).share_memory_()  # type: ignore[no-untyped-call]
        self._ledger = torch.zeros(_MAX_WORKERS, 2, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]

    @property
    def epoch(self) -> int:
        """The epoch that the next iteration gives."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration, also for workers that are already running."""
        self._epoch.fill_(epoch)

    def fingerprint(self) -> dict[str, Any]:
        """What the stream depends on, as flat keys."""
        return identity_of(self.stream.recipe, self.stream.making)

    def items(self, epoch: int) -> int:
        """Runs of an epoch."""
        return len(self.stream.plan)

    def item(self, epoch: int, position: int) -> list[Sample]:
        """The samples of the run at a position of an epoch."""
        run = self.stream.plan.runs[self.stream.plan.order(epoch)[position]]
        return [sample for outcome in self.stream.run(epoch, run) for sample in outcome.samples]

    def planned(self, epoch: int, positions: range) -> int:
        """Samples of the runs at these positions if nothing is rejected."""
        return self.stream.plan.samples(epoch, positions)

    def buckets(self) -> int:
        """Pairs of category and format that samples can have."""
        return sum(len(category.formats) for category in self.stream.recipe.categories.values())

    def __iter__(self) -> Iterator[Sample]:
        epoch, plan = self.epoch, self.stream.plan
        order = plan.order(epoch)
        tally = Tally()
        in_a_row = 0
        for position in share_of_this_worker(len(plan), self.rank, self.world_size):
            for outcome in self.stream.run(epoch, plan.runs[order[position]]):
                tally.add(outcome)
                yield from outcome.samples
                in_a_row = 0 if outcome.samples or outcome.failure else in_a_row + 1
                if in_a_row >= self.stream.recipe.sampling.max_consecutive_rejects:
                    raise NoSamplesError(f"{in_a_row} slots in a row gave nothing: {tally.explain()}")
        if self._whole_epoch_is_empty(tally.total):
            raise NoSamplesError(f"epoch {epoch} gave no samples: {tally.explain()}")

    def _whole_epoch_is_empty(self, samples: int) -> bool:
        """Whether this worker is the last to finish, and no worker gave anything."""
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        mine = self._ledger[worker]
        mine[0] += 1  # iterations finished by this worker: others may be one ahead or behind
        mine[1] = samples
        rows = self._ledger[:workers]
        return bool((rows[:, 0] >= mine[0]).all()) and not bool(rows[:, 1].any())


_MAX_WORKERS = 1024
