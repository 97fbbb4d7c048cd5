"""Use your own tone curve: pass a function of light.

    python examples/own_tone_curve.py

Writes own_tone_curve.png: the same crops with the curve of the recipe and with the function.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from torch_hdrpatches import HDRPatchDataset, Recipe
from torch_hdrpatches.testing import MovieSpec, write_movie


def filmic(light: np.ndarray, peak: float) -> np.ndarray:
    """Reinhard's extended curve: light in units of reference white, up to ``peak``, to 0..1."""
    return light * (1 + light / peak**2) / (1 + light)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe.of(
            write_movie(Path(folder) / "movie.mkv", MovieSpec(frames=72, cuts=(24, 48), numbers=False)),
            format="patch",
            formats={"patch": {"gt": [300, 300]}},
            sampling={"timestamps_per_movie": 4, "retry_skip": 0.3},
        )
        mobius, mine = list(HDRPatchDataset(recipe)), list(HDRPatchDataset(recipe, curve=filmic))
    for before, after in zip(mobius, mine, strict=True):
        names = before["tonemap"]["curve"], after["tonemap"]["curve"]
        means = before["gt"].float().mean(), after["gt"].float().mean()
        same = before["crop"] == after["crop"]
        print(f"mean code {means[0]:.0f} with {names[0]}, {means[1]:.0f} with {names[1]}; same crop: {same}")
    rows = [torch.cat([sample["gt"] for sample in samples], dim=2) for samples in (mobius, mine)]
    Image.fromarray(torch.cat(rows, dim=1).permute(1, 2, 0).numpy()).save("own_tone_curve.png")
    print("look at own_tone_curve.png: mobius above, filmic below")


if __name__ == "__main__":
    main()
