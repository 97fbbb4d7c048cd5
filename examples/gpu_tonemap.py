"""Tone-map HDR batches in the training loop with a compiled ``ToneMap``, on the GPU if there is one.

    python examples/gpu_tonemap.py

The loader gives HDR signal. The tone curve is chosen in the training loop and can differ by batch.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch

from torch_hdrpatches import HDRPatchDataset, PatchLoader, Recipe, ToneMap
from torch_hdrpatches.testing import MovieSpec, write_movie


def main() -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    uncompiled = ToneMap("pq", "bt2390", reference_white=203.0, peak=1000.0).to(device)  # gives float32 in 0..1
    tonemap = torch.compile(uncompiled, dynamic=True)
    try:
        tonemap(torch.zeros(4, 3, 60, 60, device=device))
    except RuntimeError as error:  # torch.compile needs a C++ compiler for the CPU, Triton for CUDA
        print(f"torch.compile failed, continue without it: {type(error).__name__}")
        tonemap = uncompiled
    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe.of(
            write_movie(Path(folder) / "movie.mkv", MovieSpec(frames=72, numbers=False)),
            format="patch",
            formats={"patch": {"gt": [180, 180]}},
            sampling={"timestamps_per_movie": 16},
        )
        for batch in PatchLoader(HDRPatchDataset(recipe, output="hdr"), batch_size=4, pin_memory=True):
            lq, gt = batch["lq"].to(device, non_blocking=True), batch["gt"].to(device, non_blocking=True)
            began = time.perf_counter()
            lq, gt = tonemap(lq.flatten(0, 1)).unflatten(0, (-1, 7)), tonemap(gt)
            mean = gt.mean().item()  # waits for the device
            spent = 1000 * (time.perf_counter() - began)
            print(f"{device}: lq {tuple(lq.shape)} and gt {tuple(gt.shape)} in {spent:.1f} ms, mean {mean:.3f}")


if __name__ == "__main__":
    main()
