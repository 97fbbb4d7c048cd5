"""Trains by loops: plain ones, DistributedDataParallel, torchdata's nodes and ``StatefulDataLoader``.

python -m tests.helpers.trainers.loops RECIPE FOLDER, or the same under torchrun
"""

from __future__ import annotations

import sys
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import default_collate
from torchdata.nodes import Batcher, IterableWrapper, Loader, Mapper, Prefetcher
from torchdata.stateful_dataloader import StatefulDataLoader

from torch_hdrpatches import HDRPatchDataset, PatchLoader

from .data import BATCH_SIZE, Net, noted, patch_loader, step_on
from .scenarios import EPOCHS, Train, Training, play


def loop(training: Training, loader: Any, sets_epoch: bool = False) -> None:
    """The loop of all of them. Rank 0 saves; a loader whose state has a rank in it is saved by every rank."""
    rank = dist.get_rank() if dist.is_initialized() else 0
    net: nn.Module = Net()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    own_state = not isinstance(loader, PatchLoader)
    suffix = f".{rank}" if own_state else ""
    step = training.resumes_after
    if step:
        saved = torch.load(f"{training.checkpoint(step)}{suffix}")
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        loader.load_state_dict(saved["loader"])
    if dist.is_initialized():
        net = DistributedDataParallel(net)

    def save_if_wanted() -> None:
        if step in training.saves_after and (rank == 0 or own_state):
            weights = getattr(net, "module", net).state_dict()
            state = {"net": weights, "optimizer": optimizer.state_dict(), "loader": loader.state_dict()}
            torch.save(state, f"{training.checkpoint(step)}{suffix}")

    batches = []
    for epoch in range(training.first_epoch, EPOCHS):
        if sets_epoch:
            loader.set_epoch(epoch)
        for batch in islice(loader, training.limit):
            step_on(net, optimizer, batch)
            batches.append(noted(batch))
            step += 1
            save_if_wanted()
        if isinstance(loader, StatefulDataLoader):
            save_if_wanted()  # it knows that an epoch is at its end only when the loop has ended
    training.tell(rank, batches)
    if dist.is_initialized():
        dist.barrier()


def plain(training: Training) -> None:
    loop(training, patch_loader(training.recipe, num_workers=1))


def with_set_epoch(training: Training) -> None:
    loop(training, patch_loader(training.recipe), sets_epoch=True)


def nodes(training: Training, prefetched: bool = False) -> None:
    node = IterableWrapper(patch_loader(training.recipe))
    loop(training, Loader(Prefetcher(node, prefetch_factor=3) if prefetched else node))


def nodes_of_samples(training: Training) -> None:
    samples = IterableWrapper(HDRPatchDataset(training.recipe))
    loop(training, Loader(Mapper(Batcher(samples, BATCH_SIZE, drop_last=False), default_collate)))


def stateful(training: Training, num_workers: int) -> None:
    loop(training, StatefulDataLoader(HDRPatchDataset(training.recipe), BATCH_SIZE, num_workers=num_workers))


TRAINS: dict[str, Train] = {
    "PatchLoader in a loop": plain,
    "PatchLoader in a loop with set_epoch": with_set_epoch,
    "torchdata.nodes of a PatchLoader": nodes,
    "torchdata.nodes of a PatchLoader, prefetched": partial(nodes, prefetched=True),
    "torchdata.nodes of a HDRPatchDataset": nodes_of_samples,
    "StatefulDataLoader": partial(stateful, num_workers=0),
    "StatefulDataLoader, 2 workers": partial(stateful, num_workers=2),
}


def main() -> None:
    torch.set_num_threads(1)
    recipe, folder = Path(sys.argv[1]), Path(sys.argv[2])
    if dist.is_torchelastic_launched():
        dist.init_process_group("gloo")
    ranks = dist.get_world_size() if dist.is_initialized() else 1
    for name, train in TRAINS.items():
        play(name, train, recipe, folder, ranks, sets_epoch=train is with_set_epoch)
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
