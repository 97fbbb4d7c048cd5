"""Trains by Accelerate, with each of its ways to save the loader's state.

python -m tests.helpers.trainers.with_accelerate RECIPE FOLDER, or the same under torchrun or accelerate launch
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import torch
from accelerate import Accelerator

from torch_hdrpatches import PatchLoader

from .data import Net, loss_of, noted, patch_loader
from .scenarios import EPOCHS, Training, play

Prepare: TypeAlias = Callable[[Accelerator, PatchLoader], Any]


def train(training: Training, prepare: Prepare, skips: bool = False) -> None:
    """With ``skips``, the loader's state is not saved: the first batches of the epoch are skipped."""
    accelerator = Accelerator(cpu=True)
    loader = prepare(accelerator, patch_loader(training.recipe, num_workers=1))
    net = Net()
    net, optimizer = accelerator.prepare(net, torch.optim.Adam(net.parameters(), 1e-3))
    step = training.resumes_after
    if step:
        accelerator.load_state(str(training.checkpoint(step)))
    batches = []
    for epoch in range(training.first_epoch, EPOCHS):
        loader.set_epoch(epoch)
        rest = loader
        if skips and epoch == training.first_epoch:
            rest = accelerator.skip_first_batches(loader, step - epoch * training.steps_per_epoch)
        for batch in islice(rest, training.limit):
            batches.append(noted(batch))
            with accelerator.accumulate(net):
                accelerator.backward(loss_of(net, batch))
                optimizer.step()
                optimizer.zero_grad()
            step += 1
            if step in training.saves_after:
                accelerator.save_state(str(training.checkpoint(step)))
    training.tell(accelerator.process_index, batches)
    accelerator.wait_for_everyone()
    accelerator.free_memory()


def prepared_by_name(accelerator: Accelerator, loader: PatchLoader) -> Any:
    return accelerator.prepare_data_loader(loader)


def registered(accelerator: Accelerator, loader: PatchLoader) -> Any:
    accelerator.register_for_checkpointing(loader)
    return accelerator.prepare(loader)


def prepared(accelerator: Accelerator, loader: PatchLoader) -> Any:
    return accelerator.prepare(loader)


def main() -> None:
    torch.set_num_threads(1)
    recipe, folder = Path(sys.argv[1]), Path(sys.argv[2])
    ranks = Accelerator(cpu=True).num_processes
    trains = {
        "Accelerate, prepare_data_loader": partial(train, prepare=prepared_by_name),
        "Accelerate, register_for_checkpointing": partial(train, prepare=registered),
        "Accelerate, skip_first_batches": partial(train, prepare=prepared, skips=True),
    }
    for name, one in trains.items():
        play(name, one, recipe, folder, ranks, sets_epoch="skip" not in name)
    Accelerator(cpu=True).end_training()


if __name__ == "__main__":
    main()
