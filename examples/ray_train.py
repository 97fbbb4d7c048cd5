"""Train with Ray Train on two ranks; a rank dies in the middle of an epoch, and Ray resumes from the last checkpoint.

    python examples/ray_train.py

The state of a PatchLoader is the same on all ranks, so that rank 0 saves it for all of them. ``prepare_data_loader`` is
not needed: the loader shares out the samples to the ranks by itself.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
from ray.train.torch import TorchTrainer, prepare_model
from torch import nn

from torch_hdrpatches import HDRPatchDataset, PatchLoader, Recipe
from torch_hdrpatches.testing import MovieSpec, write_movie

EPOCHS = 2


def train(config: dict[str, Any]) -> None:
    rank = ray.train.get_context().get_world_rank()
    loader = PatchLoader(HDRPatchDataset(config["recipe"]), batch_size=4)  # gets its rank from the process group
    net = prepare_model(nn.Sequential(nn.Flatten(1, 2), nn.Conv2d(21, 27, 3, padding=1), nn.PixelShuffle(3)))
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    if checkpoint := ray.train.get_checkpoint():
        with checkpoint.as_directory() as folder:
            loader.load_state_dict(torch.load(f"{folder}/loader.pt"))  # and the weights, likewise
    seen = []
    while loader.state_dict()["epoch"] < EPOCHS:
        for batch in loader:
            loss = nn.functional.l1_loss(net(batch["lq"] / 255), batch["gt"] / 255)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen.append(batch["key"])
            with tempfile.TemporaryDirectory() as folder:
                torch.save(loader.state_dict(), f"{folder}/loader.pt")
                saved = ray.train.Checkpoint.from_directory(folder) if rank == 0 else None
                ray.train.report({"seen": seen}, checkpoint=saved)
            if len(seen) == 4 and checkpoint is None and rank == 1:
                raise RuntimeError("this rank dies")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        movie = write_movie(Path(folder) / "movie.mkv", MovieSpec(frames=96, numbers=False))
        formats = {"patch": {"gt": [96, 96]}}
        sampling = {"timestamps_per_movie": 48, "jitter": 1.0}
        recipe = Recipe.of(movie, format="patch", formats=formats, sampling=sampling)
        ray.init(num_cpus=2, log_to_driver=False)
        run = ray.train.RunConfig(storage_path=folder, failure_config=ray.train.FailureConfig(max_failures=1))
        scaling = ray.train.ScalingConfig(num_workers=2)
        result = TorchTrainer(train, train_loop_config={"recipe": recipe}, scaling_config=scaling, run_config=run).fit()
        ray.shutdown()
        rest = result.metrics["seen"]
        loader = PatchLoader(HDRPatchDataset(recipe), batch_size=4, rank=0, world_size=2)
        whole = [batch["key"] for _ in range(EPOCHS) for batch in loader]
        print(f"{len(whole)} batches in two epochs, {len(rest)} after a rank died")
        print("the same as without its death:", rest == whole[4:])


if __name__ == "__main__":
    main()
