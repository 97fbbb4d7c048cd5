"""``hdrpatches bench`` measures rates by number of workers, decoding, and shard codecs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from torch_hdrpatches import Recipe
from torch_hdrpatches.analysis.bench import Bench, Rate, bench
from torch_hdrpatches.errors import MovieError, NoSamplesError


def test_every_number_of_workers_and_the_default_codec_is_measured(small):
    small["sampling"]["timestamps_per_movie"] = 200
    found = bench(Recipe.from_dict(small), seconds=1.0)
    assert [rate.workers for rate in found.rates][:2] == [0, 1]
    assert found.rates[-1].workers == max(1, os.cpu_count() or 1)
    assert all(rate.samples_per_second > 0 and rate.samples >= 12 for rate in found.rates)
    assert 0 < found.decode_ms < found.live_ms
    assert "png" in {cost.codec for cost in found.codecs}
    assert json.loads(json.dumps(found.to_json()))["recommended_workers"] == found.best.workers


def test_the_fewest_workers_near_the_highest_rate_are_recommended():
    rates = tuple(Rate(workers, rate, 100) for workers, rate in ((0, 50.0), (1, 30.0), (2, 97.0), (4, 100.0)))
    assert Bench(4, 1.0, 2.0, 1, 10, rates, ()).best.workers == 2


def test_too_few_samples_are_an_error(small):
    small["sampling"]["timestamps_per_movie"] = 2
    with pytest.raises(NoSamplesError, match="too few"):
        bench(Recipe.from_dict(small), seconds=0.1)


def test_a_broken_movie_is_an_error(tmp_path):
    (tmp_path / "broken.mkv").write_bytes(b"nothing")
    with pytest.raises(MovieError, match=r"broken\.mkv"):
        bench(Recipe.of(tmp_path / "broken.mkv"))


def test_the_command_fails_if_no_patch_fits(small_movies):
    command = [sys.executable, "-m", "torch_hdrpatches.cli", "bench", "--seconds", "0.3"]
    movies = [str(path) for path in sorted(small_movies.glob("*.mkv"))]
    refused = subprocess.run([*command, *movies], capture_output=True, text=True, check=False)
    assert refused.returncode == 1, "patches of 540 pixels do not fit into 96x128"
    assert "no sample" in refused.stderr
