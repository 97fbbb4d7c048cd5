"""The identity of a stream names everything that its samples depend on, and nothing else."""

from __future__ import annotations

import json

import pytest

from torch_hdrpatches import HDRPatchDataset, PatchLoader, export
from torch_hdrpatches.errors import ExportError, StateError
from torch_hdrpatches.sampling.fingerprint import identity_of
from torch_hdrpatches.sampling.stream import PatchStream

DRAWS = "category_draws_version"


def identity(recipe):
    stream = PatchStream(recipe)
    return identity_of(stream.recipe, stream.options)


def test_how_categories_are_drawn_counts_only_where_one_has_a_probability(small):
    assert identity(small)[DRAWS] == 2
    small["movies"][0]["categories"] = ["one", "two"]
    assert DRAWS not in identity(small)


def test_an_export_whose_categories_were_drawn_by_an_earlier_version_is_not_continued(small, tmp_path):
    export(small, tmp_path / "out")
    path = tmp_path / "out" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["identity"][DRAWS]  # as earlier versions wrote it
    path.write_text(json.dumps(manifest))
    with pytest.raises(ExportError, match=rf"{DRAWS} \(None -> 2\); export into another folder"):
        export(small, tmp_path / "out")


def test_a_loader_state_whose_categories_were_drawn_by_an_earlier_version_is_refused(small):
    loader = PatchLoader(HDRPatchDataset(small), 4)
    state = json.loads(json.dumps(loader.state_dict()))
    del state["identity"][DRAWS]  # as earlier versions saved it
    with pytest.raises(StateError, match=DRAWS):
        loader.load_state_dict(state)
