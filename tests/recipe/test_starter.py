"""A starter recipe for files and folders works as it is, and says what it left out and why."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from torch_hdrpatches import HDRPatchDataset, Recipe
from torch_hdrpatches.errors import NoSamplesError, RecipeError
from torch_hdrpatches.recipe.starter import starter
from torch_hdrpatches.recipe.toml import recipe_toml, toml_text
from torch_hdrpatches.testing import MovieSpec, write_movie


@pytest.fixture
def library(movies: Path, tmp_path: Path) -> Path:
    """space/pq.mkv, toon/pq.mkv, one in no folder, one too short, one that is no movie, and a text."""
    folder = tmp_path / "library"
    for place in ("space", "Toon Films"):
        (folder / place).mkdir(parents=True)
        shutil.copy(movies / "pq.mkv", folder / place / "pq.mkv")
    shutil.copy(movies / "hlg.mp4", folder / "Ünterwegs (2021).mp4")
    write_movie(folder / "space" / "short.mkv", MovieSpec(height=96, width=160, frames=5))
    (folder / "space" / "bad.mkv").write_bytes(b"nothing")
    (folder / "notes.txt").write_text("no movie")
    return folder


def test_folders_name_categories_and_all_that_can_be_used_is_in(library):
    written = starter([library], library.parent)
    (library.parent / "recipe.toml").write_text(written.text)
    recipe = Recipe.load(library.parent / "recipe.toml").resolved()
    assert {str(movie.name): list(movie.categories) for movie in recipe.movies} == {
        "pq": ["space"],
        "pq-2": ["toon-films"],
        "nterwegs-2021": ["library"],
    } or {next(iter(movie.categories)) for movie in recipe.movies} == {"space", "toon-films", "library"}
    assert all(Path(movie.path).is_file() for movie in recipe.movies)


def test_what_cannot_be_used_is_left_out_with_the_reason(library):
    written = starter([library], library.parent)
    reasons = {Path(path).name: why for path, why in written.refused.items()}
    assert set(reasons) == {"short.mkv", "bad.mkv"}
    assert "has 5 frames, a window has 7" in reasons["short.mkv"]
    assert all(why in written.text for why in reasons.values())
    assert "notes.txt" not in written.text


def test_the_recipe_gives_samples_of_every_movie_as_it_is(library):
    (library.parent / "recipe.toml").write_text(starter([library], library.parent).text)
    assert {sample["movie"] for sample in HDRPatchDataset(library.parent / "recipe.toml")} == {
        movie.name for movie in Recipe.load(library.parent / "recipe.toml").resolved().movies
    }


@pytest.mark.parametrize("scale", [2, 4])
def test_the_recipe_has_the_scale_that_is_asked_for(library, scale):
    (library.parent / "recipe.toml").write_text(starter([library], library.parent, scale).text)
    for sample in HDRPatchDataset(library.parent / "recipe.toml"):
        height, width = sample["gt"].shape[-2:]
        assert sample["lq"].shape[-2:] == (height // scale, width // scale)
        assert height % scale == width % scale == 0


def test_a_scale_that_is_not_possible_is_refused(library):
    with pytest.raises(RecipeError, match="scale is 0, expected 1 to 16"):
        starter([library], scale=0)


def test_a_place_that_is_not_there_and_one_without_movies_are_errors(tmp_path):
    with pytest.raises(RecipeError, match="gone"):
        starter([tmp_path / "gone"])
    (tmp_path / "bad.mkv").write_bytes(b"nothing")
    with pytest.raises(NoSamplesError, match=r"bad\.mkv"):
        starter([tmp_path])


def test_the_command_does_not_overwrite(library):
    command = [sys.executable, "-m", "torch_hdrpatches.cli", "init", str(library), "-o", "recipe.toml", "--scale", "4"]
    first = subprocess.run(command, cwd=library.parent, capture_output=True, text=True, timeout=60)
    assert first.returncode == 0, first.stderr
    assert "left out" in first.stdout
    assert Recipe.load(library.parent / "recipe.toml").scale == 4
    again = subprocess.run(command, cwd=library.parent, capture_output=True, text=True, timeout=60)
    assert (again.returncode, "exists already" in again.stderr) == (2, True)


def test_what_is_no_regular_file_is_left_out_with_a_line_of_its_own(library):
    os.mkfifo(library / "space" / "pipe.mkv")
    (library / "space" / "link.mp4").symlink_to("nothing")
    (library / "space" / "folder.mkv").mkdir()
    refused = starter([library]).refused
    assert refused[str(library / "space" / "pipe.mkv")] == "is not a regular file"
    assert refused[str(library / "space" / "link.mp4")] == "cannot be opened (No such file or directory)"
    assert str(library / "space" / "folder.mkv") not in refused
    assert list(starter([library / "space" / "pq.mkv", library / "space" / "pipe.mkv"]).refused.values()) == [
        "is not a regular file"
    ]


def test_a_recipe_written_as_toml_is_the_same_recipe(recipe, tmp_path):
    recipe["movies"][0] |= {"assume": {"range": "tv"}, "stretches": [[0.0, 1.5], [2.0, 2.5]]}
    recipe |= {"accept": {"entropy": 2.5, "mean_luma": [10, 200]}, "tonemap": {"peak": 600.0}}
    resolved = Recipe.from_dict(recipe).resolved()
    (tmp_path / "recipe.toml").write_text(recipe_toml(resolved, "two\nlines"))
    assert Recipe.load(tmp_path / "recipe.toml").resolved() == resolved


@pytest.mark.parametrize("value", ['"quoted"\\', "tab\tand\x7f", "ünïcödé 🎬", [1, 2.5, True], {"a b": {"c": "d"}}])
def test_any_value_survives_toml(value):
    text = toml_text({"section": {"x": value, "absent": None}, "movies": [{"x": value}]}, {"movies.0": "two\nlines"})
    assert tomllib.loads(text) == {"section": {"x": value}, "movies": [{"x": value}]}


def test_probe_as_json_has_a_verdict_per_movie(library):
    command = [sys.executable, "-m", "torch_hdrpatches.cli", "probe", "--json"]
    paths = [str(library / "space" / name) for name in ("pq.mkv", "bad.mkv")]
    probed = subprocess.run([*command, *paths], capture_output=True, text=True, timeout=60)
    assert probed.returncode == 3
    verdicts = json.loads(probed.stdout)
    assert [one["usable"] for one in verdicts] == [True, False]
    assert verdicts[0]["facts"]["tags"]["transfer"] == "pq"
    assert verdicts[1]["reason"]
