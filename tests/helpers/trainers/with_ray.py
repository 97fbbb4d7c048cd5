"""Trains by Ray Train: one cluster on this machine, and a trainer for each number of ranks.

python -m tests.helpers.trainers.with_ray RECIPE FOLDER RANKS...
"""

from __future__ import annotations

import sys
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch

from .data import Net, noted, patch_loader, step_on
from .scenarios import EPOCHS, Training, play


def train(training: Training, prepares: bool) -> None:
    """With ``prepares``, by ``prepare_data_loader``, which takes one batch ahead, so that states are not saved."""
    rank = ray.train.get_context().get_world_rank()
    loader = patch_loader(training.recipe)
    batches_of = ray.train.torch.prepare_data_loader(loader) if prepares else loader
    net = ray.train.torch.prepare_model(Net())
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    step = training.resumes_after
    if step:
        loader.load_state_dict(torch.load(training.checkpoint(step)))
    batches = []
    for _ in range(training.first_epoch, EPOCHS):
        for batch in islice(batches_of, training.limit):
            step_on(net, optimizer, batch)
            batches.append(noted(batch))
            step += 1
            if step in training.saves_after and rank == 0:
                torch.save(loader.state_dict(), training.checkpoint(step))
    training.tell(rank, batches)
    torch.distributed.barrier()


def work(config: dict[str, Any]) -> None:
    """What each rank does."""
    torch.set_num_threads(1)
    ranks = ray.train.get_context().get_world_size()
    recipe, folder = Path(config["recipe"]), Path(config["folder"])
    for name, prepares in (("Ray Train", False), ("Ray Train, prepare_data_loader", True)):
        play(name, partial(train, prepares=prepares), recipe, folder, ranks, resumes=not prepares)
    check_what_prepare_data_loader_takes_ahead(recipe)


def check_what_prepare_data_loader_takes_ahead(recipe: Path) -> None:
    """A state saved after the first batch is that after the second one, as the documentation warns."""
    loader = patch_loader(recipe)
    next(iter(ray.train.torch.prepare_data_loader(loader)))
    assert loader.state_dict()["batches"] == 2


def main() -> None:
    recipe, folder, counts = sys.argv[1], sys.argv[2], sys.argv[3:]
    ray.init(num_cpus=2, object_store_memory=80 << 20)
    for count in map(int, counts):
        scaling = ray.train.ScalingConfig(num_workers=count)
        run = ray.train.RunConfig(storage_path=str(Path(folder) / "ray"))
        trainer = ray.train.torch.TorchTrainer(
            work, train_loop_config={"recipe": recipe, "folder": folder}, scaling_config=scaling, run_config=run
        )
        trainer.fit()
    ray.shutdown()


if __name__ == "__main__":
    main()
