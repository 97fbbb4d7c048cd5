"""Which part of the work is this rank's and this worker's."""

from __future__ import annotations

import os

import torch.distributed
import torch.utils.data


def rank_and_world(rank: int | None = None, world_size: int | None = None) -> tuple[int, int]:
    """This process's rank and the number of ranks: the arguments, else ``RANK``/``WORLD_SIZE``, else torch's group.

    Ask in the main process: the workers of a DataLoader belong to no process group.

    Raises:
        ValueError: if the rank is not one of the world's.
    """
    if rank is None or world_size is None:
        if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
            found = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        elif torch.distributed.is_available() and torch.distributed.is_initialized():
            found = torch.distributed.get_rank(), torch.distributed.get_world_size()
        else:
            found = 0, 1
        rank = found[0] if rank is None else rank
        world_size = found[1] if world_size is None else world_size
    if not 0 <= rank < world_size:
        raise ValueError(f"rank is {rank}, expected 0 to {world_size - 1} (world_size is {world_size})")
    return rank, world_size


def share_of_this_worker(count: int, rank: int = 0, world_size: int = 1) -> range:
    """The positions out of ``count`` that this rank and this DataLoader worker take: every n-th, disjoint, complete."""
    info = torch.utils.data.get_worker_info()
    worker, workers = (info.id, info.num_workers) if info else (0, 1)
    return range(rank * workers + worker, count, world_size * workers)
