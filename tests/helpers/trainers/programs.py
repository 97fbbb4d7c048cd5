"""The commands that start the training programs, and what came of them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .data import BATCHES
from .judge import faults
from .scenarios import told

ROOT = Path(__file__).parents[3]
HERE = "tests.helpers.trainers"
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
TIMEOUT_SECONDS = 580


@dataclass(frozen=True)
class Program:
    """A program that trains with one package, in each of its ways."""

    package: str
    trainings: int
    """How many trainings it makes, counting each trainer, number of ranks and scenario."""
    module: str
    launcher: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "-".join([self.module.removeprefix("with_"), *(["torchrun"] if self.launcher else []), *self.arguments])

    def run(self, recipe: Path, folder: Path) -> dict[tuple[str, str, str], list[str]]:
        """Trainer, ranks and scenario to what is wrong with it.

        Raises:
            RuntimeError: if the program failed; with the end of what it said.
        """
        command = [sys.executable, "-m", *self.launcher, f"{HERE}.{self.module}", str(recipe), str(folder)]
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        ended = subprocess.run(
            [*command, *self.arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        if ended.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{ended.stdout[-3000:]}\n{ended.stderr[-6000:]}")
        return {
            (place.name, place.parent.name, scenario): wrong
            for place in sorted(path for path in folder.glob("[0-9]*/*") if path.is_dir())
            for scenario, wrong in faults(told(place), BATCHES // int(place.parent.name)).items()
        }


PROGRAMS = (
    Program("torchdata", 29, "loops"),
    Program("torchdata", 29, "loops", TORCHRUN),
    Program("lightning", 10, "with_lightning", arguments=("1", "auto")),
    Program("lightning", 10, "with_lightning", arguments=("2", "ddp")),
    Program("lightning", 10, "with_lightning", arguments=("2", "ddp_fork")),
    Program("accelerate", 14, "with_accelerate"),
    Program("accelerate", 14, "with_accelerate", TORCHRUN),
    Program("ray", 12, "with_ray", arguments=("1", "2")),
)
