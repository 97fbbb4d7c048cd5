"""An HLG colour chart filmed by a phone agrees with its rendering by another library."""

from __future__ import annotations

import os
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from torch_hdrpatches.color import Grader, ToneSettings
from torch_hdrpatches.color.formulas import inverse_oetf_hlg, rgb_to_rgb
from torch_hdrpatches.frames import Box
from torch_hdrpatches.probe import open_movie

REFERENCE_WHITE = 0.265
"""Scene light of HLG signal 0.75, the graphics white, which the golden frame shows as full white."""
PATCH = 40


@pytest.fixture(scope="module")
def rendered() -> np.ndarray:
    """float64 (H, W, 3) in 0..1: our signal of the first frame, rendered by the other library's formula for HLG."""
    folder = os.environ.get("HDRPATCHES_CLIPS")
    if not folder:
        pytest.skip("HDRPATCHES_CLIPS does not name the folder of clips")
    with open_movie(str(Path(folder) / "hlg_hevc_color_test_1080p.mp4")) as movie:
        facts = movie.facts
        grader = Grader(facts.tags, facts.bits, ToneSettings(), 1000.0)
        signal = grader.signal(movie.window(0.0, 1).frames, Box(0, 0, facts.height, facts.width))[0] / 65535
    light = inverse_oetf_hlg(signal) @ rgb_to_rgb("bt2020", "bt709").T / REFERENCE_WHITE
    shown = light.clip(0, 1)
    return np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)


@pytest.fixture(scope="module")
def golden(rendered) -> np.ndarray:
    """The same frame as rendered by the Android media library."""
    data = (Path(os.environ["HDRPATCHES_CLIPS"]) / "golden_hlg10_color_test_frame0.png").read_bytes()
    return imagecodecs.png_decode(data)[..., :3] / 65535


def test_the_whole_frame_agrees(rendered, golden):
    error = np.mean((rendered - golden) ** 2)
    assert -10 * np.log10(error) > 35.5  # another transfer, matrix, range or gamut gives 17 to 29 dB


def test_the_colour_of_each_flat_patch_agrees(rendered, golden):
    differences, spreads = [], []
    for top in range(0, 1080 - PATCH, PATCH):
        for left in range(0, 1920 - PATCH, PATCH):
            ours, theirs = (frame[top : top + PATCH, left : left + PATCH] for frame in (rendered, golden))
            if theirs.std(axis=(0, 1)).max() < 0.02 and theirs.max() < 0.98:  # a flat patch that is not clipped
                differences.append(np.abs(ours.mean(axis=(0, 1)) - theirs.mean(axis=(0, 1))).max())
                spreads.append(theirs.mean(axis=(0, 1)))
    assert len(differences) > 50, "too few flat patches in the chart"
    assert np.ptp(np.array(spreads), axis=0).min() > 0.3, "too few different colours"
    assert np.percentile(differences, 90) < 5 / 255
