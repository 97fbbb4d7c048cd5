"""What notebooks show: the true frames and counts, in HTML that no name of a movie can break."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import default_collate

from torch_hdrpatches import HDRPatchDataset, PatchLoader, export, read_shards
from torch_hdrpatches.loading.adapters import unit
from torch_hdrpatches.sampling.notebook import CELL, MOST_SAMPLES, table
from torch_hdrpatches.sampling.sample import SampleDict

HOSTILE = '<script>alert("x")</script>'


def pictures(html: str) -> list[np.ndarray]:
    """The pixels of all pictures, uint8 (H, W, 4)."""
    uris = re.findall(r'src="data:image/webp;base64,([^"]+)"', html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(uri))).convert("RGBA")) for uri in uris]


def without_styles(html: str) -> str:
    return re.sub(r' style="[^"]*"', "", html)


def of_colours(**fields: object) -> SampleDict:
    """A sample with a red ``gt`` and seven green ``lq`` frames."""
    gt, lq = torch.zeros(3, 96, 96, dtype=torch.uint8), torch.zeros(7, 3, 32, 32, dtype=torch.uint8)
    gt[0], lq[:, 1] = 200, 200
    return SampleDict({"key": "k", "gt": gt, "lq": lq, "movie": "m", "seconds": 1.25, **fields})


def test_a_sample_shows_gt_and_then_its_frames():
    (picture,) = pictures(of_colours()._repr_html_())
    row = picture[CELL // 2]
    assert np.abs(row[: CELL - 2].astype(int) - (200, 0, 0, 255)).max() < 12
    green = np.abs(row.astype(int) - (0, 200, 0, 255)).max(axis=1) < 12
    assert 7 * CELL - 60 < green.sum() <= 7 * CELL + 60  # seven frames, blurred at their edges


def test_a_batch_shows_its_first_samples_and_counts_the_others():
    batch = default_collate([of_colours(key=f"key-{number}") for number in range(MOST_SAMPLES + 3)])
    html = batch._repr_html_()
    assert len(pictures(html)) == MOST_SAMPLES
    assert "key-0" in html
    assert f"key-{MOST_SAMPLES}" not in html
    assert "and 3 more" in html
    assert "m at 1.250 s" in html


@pytest.mark.parametrize("output", ["sdr", "hdr", "both"])
@pytest.mark.parametrize("gt", ["centre", "sequence"])
def test_every_output_is_shown_and_signal_looks_like_its_sdr(small, output, gt):
    sdr = next(iter(HDRPatchDataset(small)))
    shown = next(iter(HDRPatchDataset(small, output=output, gt=gt)))
    (expected,), (picture,) = pictures(sdr._repr_html_()), pictures(shown._repr_html_())
    assert np.abs(picture.astype(int) - expected).mean() < 3


def test_floating_point_is_shown_from_0_to_1():
    codes = of_colours()
    floats = codes | {name: unit(codes[name]) for name in ("gt", "lq")}
    (expected,), (picture,) = pictures(codes._repr_html_()), pictures(SampleDict(floats)._repr_html_())
    assert np.abs(picture.astype(int) - expected).mean() < 1


@pytest.mark.parametrize(
    "fields",
    [{"lq": torch.zeros(5)}, {"gt": 3}, {"lq": torch.zeros(2, 2, 2, 3, 4, 4)}, {"gt": torch.zeros(1, 8, 8)}],
)
def test_what_holds_no_frames_is_left_out(fields):
    assert len(pictures(of_colours(**fields)._repr_html_())) == 1
    assert SampleDict(fields)._repr_html_().startswith("<div>")


def test_names_cannot_break_the_page(small):
    sample = of_colours(key=HOSTILE, movie=HOSTILE, category=HOSTILE, format=HOSTILE)
    for html in (sample._repr_html_(), default_collate([sample])._repr_html_(), table([HOSTILE], [[HOSTILE]])):
        assert "<script" not in html
        assert "&lt;script&gt;" in html


def test_a_dataset_shows_its_plan_without_opening_a_movie(small, tmp_path):
    for movie in small["movies"]:
        movie["path"] = str(tmp_path / f"{movie['name']}.mkv")
        (tmp_path / f"{movie['name']}.mkv").write_bytes(b"no movie")
    dataset = HDRPatchDataset(small, epoch=3)
    assert repr(dataset) == "<HDRPatchDataset: movies=2, slots=40, output='sdr', gt='centre', epoch=3>"
    html = without_styles(dataset._repr_html_())
    assert "<td>first, second</td>" in html
    assert "<td>one</td><td>40</td><td>a 24, b 16</td>" in html
    assert "<td>two</td><td>30</td><td>a 15, c 15</td>" in html


def test_a_loader_shows_its_position(small):
    loader = PatchLoader(HDRPatchDataset(small), 4)
    batches = iter(loader)
    next(batches)
    next(batches)
    assert repr(loader).startswith("<PatchLoader: batch_size=4, num_workers=0, epoch=0, batches_given=2, <HDRPatch")
    assert f"epoch 0, 2 of {len(loader)} batches are given" in loader._repr_html_()
    batches.close()


def test_a_tally_and_stored_samples_show_their_counts(small, tmp_path):
    tally = export(small, tmp_path / "out", limit=5)
    tally.failures["gone"] = "no such file"
    assert repr(tally).startswith(f"<Tally: 10 samples from {tally.slots} slots; one 5, two 5; ")
    assert repr(tally).endswith("; failed: gone>")
    html = without_styles(tally._repr_html_())
    assert "<td>gone</td><td>no such file</td>" in html
    stored = read_shards(tmp_path / "out")
    assert repr(stored) == "<ShardDataset: samples=10, shards=2, seed=0, epoch=0>"
    for (fmt, category), count in stored.buckets(by_category=True).items():
        assert f"<td>{category}</td><td>{fmt}</td><td>{count}</td>" in html
        assert f"<td>{fmt}</td><td>{category}</td><td>{count}</td>" in without_styles(stored._repr_html_())
