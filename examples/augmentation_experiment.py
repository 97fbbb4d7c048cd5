"""Compare three degradations on the same crops.

    python examples/augmentation_experiment.py

The random numbers of a sample do not depend on the degradation, so that all runs have the same crops. Writes
augmentation_experiment.png: one sample per row, with its ground truth and its three low-quality versions.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont

from torch_hdrpatches import HDRPatchDataset, Recipe
from torch_hdrpatches.testing import MovieSpec, write_movie
from torch_hdrpatches.transforms import BI, Chain, VideoCodec, second_order

DEGRADATIONS = {
    "BI: bicubic": BI(),
    "BI, then H.264": Chain(after=(VideoCodec("libx264", crf=(30, 35)),)),
    "Real-ESRGAN, second order": second_order(),
}
SIDE, GAP, TITLE = 324, 12, 40


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe.of(
            write_movie(Path(folder) / "movie.mkv", MovieSpec(frames=96, cuts=(24, 48, 72), numbers=False)),
            format="patch",
            formats={"patch": {"gt": [SIDE, SIDE]}},
            sampling={"timestamps_per_movie": 4, "retry_skip": 0.3},
            crop={"candidates": 4},
        )
        runs = {name: list(HDRPatchDataset(recipe, degrade=degrade)) for name, degrade in DEGRADATIONS.items()}
    first = next(iter(runs.values()))
    for name, samples in runs.items():
        same = all(
            a["crop"] == b["crop"] and torch.equal(a["gt"], b["gt"]) for a, b in zip(first, samples, strict=True)
        )
        print(f"{name}: the crops and ground truths of {len(samples)} samples are the same: {same}")
    sheet_of(runs).save("augmentation_experiment.png")
    print("look at augmentation_experiment.png")


def sheet_of(runs: dict[str, list[Any]]) -> Image.Image:
    columns = {"ground truth": [sample["gt"] for sample in next(iter(runs.values()))]}
    columns |= {name: [sample["lq"][3] for sample in samples] for name, samples in runs.items()}
    rows = len(columns["ground truth"])
    sheet = Image.new("RGB", (len(columns) * (SIDE + GAP) + GAP, rows * (SIDE + GAP) + TITLE), "white")
    draw = ImageDraw.Draw(sheet)
    for column, (name, patches) in enumerate(columns.items()):
        left = GAP + column * (SIDE + GAP)
        draw.text((left, TITLE // 2), name, "black", ImageFont.load_default(22), anchor="lm")
        for row, patch in enumerate(patches):
            shown = Image.fromarray(patch.permute(1, 2, 0).numpy()).resize((SIDE, SIDE), Image.Resampling.NEAREST)
            sheet.paste(shown, (left, TITLE + row * (SIDE + GAP)))
    return sheet


if __name__ == "__main__":
    main()
