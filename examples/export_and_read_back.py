"""Write a movie's patches into WebDataset shards, and read them back: the same samples as live.

python examples/export_and_read_back.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from torch_hdrpatches import HDRPatchDataset, Recipe, export, read_shards
from torch_hdrpatches.testing import MovieSpec, write_movie


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        movie = write_movie(Path(folder) / "movie.mkv", MovieSpec(frames=96, cuts=(40,), numbers=False))
        recipe = Recipe.of(
            movie,
            format="patch",
            formats={"patch": {"gt": [180, 240]}},
            sampling={"timestamps_per_movie": 12, "retry_skip": 0.5},
        )
        tally = export(recipe, Path(folder) / "shards")
        print(f"{tally.total} samples from {tally.slots} slots; refused: {tally.reasons() or 'nothing'}")
        for path in sorted((Path(folder) / "shards").rglob("*.*")):
            print(f"{path.stat().st_size:9,d} bytes  {path.relative_to(folder)}")
        live = {sample["key"]: sample for sample in HDRPatchDataset(recipe)}
        for sample in read_shards(Path(folder) / "shards"):
            same = all(bool((sample[name] == live[sample["key"]][name]).all()) for name in ("gt", "lq"))
            print(sample["key"], tuple(sample["gt"].shape), tuple(sample["lq"].shape), "same as live:", same)


if __name__ == "__main__":
    main()
