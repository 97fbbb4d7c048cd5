"""Train with Accelerate, save its state in the middle of an epoch, and resume.

    python examples/accelerate_train.py
    accelerate launch --cpu --num_processes 2 examples/accelerate_train.py

``prepare_data_loader`` leaves a PatchLoader as it is: it shares out the samples to the ranks by itself. ``save_state``
then keeps its state. Move the batches to ``accelerator.device`` yourself. The movie and the state lie in the folder
``accelerate_train``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn

from torch_hdrpatches import HDRPatchDataset, PatchLoader, Recipe
from torch_hdrpatches.testing import MovieSpec, write_movie

FOLDER = Path("accelerate_train")
EPOCHS = 2


def train(accelerator: Accelerator, recipe: Recipe, resume: bool = False) -> Iterator[list[str]]:
    """The keys of each batch, after the step on it."""
    loader = accelerator.prepare_data_loader(PatchLoader(HDRPatchDataset(recipe), batch_size=4, num_workers=1))
    net = nn.Sequential(nn.Flatten(1, 2), nn.Conv2d(21, 27, 3, padding=1), nn.PixelShuffle(3))
    net, optimizer = accelerator.prepare(net, torch.optim.Adam(net.parameters(), 1e-3))
    if resume:
        accelerator.load_state(str(FOLDER / "state"))
    while loader.state_dict()["epoch"] < EPOCHS:
        for batch in loader:
            lq, gt = batch["lq"].to(accelerator.device) / 255, batch["gt"].to(accelerator.device) / 255
            accelerator.backward(nn.functional.l1_loss(net(lq), gt))
            optimizer.step()
            optimizer.zero_grad()
            yield batch["key"]


def main() -> None:
    accelerator = Accelerator(cpu=True)
    with accelerator.main_process_first():
        if not (FOLDER / "movie.mkv").exists():
            FOLDER.mkdir(exist_ok=True)
            write_movie(FOLDER / "movie.mkv", MovieSpec(frames=96, numbers=False))
    formats = {"patch": {"gt": [96, 96]}}
    sampling = {"timestamps_per_movie": 48, "jitter": 1.0}
    recipe = Recipe.of(FOLDER / "movie.mkv", format="patch", formats=formats, sampling=sampling)

    whole = []
    for keys in train(accelerator, recipe):
        whole.append(keys)
        if len(whole) == 4:
            accelerator.save_state(str(FOLDER / "state"))
    accelerator.free_memory()
    rest = list(train(accelerator, recipe, resume=True))
    print(f"rank {accelerator.process_index}: {len(whole)} batches in two epochs, {len(rest)} after the resume")
    print("the same as without the break:", rest == whole[4:], flush=True)
    accelerator.end_training()


if __name__ == "__main__":
    main()
