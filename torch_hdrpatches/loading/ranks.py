"""Which rank this process is, out of how many: asked when an iteration begins, never when an object is built."""

from __future__ import annotations

import logging
import os
import sys
from types import FrameType
from typing import Any, NamedTuple

import torch.distributed
from torch.utils.data import default_collate

from ..errors import RanksError

log = logging.getLogger(__name__)

ONE_LOADER = "accelerator.prepare_data_loader(PatchLoader(dataset, batch_size=...))"


class Ranks(NamedTuple):
    """A rank, from 0, and the number of ranks."""

    rank: int
    world_size: int

    def __str__(self) -> str:
        return f"rank {self.rank} of {self.world_size}"


def current_ranks(rank: int | None = None, world_size: int | None = None) -> Ranks:
    """The given rank and number of ranks, or else those of torch's process group, or else those that torchrun set.

    If Accelerate shares out what it is given, that has to be everything: rank 0 of 1.

    Raises:
        RanksError: if the environment names a number of ranks and no rank, or as ``shared_out_by_accelerate``.
        ValueError: if the rank is not below the number of ranks.
    """
    if shared_out_by_accelerate():
        if (rank, world_size) != (None, None):
            raise RanksError("Accelerate would share out this rank's share once more; leave out rank and world_size")
        return Ranks(0, 1)
    found = Ranks(0, 1) if None not in (rank, world_size) else _surrounding_ranks()
    chosen = Ranks(found.rank if rank is None else rank, found.world_size if world_size is None else world_size)
    if not 0 <= chosen.rank < chosen.world_size:
        last = chosen.world_size - 1
        raise ValueError(f"rank is {chosen.rank}, expected 0 to {last} (world_size is {chosen.world_size})")
    return chosen


def current_world_size(world_size: int | None = None) -> int:
    """The number of ranks, which may be known before the rank is: enough for ``len``."""
    if world_size is not None:
        return world_size
    return torch.distributed.get_world_size() if _in_group() else int(os.environ.get("WORLD_SIZE", "1"))


def _in_group() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _surrounding_ranks() -> Ranks:
    world_size = current_world_size()
    if _in_group():
        return Ranks(torch.distributed.get_rank(), world_size)
    if world_size > 1 and "RANK" not in os.environ:
        raise RanksError(
            f"WORLD_SIZE is {world_size}, but there is neither RANK nor a process group to tell this process's rank; "
            "start iterating after torch.distributed.init_process_group, or pass rank= and world_size="
        )
    return Ranks(int(os.environ.get("RANK", "0")), world_size)


def check_start(ranks: Ranks, before: Ranks | None) -> None:
    """Raises RanksError if an iteration begins as other ranks than those before it."""
    check_unchanged(before, ranks)
    if shared_out_by_accelerate():
        log.warning("every rank makes all samples, and Accelerate keeps its share; to make each once: %s", ONE_LOADER)


def check_unchanged(before: Ranks | None, now: Ranks) -> None:
    """Raises RanksError if an object that has been iterated as one rank is now to be iterated as another."""
    if before not in (None, now):
        raise RanksError(
            f"the iteration began as {before}, and now this is {now}: the same data would be given twice; make the "
            "dataset and the loader anew after the process group is made, or pass rank= and world_size="
        )


def shared_out_by_accelerate() -> bool:
    """Whether Accelerate, which called us, shares out among ranks what we give, so that we must give all of it.

    ``accelerator.prepare(DataLoader(dataset))`` lets rank 0 send batches to the others (DataLoaderDispatcher), or takes
    every n-th batch on every rank (IterableDatasetShard, BatchSamplerShard), and does not ask whether the dataset
    shares out by itself. Both are found among the callers of this function.

    Raises:
        RanksError: if rank 0 is to send batches that hold text, which Accelerate cannot send.
    """
    frame: FrameType | None = sys._getframe()
    while frame := frame.f_back if frame else None:
        if frame.f_globals.get("__name__") != "accelerate.data_loader":
            continue
        caller: Any = frame.f_locals.get("self")
        kind = type(caller).__name__
        if kind in ("IterableDatasetShard", "BatchSamplerShard") and caller.num_processes > 1:
            return True
        if kind == "DataLoaderDispatcher" and caller.state.num_processes > 1:
            if caller.base_dataloader.collate_fn is default_collate:
                raise RanksError(
                    "Accelerate would send the batches of rank 0 to the other ranks, and it cannot send text such as "
                    f"`key`; prepare a loader that gives every rank its own share: {ONE_LOADER}"
                )
            return True
    return False
