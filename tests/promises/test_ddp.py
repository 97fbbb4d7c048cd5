"""Two ranks under DistributedDataParallel take equally many steps, without ``Join``, however much is rejected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from tests.helpers.samples import Refuses
from torch_hdrpatches import HDRPatchDataset, PatchLoader

EPOCHS = 3
TRAINING_TIMEOUT_SECONDS = 150


def train(rank: int, recipe: dict[str, Any], share: float, folder: str) -> None:
    """One rank's training; it hangs at the first step that the other rank does not take."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.manual_seed(rank)  # DDP gives both the weights of the first
    model = DistributedDataParallel(nn.Sequential(nn.Conv2d(21, 27, 3, padding=1), nn.PixelShuffle(3)))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    loader = PatchLoader(HDRPatchDataset(recipe, accept=Refuses(share)), 4, num_workers=1)
    promised, batches = [], []
    for _ in range(EPOCHS):
        promised.append(len(loader))
        batches.append(0)
        for batch in loader:
            loss = nn.functional.l1_loss(model(batch["lq"].flatten(1, 2) / 255), batch["gt"] / 255)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            batches[-1] += 1
    weights = [parameter.detach().double().sum().item() for parameter in model.parameters()]
    told = {"rank": dist.get_rank(), "promised": promised, "batches": batches, "weights": weights}
    Path(folder, f"{rank}.json").write_text(json.dumps(told))
    dist.destroy_process_group()


def test_two_ranks_train_three_epochs_and_neither_waits_for_the_other(small, tmp_path):
    small["movies"][1]["timestamps"] = 11  # an odd number of runs, not all of one length
    processes = torch.multiprocessing.spawn(train, (small, 0.5, str(tmp_path)), nprocs=2, join=False)
    try:
        done = processes.join(TRAINING_TIMEOUT_SECONDS) or processes.join(TRAINING_TIMEOUT_SECONDS)
        assert done, f"no end after {2 * TRAINING_TIMEOUT_SECONDS} s"
    finally:
        for process in processes.processes:
            process.kill()
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert (first.pop("rank"), second.pop("rank")) == (0, 1)
    assert first == second
    assert first["batches"] == first["promised"]
    assert len(first["batches"]) == EPOCHS
