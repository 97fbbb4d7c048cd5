"""Get HDR and SDR samples from one decode, for joint super-resolution and inverse tone mapping.

    python examples/hdr_and_sdr_pairs.py

The input of the network is low-quality SDR, its target is high-resolution HDR.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from torch_hdrpatches import HDRPatchDataset, PatchLoader, Recipe, ToneMap
from torch_hdrpatches.loading.adapters import unit
from torch_hdrpatches.testing import MovieSpec, write_movie


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe.of(
            write_movie(Path(folder) / "movie.mkv", MovieSpec(frames=72, numbers=False)),
            format="patch",
            formats={"patch": {"gt": [180, 240]}},
            sampling={"timestamps_per_movie": 8},
        )
        loader = PatchLoader(HDRPatchDataset(recipe, output="both", gt="sequence"), batch_size=4)
        batch = next(iter(loader))
        for name in ("lq", "gt", "lq_hdr", "gt_hdr"):
            print(f"{name:7} {batch[name].dtype} {tuple(batch[name].shape)}")
        sdr, hdr = unit(batch["lq"]), unit(batch["gt_hdr"])  # float32 in 0..1, for a network
        print(f"input {tuple(sdr.shape)} SDR, target {tuple(hdr.shape)} PQ signal in BT.2020")
        tonemap = ToneMap("pq", peak=float(batch["tonemap"]["peak"][0]), dtype=torch.uint8)
        difference = (tonemap(batch["gt_hdr"]).int() - batch["gt"].int()).abs().max().item()
        print(f"gt_hdr, tone-mapped by ToneMap, is gt within {difference} code")


if __name__ == "__main__":
    main()
