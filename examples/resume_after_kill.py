"""Training that is killed goes on where it stopped: the rest is bit for bit what it would have been.

    python examples/resume_after_kill.py

A training process saves the loader's state after every batch, as checkpoints do, and is killed with SIGKILL. Another
goes on from its last state, with another number of workers.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

from torch_hdrpatches import HDRPatchDataset, PatchLoader, Recipe
from torch_hdrpatches.testing import MovieSpec, write_movie


def loader_of(recipe: Recipe, num_workers: int) -> PatchLoader:
    return PatchLoader(HDRPatchDataset(recipe), batch_size=4, num_workers=num_workers)


def name_of(batch: Any) -> str:
    return hashlib.sha256(batch["gt"].contiguous().numpy()).hexdigest()[:8]


def train(recipe: Recipe, checkpoint: Path) -> None:
    loader = loader_of(recipe, num_workers=1)
    for number, batch in enumerate(loader):
        print(f"batch {number}: {name_of(batch)}", flush=True)
        partial = checkpoint.with_suffix(".tmp")
        partial.write_text(json.dumps(loader.state_dict()))
        partial.replace(checkpoint)  # a checkpoint is whole or not there
        time.sleep(0.1)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        movie = write_movie(Path(folder) / "movie.mkv", MovieSpec(frames=96, numbers=False))
        formats = {"patch": {"gt": [144, 144]}}
        recipe = Recipe.of(movie, format="patch", formats=formats, sampling={"timestamps_per_movie": 48})
        whole = [name_of(batch) for batch in loader_of(recipe, num_workers=0)]

        checkpoint = Path(folder) / "checkpoint.json"
        training = multiprocessing.get_context("spawn").Process(target=train, args=(recipe, checkpoint))
        training.start()
        while not checkpoint.exists() or json.loads(checkpoint.read_text())["batches"] < 4:
            time.sleep(0.01)
        training.kill()
        training.join()

        state = json.loads(checkpoint.read_text())
        print(f"killed; {len(json.dumps(state))} bytes of state say that {state['batches']} batches are done")
        loader = loader_of(recipe, num_workers=2)
        loader.load_state_dict(state)
        rest = [name_of(batch) for batch in loader]
        print(f"the other {len(rest)}: {' '.join(rest)}")
        print("the same as without the kill:", rest == whole[state["batches"] :])


if __name__ == "__main__":
    main()
