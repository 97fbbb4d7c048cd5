"""Helpers for tests of exports: a small recipe that needs several epochs, and the files of a folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from torch_hdrpatches.shards.record import records
from torch_hdrpatches.testing import MovieSpec, write_movie


def tree(folder: Path) -> dict[str, bytes]:
    """The bytes of every file; the manifest without its time."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    manifest = json.loads(files["manifest.json"])
    assert manifest.pop("created")
    return files | {"manifest.json": json.dumps(manifest).encode()}


def differing(found: dict[str, bytes], wanted: dict[str, bytes]) -> list[str]:
    """The files that are missing in one of two trees, or differ."""
    return sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))


def three_movies(folder: Path) -> dict[str, Any]:
    """A recipe of three movies of 96x128, written below ``folder``: three categories, three formats, two targets."""
    for seed in (1, 2, 3):
        write_movie(folder / f"{seed}.mkv", MovieSpec(height=96, width=128, frames=64, cuts=(30,), seed=seed))
    return {
        "sampling": {"timestamps_per_movie": 16, "retry_skip": 0.3, "jitter": 1.0},
        "shards": {"runs": 1},
        "formats": {"a": {"gt": [48, 48]}, "b": {"gt": [36, 60]}, "c": {"gt": [60, 36]}},
        "categories": {
            "one": {"formats": {"a": 0.6, "b": 0.4}},
            "two": {"target": 50, "formats": {"a": 0.5, "c": 0.5}},
            "three": {"target": 30, "formats": {"b": 1.0}},
        },
        "movies": [
            {"path": str(folder / "1.mkv"), "name": "first", "categories": {"one": 1.0, "two": 0.5}},
            {"path": str(folder / "2.mkv"), "name": "second", "categories": ["one", "two"]},
            {"path": str(folder / "3.mkv"), "name": "third", "categories": ["three", "two"]},
        ],
    }


def check_finished_files(folder: Path) -> int:
    """Check that every file with its final name is complete; returns the number of tars.

    Raises:
        AssertionError: names an incomplete file.
    """
    tars = [path for path in folder.glob("[!.]*/*.tar") if not path.name.startswith(".")]
    for tar in tars:
        data = tar.read_bytes()
        assert data.endswith(bytes(1024)), f"{tar} does not end as tars do"
        with tar.open("rb") as file:
            found = [key for key, _ in records(file, str(tar))]
        sidecar = tar.with_suffix(".json")
        if sidecar.exists():
            fields = json.loads(sidecar.read_text())
            assert fields["sha256"] == hashlib.sha256(data).hexdigest(), f"{tar} contradicts {sidecar}"
            assert (fields["samples"], fields["bytes"]) == (len(found), len(data)), tar
    for sidecar in folder.glob("[!.]*/*-[0-9]*.json"):
        assert not json.loads(sidecar.read_text())["samples"] or sidecar.with_suffix(".tar").exists(), sidecar
    if (folder / "manifest.json").exists():
        for shard in json.loads((folder / "manifest.json").read_text())["shards"]:
            assert hashlib.sha256((folder / shard["name"]).read_bytes()).hexdigest() == shard["sha256"], shard
    return len(tars)
