"""How often a training program trains, where it saves its state and where it resumes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from .data import BATCHES

EPOCHS = 3
LIMIT = 2
"""Batches per epoch, where epochs are broken off."""

WHOLE, BROKEN_OFF = "three epochs", "broken off"
IN_MID_EPOCH, AT_ITS_END, AFTER_BREAK = "resumed in mid-epoch", "resumed at its end", "broken off, then resumed"


@dataclass(frozen=True)
class Training:
    """One training from a start or a saved state until the last epoch."""

    name: str
    """Of the scenario."""
    recipe: Path
    folder: Path
    """For checkpoints, and for what the ranks tell."""
    steps_per_epoch: int
    limit: int | None = None
    """Batches after which an epoch is broken off."""
    saves_after: tuple[int, ...] = ()
    """Numbers of steps after which the state is saved."""
    resumes_after: int = 0
    """The number of steps after which the state was saved; 0 without a saved state."""

    @property
    def first_epoch(self) -> int:
        return self.resumes_after // min(self.steps_per_epoch, self.limit or self.steps_per_epoch)

    def checkpoint(self, step: int) -> Path:
        return self.folder / f"step-{step}"

    def tell(self, rank: int, batches: list[Any]) -> None:
        """Write what a rank has noted, for ``told``."""
        (self.folder / f"{self.name}.{rank}.json").write_text(json.dumps(batches))


Train: TypeAlias = Callable[[Training], None]


def trainings(recipe: Path, folder: Path, ranks: int, resumes: bool, sets_epoch: bool) -> list[Training]:
    """The trainings of a program, of which the later ones resume from states that the earlier ones saved.

    A loop that does not call ``set_epoch`` goes on with the rest of an epoch that was broken off, so that the last
    training is for the others.
    """
    per_epoch = BATCHES // ranks
    middle, end = per_epoch * 3 // 2, per_epoch * 2
    start = Training(WHOLE, recipe, folder / "whole", per_epoch, saves_after=(middle, end))
    broken = Training(BROKEN_OFF, recipe, folder / "broken", per_epoch, LIMIT, saves_after=(LIMIT,))
    resumed = [
        replace(start, name=IN_MID_EPOCH, saves_after=(), resumes_after=middle),
        replace(start, name=AT_ITS_END, saves_after=(), resumes_after=end),
    ]
    after_break = replace(broken, name=AFTER_BREAK, saves_after=(), resumes_after=LIMIT)
    return [start, broken, *(resumed if resumes else []), *([after_break] if sets_epoch else [])]


def play(
    name: str, train: Train, recipe: Path, folder: Path, ranks: int, resumes: bool = True, sets_epoch: bool = False
) -> None:
    """Train as often as there are trainings, one after the other; ``name`` says with which trainer."""
    for training in trainings(recipe, folder / str(ranks) / name, ranks, resumes, sets_epoch):
        training.folder.mkdir(parents=True, exist_ok=True)
        train(training)


def told(place: Path) -> dict[str, list[list[Any]]]:
    """What the ranks told of one trainer in ``FOLDER/RANKS/NAME``: for every training and rank, its batches."""
    ranks = int(place.parent.name)
    names = {path.name.split(".")[0]: path.parent for path in sorted(place.glob("*/*.*.json"))}
    return {
        name: [json.loads((parent / f"{name}.{rank}.json").read_text()) for rank in range(ranks)]
        for name, parent in names.items()
    }
