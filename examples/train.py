"""Train a small network on samples made live from a movie: the loss falls within a minute on a CPU.

    python examples/train.py

The movie is made by the example. To train on your own movies, give their paths: python examples/train.py a.mkv b.mkv
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torch_hdrpatches import HDRPatchDataset, PatchLoader, Recipe
from torch_hdrpatches.testing import MovieSpec, write_movie


class SmallVSR(nn.Module):
    """Seven low-quality frames to the centre frame at three times the size: bilinear upscaling plus a residual."""

    def __init__(self, frames: int = 7, scale: int = 3, width: int = 24) -> None:
        super().__init__()
        self.scale = scale
        self.body = nn.Sequential(
            nn.Conv2d(3 * frames, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 3 * scale**2, 3, padding=1),
            nn.PixelShuffle(scale),
        )

    def forward(self, lq: Tensor) -> Tensor:
        centre = lq[:, lq.shape[1] // 2]
        upscaled = F.interpolate(centre, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return upscaled + self.body(lq.flatten(1, 2))


def main() -> None:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        movies = sys.argv[1:] or [write_movie(Path(folder) / "movie.mkv", MovieSpec(frames=120, numbers=False))]
        recipe = Recipe.of(
            movies,
            format="patch",
            formats={"patch": {"gt": [144, 144]}},
            sampling={"timestamps_per_movie": 64, "jitter": 1.0},
        )
        loader = PatchLoader(HDRPatchDataset(recipe), batch_size=8, num_workers=1, drop_last=True)
        model = SmallVSR()
        optimizer = torch.optim.Adam(model.parameters(), 2e-3)
        for epoch in range(4):
            losses = []
            for batch in loader:
                lq, gt = batch["lq"].float() / 255, batch["gt"].float() / 255
                loss = F.l1_loss(model(lq), gt)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            print(f"epoch {epoch}: {len(losses)} batches, loss {sum(losses) / len(losses):.4f}")


if __name__ == "__main__":
    main()
