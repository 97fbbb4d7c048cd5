"""Export patches into WebDataset shards, and read them with this package, with webdataset, and with both.

python examples/read_shards_back.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import webdataset as wds

from torch_hdrpatches import HDRPatchDataset, PatchLoader, Recipe, export, read_shards
from torch_hdrpatches.shards import decode
from torch_hdrpatches.testing import MovieSpec, write_movie


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe.of(
            write_movie(Path(folder) / "movie.mkv", MovieSpec(frames=96, cuts=(40,), numbers=False)),
            format="patch",
            formats={"patch": {"gt": [180, 240]}},
            sampling={"timestamps_per_movie": 12, "retry_skip": 0.5},
        )
        shards = Path(folder) / "shards"
        tally = export(recipe, shards)
        print(f"{tally.total} samples from {tally.slots} slots; refused: {tally.reasons() or 'nothing'}")

        # With this package: the same dicts as live, with resume, ranks, and batches of one format.
        for batch in PatchLoader(read_shards(shards), batch_size=4):
            print("read_shards:", tuple(batch["lq"].shape), tuple(batch["gt"].shape), batch["key"][0])

        # With webdataset and our decoder: the same dicts in a pipeline of webdataset.
        live = {sample["key"]: sample for sample in HDRPatchDataset(recipe)}
        tars = sorted(str(path) for path in shards.rglob("*.tar"))
        for sample in wds.WebDataset(tars, shardshuffle=False).map(decode):
            same = bool((sample["lq"] == live[sample["key"]]["lq"]).all())
            print("shards.decode:", tuple(sample["lq"].shape), sample["key"], "same as live:", same)

        # Without this package: lq is one image, in which the seven frames are stacked from top to bottom.
        stock = wds.WebDataset(tars, shardshuffle=False).decode("torchrgb8")
        for gt, stack, fields in stock.to_tuple("gt.png", "lq.png", "json"):
            lq = stack.unflatten(1, (7, -1)).transpose(0, 1)
            same = bool((lq == live[fields["key"]]["lq"]).all() and (gt == live[fields["key"]]["gt"]).all())
            print("webdataset:", tuple(lq.shape), tuple(gt.shape), fields["key"], "same as live:", same)


if __name__ == "__main__":
    main()
