"""A category gets exactly its target, with any number of workers and any share of refused patches."""

from __future__ import annotations

import hashlib
import json
from functools import partial

import pytest

from tests.helpers.exports import differing, tree
from torch_hdrpatches import export, read_shards
from torch_hdrpatches.sampling import Sample


def accepted(share: float, sample: Sample) -> bool:
    """Depends on the key only, so that a refused patch is always refused."""
    return hashlib.sha256(sample["key"].encode()).digest()[0] >= 256 * share


@pytest.mark.parametrize("refused", [0.0, 0.3, 0.9])
def test_targets_are_met_exactly_by_any_number_of_workers(three, tmp_path, refused):
    three["categories"]["two"]["target"] = 21
    three["categories"]["three"]["target"] = 5
    for workers in (1, 2, 7):
        out = tmp_path / str(workers)
        tally = export(three, out, workers=workers, accept=partial(accepted, refused))
        counts = tally.by("category")
        assert (counts["two"], counts["three"]) == (21, 5)
        keys = [sample["key"] for sample in read_shards(out)]
        assert len(keys) == len(set(keys)) == tally.total
        assert differing(tree(out), tree(tmp_path / "1")) == []
    manifest = json.loads((tmp_path / "7" / "manifest.json").read_text())
    assert manifest["targets"] == {"one": 0, "two": 21, "three": 5}
    assert (manifest["epochs"] > 2) == (refused == 0.9)
