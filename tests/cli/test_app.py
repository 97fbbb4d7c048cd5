"""Commands print one clear message, and end with the documented exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from torch_hdrpatches.frames import ColorTags
from torch_hdrpatches.testing import MovieSpec, write_movie


def hdrpatches(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch_hdrpatches.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=240)


@pytest.fixture
def recipe_file(recipe: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(recipe))
    return path


def test_export_prints_the_tally_and_tally_prints_it_again(recipe_file, tmp_path):
    exported = hdrpatches("export", recipe_file, tmp_path / "out")
    assert exported.returncode == 0, exported.stderr
    assert "17 slots" in exported.stdout
    again = hdrpatches("tally", tmp_path / "out")
    assert again.stdout == exported.stdout


def test_a_movie_that_fails_makes_exit_code_3_and_is_named(recipe, recipe_file, tmp_path):
    (tmp_path / "bad.mkv").write_bytes(b"nothing")
    recipe["movies"].append({"path": str(tmp_path / "bad.mkv"), "categories": ["master"]})
    recipe_file.write_text(json.dumps(recipe))
    exported = hdrpatches("export", recipe_file, tmp_path / "out")
    assert exported.returncode == 3
    assert "bad" in exported.stdout
    movies = json.loads((tmp_path / "out" / "manifest.json").read_text())["movies"]
    assert {name: bool(movie["failure"]) for name, movie in movies.items()} == {"pq": False, "hlg": False, "bad": True}
    assert "bad.mkv" in movies["bad"]["failure"]


def spoiled(recipe: dict[str, Any], mistake: str) -> dict[str, Any]:
    if mistake == "typo":
        return recipe | {"samplng": {}}
    if mistake == "missing movie":
        recipe["movies"][0]["path"] = "gone.mkv"
    if mistake == "two movies of one name":
        recipe["movies"][1] |= {"name": "pq"}
    if mistake == "unknown category":
        recipe["movies"][0]["categories"] = ["spaec"]
    if mistake == "format larger than the frame":
        recipe["formats"]["square"]["gt"] = [1200, 1200]
    return recipe


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        ("typo", ["samplng", "unknown key", "sampling"]),
        ("missing movie", ["movies.0.path", "gone.mkv", "correct the path"]),
        ("two movies of one name", ["movies.1", "pq.mkv", "hlg.mp4", "both named 'pq'", "another `name`"]),
        ("unknown category", ["movies.0.categories", "spaec", "space"]),
        ("format larger than the frame", ["formats.square.gt", "1200x1200", "frame_size", "smaller"]),
    ],
)
def test_a_mistake_in_the_recipe_is_one_message_and_exit_code_2(recipe, recipe_file, tmp_path, mistake, words):
    recipe_file.write_text(json.dumps(spoiled(recipe, mistake)))
    exported = hdrpatches("export", recipe_file, tmp_path / "out")
    assert exported.returncode == 2
    assert all(word in exported.stderr for word in words), exported.stderr
    assert "Traceback" not in exported.stderr
    assert len(exported.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_wrong_arguments_are_exit_code_2():
    asked = hdrpatches("export")
    assert asked.returncode == 2
    assert "Traceback" not in asked.stderr


def test_a_missing_recipe_is_exit_code_2(tmp_path):
    asked = hdrpatches("export", tmp_path / "none.toml", tmp_path / "out")
    assert (asked.returncode, "none.toml" in asked.stderr) == (2, True)


def test_probe_lists_usable_and_refused_movies(movies, tmp_path):
    (tmp_path / "bad.mkv").write_bytes(b"nothing")
    probed = hdrpatches("probe", movies / "pq.mkv", tmp_path / "bad.mkv")
    assert probed.returncode == 3
    assert "1 usable, 1 refused" in probed.stdout
    assert "Traceback" not in probed.stdout + probed.stderr


def test_probe_as_json_tells_what_is_usable_with_an_assumption(tmp_path):
    unknown = ColorTags("unknown", "unknown", "unknown", "tv")
    write_movie(tmp_path / "untagged.mkv", MovieSpec(height=96, width=128, frames=9, tags=unknown))
    write_movie(tmp_path / "tagged.mkv", MovieSpec(height=96, width=128, frames=9))
    constant = ColorTags("unknown", "unknown", "bt2020c", "tv")
    write_movie(tmp_path / "constant.mkv", MovieSpec(height=96, width=128, frames=9, tags=constant))
    probed = hdrpatches("probe", "--json", *sorted(tmp_path.iterdir()))
    found = json.loads(probed.stdout)
    assert [verdict["status"] for verdict in found] == ["refused", "usable", "usable with assume"]
    assert "BT.2020 constant luminance" in found[0]["verdict"]
    assert found[1]["facts"]["tags"]["transfer"] == "pq"
    assert 'assume = { transfer = "pq"' in found[2]["remedy"]


def test_preview_draws_a_contact_sheet_of_a_recipe(recipe_file, tmp_path):
    drawn = hdrpatches("preview", recipe_file, "-o", tmp_path / "sheet.png")
    assert drawn.returncode == 0, drawn.stderr
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert min(sheet.size) > 500


def test_the_version_is_printed():
    asked = hdrpatches("--version")
    assert (asked.returncode, asked.stdout.strip()) == (0, f"torch_hdrpatches {version('torch_hdrpatches')}")
