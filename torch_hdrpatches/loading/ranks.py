"""The rank of this process and the number of ranks."""

from __future__ import annotations

import os

import torch.distributed


def rank_and_world(rank: int | None = None, world_size: int | None = None) -> tuple[int, int]:
    """This process's rank and the number of ranks.

    Taken from the arguments, or else from ``RANK`` and ``WORLD_SIZE`` in the environment, or else from torch's process
    group. Call it in the main process: the workers of a DataLoader belong to no process group.

    Raises:
        ValueError: if the rank is not between 0 and ``world_size - 1``.
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
