"""Any exported sample is made again from its movie, bit for bit; differences are named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from torch_hdrpatches import Recipe, export, read_shards
from torch_hdrpatches.analysis import reproduce
from torch_hdrpatches.analysis.reproduce import differences_between, random_keys
from torch_hdrpatches.errors import ExportError, ShardError
from torch_hdrpatches.shards.manifest import recipe_of
from torch_hdrpatches.testing import MovieSpec, write_movie


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More than a hundred samples of two movies, by two processes."""
    folder = tmp_path_factory.mktemp("reproduce")
    write_movie(folder / "cuts.mkv", MovieSpec(height=180, width=320, frames=96, cuts=(30, 61)))
    write_movie(folder / "hlg.mp4", MovieSpec(height=180, width=320, frames=72, transfer="hlg", seed=3))
    recipe = {
        "sampling": {"timestamps_per_movie": 24, "retry_skip": 0.4, "jitter": 0.5, "crops_per_category": 2},
        "shards": {"runs": 2},
        "formats": {"patch": {"gt": [96, 96]}, "wide": {"gt": [72, 120]}},
        "categories": {"all": {"formats": {"patch": 0.5, "wide": 0.5}}, "some-more": {"formats": {"patch": 1.0}}},
        "movies": [
            {"path": str(folder / "cuts.mkv"), "categories": {"all": 1.0, "some-more": 0.7}},
            {"path": str(folder / "hlg.mp4"), "categories": ["all"]},
        ],
    }
    tally = export(recipe, folder / "out", workers=2)
    assert tally.total > 100
    return folder


def test_a_hundred_random_keys_of_two_processes_are_equal(exported):
    keys = random_keys(exported / "out", 100)
    assert len(set(keys)) == 100
    assert dict(reproduce(exported / "out", keys)) == dict.fromkeys(keys, ())


def with_movies(recipe: Recipe, **paths: Path) -> Recipe:
    movies = [movie.model_copy(update={"path": str(paths[str(movie.name)])}) for movie in recipe.movies]
    return recipe.model_copy(update={"movies": tuple(movies)})


def test_the_movies_may_have_moved(exported, tmp_path):
    for movie in ("cuts.mkv", "hlg.mp4"):
        shutil.copy2(exported / movie, tmp_path / movie)
    there = with_movies(recipe_of(exported / "out"), cuts=tmp_path / "cuts.mkv", hlg=tmp_path / "hlg.mp4")
    keys = random_keys(exported / "out", 3, seed=1)
    assert dict(reproduce(exported / "out", keys, recipe=there)) == dict.fromkeys(keys, ())


def test_another_movie_file_is_refused_and_named(exported):
    swapped = with_movies(recipe_of(exported / "out"), cuts=exported / "hlg.mp4", hlg=exported / "hlg.mp4")
    with pytest.raises(ExportError, match=r"movies\.cuts\.file"):
        list(reproduce(exported / "out", random_keys(exported / "out", 1), recipe=swapped))


def test_an_unknown_key_is_named(exported):
    with pytest.raises(ShardError, match="cuts-all-0-999999"):
        list(reproduce(exported / "out", ["cuts-all-0-999999"]))


def test_every_difference_is_named():
    pictures = {"gt": torch.zeros(3, 6, 6, dtype=torch.uint8), "lq": torch.zeros(7, 3, 2, 2, dtype=torch.uint8)}
    one = {"key": "k", "seconds": 1.0, **pictures}
    other = one | {"seconds": 2.0, "gt": pictures["gt"].clone()}
    other["gt"][0, 0, 0] = 5
    assert differences_between(one, one) == ()
    assert differences_between(one, other) == ("gt: 0.93% of the codes differ, by up to 5", "seconds: 1.0 -> 2.0")


def test_the_seed_draws_the_keys(exported):
    keys = [sample["key"] for sample in read_shards(exported / "out")]
    assert random_keys(exported / "out", 5, seed=2) == random_keys(exported / "out", 5, seed=2)
    assert set(random_keys(exported / "out", 10**6)) == set(keys)
