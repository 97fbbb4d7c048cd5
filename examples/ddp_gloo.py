"""Train with two ranks of DistributedDataParallel, which get the same number of batches.

    python examples/ddp_gloo.py

Some windows are refused, for example because of a cut, so that the ranks find different numbers of samples.
``PatchLoader`` still gives every rank the same number of batches: you need no ``Join`` and no ``drop_last``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from torch_hdrpatches import HDRPatchDataset, PatchLoader, Recipe
from torch_hdrpatches.testing import MovieSpec, write_movie


def train(rank: int, recipe: Recipe, rendezvous: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{rendezvous}", rank=rank, world_size=2)  # use "nccl" on GPUs
    model = DistributedDataParallel(nn.Sequential(nn.Conv2d(21, 27, 3, padding=1), nn.PixelShuffle(3)))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    loader = PatchLoader(HDRPatchDataset(recipe), batch_size=4, num_workers=1)  # gets its rank from the group
    for epoch in range(3):
        steps = 0
        for batch in loader:
            lq, gt = batch["lq"].flatten(1, 2) / 255, batch["gt"] / 255
            loss = nn.functional.l1_loss(model(lq), gt)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps += 1
        print(f"epoch {epoch}, rank {rank}: {steps} steps, loss {loss.item():.3f}", flush=True)
    dist.destroy_process_group()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        movie = write_movie(Path(folder) / "movie.mkv", MovieSpec(frames=96, cuts=(20, 45, 70), numbers=False))
        recipe = Recipe.of(
            movie,
            format="patch",
            formats={"patch": {"gt": [96, 96]}},
            sampling={"timestamps_per_movie": 40, "jitter": 1.0, "max_attempts": 1},
        )
        torch.multiprocessing.spawn(train, (recipe, f"{folder}/rendezvous"), nprocs=2)


if __name__ == "__main__":
    main()
