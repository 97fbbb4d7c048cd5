"""Resume training after it was killed: the remaining batches are the same, bit for bit.

    python examples/resume_after_kill.py

A training process saves the loader's state after every batch, and is killed with SIGKILL. A second process resumes from
the last state, with another number of workers.
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


def digest(batch: Any) -> str:
    return hashlib.sha256(batch["gt"].contiguous().numpy()).hexdigest()[:8]


def train(recipe: Recipe, checkpoint: Path) -> None:
    loader = loader_of(recipe, num_workers=1)
    for number, batch in enumerate(loader):
        print(f"batch {number}: {digest(batch)}", flush=True)
        partial = checkpoint.with_suffix(".tmp")
        partial.write_text(json.dumps(loader.state_dict()))
        partial.replace(checkpoint)  # so that a checkpoint is never incomplete
        time.sleep(0.1)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        movie = write_movie(Path(folder) / "movie.mkv", MovieSpec(frames=96, numbers=False))
        formats = {"patch": {"gt": [144, 144]}}
        recipe = Recipe.of(movie, format="patch", formats=formats, sampling={"timestamps_per_movie": 48})
        whole = [digest(batch) for batch in loader_of(recipe, num_workers=0)]

        checkpoint = Path(folder) / "checkpoint.json"
        training = multiprocessing.get_context("spawn").Process(target=train, args=(recipe, checkpoint))
        training.start()
        while not checkpoint.exists() or json.loads(checkpoint.read_text())["batches"] < 4:
            time.sleep(0.01)
        training.kill()
        training.join()

        state = json.loads(checkpoint.read_text())
        print(f"killed after {state['batches']} batches; the saved state has {len(json.dumps(state))} bytes")
        loader = loader_of(recipe, num_workers=2)
        loader.load_state_dict(state)
        rest = [digest(batch) for batch in loader]
        print(f"the {len(rest)} remaining batches: {' '.join(rest)}")
        print("the same as without the kill:", rest == whole[state["batches"] :])


if __name__ == "__main__":
    main()
