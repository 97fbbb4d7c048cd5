"""Follow an export in TensorBoard: ``progress`` is a function that gets the tally after each finished job.

    pip install tensorboard
    python examples/tensorboard_progress.py && tensorboard --logdir runs

The movie is made by the example. To export your own recipe, give its path:

    python examples/tensorboard_progress.py recipe.toml
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from torch_hdrpatches import Recipe, export
from torch_hdrpatches.sampling import Tally
from torch_hdrpatches.testing import MovieSpec, write_movie


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, SummaryWriter("runs/export") as board:

        def show(tally: Tally) -> None:
            for category, samples in tally.by("category").items():
                board.add_scalar(f"samples/{category}", samples, tally.slots)
            for reason, windows in tally.reasons().items():
                board.add_scalar(f"refused/{reason}", windows, tally.slots)
            print(f"{tally.slots} slots, {tally.total} samples")

        recipe = Recipe.load(sys.argv[1]) if sys.argv[1:] else small_recipe(Path(folder))
        export(recipe, "out" if sys.argv[1:] else Path(folder) / "out", progress=show)


def small_recipe(folder: Path) -> Recipe:
    return Recipe.of(
        write_movie(folder / "movie.mkv", MovieSpec(frames=120, cuts=(50, 90), numbers=False)),
        format="patch",
        formats={"patch": {"gt": [144, 144]}},
        sampling={"timestamps_per_movie": 32, "retry_skip": 0.5},
        shards={"runs": 1},
    )


if __name__ == "__main__":
    main()
