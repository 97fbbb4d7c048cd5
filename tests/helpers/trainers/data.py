"""The recipe, the loaders and the network of all training programs: 32 samples, 8 batches of 4 in an epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.helpers.samples import batch_signatures
from torch_hdrpatches import HDRPatchDataset, PatchLoader
from torch_hdrpatches.testing import MovieSpec, write_movie

SLOTS_PER_MOVIE, BATCH_SIZE = 16, 4
SAMPLES = 2 * SLOTS_PER_MOVIE
BATCHES = SAMPLES // BATCH_SIZE
"""Per epoch, of all ranks together."""


def write_recipe(folder: Path) -> Path:
    """Write two small movies and their recipe, of one format and without rejects; returns the recipe's path."""
    names = ("first.mkv", "second.mkv")
    for seed, name in enumerate(names):
        write_movie(folder / name, MovieSpec(height=96, width=128, frames=64, seed=seed))
    recipe = {
        "sampling": {"timestamps_per_movie": SLOTS_PER_MOVIE, "jitter": 1.0},
        "formats": {"patch": {"gt": [48, 48]}},
        "categories": {"all": {"formats": {"patch": 1.0}}},
        "movies": [{"path": str(folder / name), "categories": ["all"]} for name in names],
    }
    path = folder / "recipe.json"
    path.write_text(json.dumps(recipe))
    return path


def patch_loader(recipe: Path, num_workers: int = 0) -> PatchLoader:
    return PatchLoader(HDRPatchDataset(recipe), BATCH_SIZE, num_workers=num_workers)


class Net(nn.Module):
    """(B, 7, 3, h, w) to (B, 3, 3h, 3w)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(1, 2), nn.Conv2d(21, 27, 3, padding=1), nn.PixelShuffle(3))

    def forward(self, lq: Tensor) -> Tensor:
        return self.layers(lq)


def loss_of(net: nn.Module, batch: Mapping[str, Any]) -> Tensor:
    return nn.functional.l1_loss(net(batch["lq"] / 255), batch["gt"] / 255)


def step_on(net: nn.Module, optimizer: torch.optim.Optimizer, batch: Mapping[str, Any]) -> None:
    loss = loss_of(net, batch)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def noted(batch: Mapping[str, Any]) -> list[list[Any]]:
    """[epoch, movie and slot, hash of gt, hash of lq] of every sample of a batch."""
    places = zip(batch["epoch"].tolist(), batch["movie"], batch["slot"].tolist(), strict=True)
    signatures = batch_signatures([batch])[0]
    return [[e, f"{movie} {slot}", *hashes] for (e, movie, slot), (_, *hashes) in zip(places, signatures, strict=True)]
