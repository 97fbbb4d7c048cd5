"""Train with Lightning on two ranks, break off in the middle of an epoch, and resume from the checkpoint.

    python examples/lightning_ddp.py

Lightning starts this script once more for the second rank. Its checkpoint holds the state of the loader, too, which is
the same on both ranks. The movie and the checkpoints lie in the folder ``lightning_ddp``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn

from torch_hdrpatches import HDRPatchDataset, PatchLoader, Recipe
from torch_hdrpatches.testing import MovieSpec, write_movie

FOLDER = Path("lightning_ddp")


class SmallVSR(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(1, 2), nn.Conv2d(21, 27, 3, padding=1), nn.PixelShuffle(3))
        self.keys: list[str] = []

    def training_step(self, batch: dict[str, Any], index: int) -> Tensor:
        self.keys += batch["key"]
        return nn.functional.l1_loss(self.net(batch["lq"] / 255), batch["gt"] / 255)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 1e-3)


class Patches(lightning.LightningDataModule):
    def train_dataloader(self) -> PatchLoader:
        recipe = Recipe.of(
            FOLDER / "movie.mkv",
            format="patch",
            formats={"patch": {"gt": [96, 96]}},
            sampling={"timestamps_per_movie": 48, "jitter": 1.0},
        )
        return PatchLoader(HDRPatchDataset(recipe), batch_size=4, num_workers=1)


def fit(steps: int = -1, checkpoint: str | None = None) -> SmallVSR:
    """Train until the end of the second epoch, or for some steps, after which the checkpoint is saved."""
    model = SmallVSR()
    saves = ModelCheckpoint(FOLDER, filename="last", every_n_train_steps=8, enable_version_counter=False)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(
        accelerator="cpu", devices=2, strategy="ddp", max_epochs=2, max_steps=steps, callbacks=[saves], **quiet
    )
    trainer.fit(model, datamodule=Patches(), ckpt_path=checkpoint)
    return model


def main() -> None:
    if not (FOLDER / "movie.mkv").exists():  # rank 1 starts when rank 0 trains: the movie is there
        FOLDER.mkdir(exist_ok=True)
        write_movie(FOLDER / "movie.mkv", MovieSpec(frames=96, numbers=False))
    fit(steps=8)
    resumed = fit(checkpoint=str(FOLDER / "last.ckpt"))
    whole = fit()
    print(f"rank {resumed.global_rank}: {len(whole.keys)} samples in two epochs, {len(resumed.keys)} after the resume")
    print("the same as without the break:", resumed.keys == whole.keys[-len(resumed.keys) :], flush=True)


if __name__ == "__main__":
    main()
