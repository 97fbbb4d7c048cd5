"""Trains by Lightning, which starts the ranks itself.

python -m tests.helpers.trainers.with_lightning RECIPE FOLDER RANKS STRATEGY
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from torch_hdrpatches import PatchLoader

from .data import Net, loss_of, noted, patch_loader
from .scenarios import EPOCHS, Training, play


class Module(lightning.LightningModule):
    """Notes every batch, and tells them at the end of the training: the ranks may be processes of their own."""

    def __init__(self, training: Training) -> None:
        super().__init__()
        self.net, self.training_of, self.batches = Net(), training, []

    def training_step(self, batch: Any, index: int) -> Tensor:
        self.batches.append(noted(batch))
        return loss_of(self.net, batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 1e-3)

    def on_train_end(self) -> None:
        self.training_of.tell(self.global_rank, self.batches)


class Data(lightning.LightningDataModule):
    def __init__(self, recipe: Path) -> None:
        super().__init__()
        self.recipe = recipe

    def train_dataloader(self) -> PatchLoader:
        return patch_loader(self.recipe, num_workers=1)


def train(training: Training, ranks: int, strategy: str, by_module: bool) -> None:
    """Checkpoints are saved by steps; with ``by_module``, those at the end of an epoch by epochs."""
    keeps = {"dirpath": training.folder, "auto_insert_metric_name": False, "save_top_k": -1}
    saves = []
    for step in training.saves_after:
        at_end = by_module and not step % training.steps_per_epoch
        when = {"every_n_epochs": step // training.steps_per_epoch} if at_end else {"every_n_train_steps": step}
        saves.append(ModelCheckpoint(filename="step-{step}", save_on_train_epoch_end=at_end, **when, **keeps))
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=ranks,
        strategy=strategy,
        max_epochs=EPOCHS,
        limit_train_batches=training.limit,
        callbacks=saves,
        enable_checkpointing=bool(saves),
        default_root_dir=training.folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    checkpoint = f"{training.checkpoint(training.resumes_after)}.ckpt" if training.resumes_after else None
    data = {"datamodule": Data(training.recipe)} if by_module else {"train_dataloaders": patch_loader(training.recipe)}
    trainer.fit(Module(training), ckpt_path=checkpoint, **data)


def main() -> None:
    torch.set_num_threads(1)
    recipe, folder, ranks, strategy = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    for name, by_module in (("loader made before fit", False), ("LightningDataModule", True)):
        one = partial(train, ranks=ranks, strategy=strategy, by_module=by_module)
        play(f"Lightning ({strategy}), {name}", one, recipe, folder, ranks, sets_epoch=True)


if __name__ == "__main__":
    main()
