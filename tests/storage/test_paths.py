"""Paths may be written with ``~``, ``$NAME`` and ``pathlib.Path`` wherever one is taken, and mean the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from torch_hdrpatches import HDRPatchDataset, Recipe, export, read_shards
from torch_hdrpatches.analysis import contact_sheet
from torch_hdrpatches.errors import HDRPatchesError, RecipeError, ShardError, StorageError
from torch_hdrpatches.probe import open_movie
from torch_hdrpatches.recipe.starter import starter
from torch_hdrpatches.recipe.toml import recipe_toml
from torch_hdrpatches.storage.folder import Folder
from torch_hdrpatches.storage.paths import plain_path


@pytest.fixture
def home(small_movies, tmp_path, monkeypatch):
    """A home folder with ``1.mkv``, which is ``$MOVIES`` as well."""
    shutil.copy(small_movies / "1.mkv", tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MOVIES", str(tmp_path))
    monkeypatch.delenv("UNSET", raising=False)
    return tmp_path


WRITTEN = ["~/1.mkv", "$MOVIES/1.mkv", "${MOVIES}/1.mkv", Path("~/1.mkv"), Path("$MOVIES/1.mkv")]


def fields(path):
    return {
        "sampling": {"timestamps_per_movie": 2},
        "formats": {"a": {"gt": [48, 48]}},
        "categories": {"all": {"formats": {"a": 1}}},
        "movies": [{"path": path, "categories": ["all"]}],
    }


@pytest.mark.parametrize("path", WRITTEN)
def test_a_movie_is_found_however_its_path_is_written(home, path):
    wanted = str(home / "1.mkv")
    (home / "recipes").mkdir()
    (home / "recipes" / "recipe.toml").write_text(
        recipe_toml(Recipe.from_dict(fields("M"))).replace('"M"', f'"{path}"')
    )
    recipes = Recipe.from_dict(fields(path)), Recipe.of(path), Recipe.of([path]), Recipe.load("~/recipes/recipe.toml")
    assert {movie.path for recipe in recipes for movie in recipe.resolved().movies} == {wanted}
    with open_movie(path) as movie:
        assert movie.facts.path == wanted


@pytest.mark.parametrize("url", ["s3://bucket/$MOVIES/~/a.mkv", "memory://~/a"])
def test_a_url_stays_as_it_is(home, url):
    assert plain_path(url) == url


def test_a_dollar_in_the_name_of_a_file_is_no_variable(home):
    for name in ("100$.mkv", "$100.mkv", "$UNSET.mkv", "~.mkv"):
        (home / "1.mkv").rename(home / name)
        assert Recipe.of(home / name).resolved().movies[0].path == str(home / name)
        (home / name).rename(home / "1.mkv")


def test_folders_of_an_export_may_be_written_like_this_too(home):
    (home / "recipe.json").write_text(Recipe.from_dict(fields("1.mkv")).model_dump_json())
    assert export("$MOVIES/recipe.json", "~/shards").total == 2
    assert not Path("~").exists()
    for source in ("~/shards", "$MOVIES/shards", Path("~/shards"), "~/shards/all/*.tar", ["$MOVIES/shards/all"]):
        assert len(read_shards(source)) == 2
    for source in ("~/shards", "~/recipe.json"):
        assert contact_sheet(source, "$MOVIES/sheet.png") == home / "sheet.png"
    assert len(starter(["~/1.mkv"], "$MOVIES").used) == 1


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: HDRPatchDataset(fields("$UNSET/a.mkv")), RecipeError),
        (lambda: starter(["$UNSET/a"]), RecipeError),
        (lambda: read_shards("$UNSET/a"), ShardError),
        (lambda: Folder.of("${UNSET}/a"), StorageError),
        (lambda: export(fields("~/1.mkv"), "$UNSET/out"), StorageError),
    ],
)
def test_a_variable_that_is_not_set_is_named_and_no_folder_is_made_of_it(home, call, error):
    with pytest.raises(error, match="the environment variable UNSET is not set"):
        call()
    assert not Path("$UNSET").exists()


@pytest.mark.parametrize("call", [Folder.of, read_shards, Recipe.of])
def test_a_path_that_was_made_of_a_url_is_refused(call):
    with pytest.raises(HDRPatchesError, match="a Path cannot hold a URL; give it as a str"):
        call(Path("s3://bucket/a"))


def test_commands_replace_what_the_shell_has_left(home):
    command = [sys.executable, "-m", "torch_hdrpatches.cli", "init", "~/1.mkv", "--out=~/new.toml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "HOME": str(home)})
    assert done.returncode == 0, done.stderr
    assert Recipe.load(home / "new.toml").movies[0].path == str(home / "1.mkv")
