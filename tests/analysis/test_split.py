"""No shot is in both training and validation, and the audit proves it from the movies' frames."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from torch_hdrpatches import HDRPatchDataset, Recipe
from torch_hdrpatches.analysis import audit, split
from torch_hdrpatches.errors import RecipeError
from torch_hdrpatches.testing import MovieSpec, write_movie

CUTS = tuple(range(40, 400, 45))
FPS = 24


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seventeen seconds, nine shots."""
    spec = MovieSpec(height=180, width=320, frames=405, cuts=CUTS, numbers=False, crf=28, seed=4)
    return write_movie(tmp_path_factory.mktemp("split") / "film.mkv", spec)


def recipe_of(*movies: object, timestamps: int = 60, **categories: object) -> Recipe:
    return Recipe.from_dict(
        {
            "sampling": {"timestamps_per_movie": timestamps, "retry_skip": 0.2},
            "formats": {"patch": {"gt": [96, 96]}},
            "categories": {"all": {"formats": {"patch": 1.0}, "target": 200}},
            "movies": [{"path": str(path), "name": f"m{n}", "categories": ["all"]} for n, path in enumerate(movies)],
        }
    )


def frames_of(recipe: Recipe) -> set[int]:
    return {round(pts * FPS) for sample in HDRPatchDataset(recipe) for pts in sample["frame_pts"]}


def shots_of(frames: set[int]) -> set[int]:
    return {sum(cut <= frame for cut in CUTS) for frame in frames}


def test_by_time_no_shot_is_in_both_and_the_audit_proves_it(film):
    train, validation = split(recipe_of(film), share=0.3, by="time", gap=0.6)
    seen, kept = frames_of(train), frames_of(validation)
    assert seen
    assert kept
    assert not shots_of(seen) & shots_of(kept)
    assert min(abs(one - other) for one in seen for other in kept) > 7
    (finding,) = audit(train, validation)
    assert finding.proved, finding.text
    assert "cut" in finding.text


def test_by_time_slots_are_divided_in_proportion_to_seconds(film):
    train, validation = split(recipe_of(film), share=0.3, by="time", gap=0.6)
    slots = [recipe.movies[0].timestamps or 0 for recipe in (train, validation)]
    assert 40 <= sum(slots) <= 60
    assert 8 <= slots[1] <= 25
    assert validation.categories["all"].target == 60
    assert train.categories["all"].target == 200


def test_a_gap_without_a_cut_is_not_proof(film):
    one = recipe_of(film)
    shot = (CUTS[2] / FPS, CUTS[3] / FPS)
    middle = sum(shot) / 2

    def only(start: float, stop: float) -> Recipe:
        return one.model_copy(update={"movies": (one.movies[0].model_copy(update={"stretches": ((start, stop),)}),)})

    (finding,) = audit(only(0.0, middle - 0.4), only(middle + 0.4, 16.0))
    assert not finding.proved
    assert "no cut" in finding.text


def test_the_same_file_under_another_name_is_recognised(film, tmp_path):
    copy = shutil.copy(film, tmp_path / "other.mkv")
    (finding,) = audit(recipe_of(film), recipe_of(copy))
    assert (finding.proved, "in both" in finding.text) == (False, True)


def test_by_movie_every_movie_is_in_one_of_the_recipes(tmp_path):
    paths = [tmp_path / f"{n}.mkv" for n in range(10)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number]) * 100)
    train, validation = split(recipe_of(*paths), share=0.2)
    names = [{movie.name for movie in recipe.movies} for recipe in (train, validation)]
    assert names[0] | names[1] == {f"m{n}" for n in range(10)}
    assert not names[0] & names[1]
    assert len(names[1]) == 2
    assert split(recipe_of(*paths), share=0.2) == (train, validation)
    assert [finding.text for finding in audit(train, validation)] == ["is in validation only"] * 2


def test_a_recipe_that_cannot_be_split_says_what_would_help(film, tmp_path):
    with pytest.raises(RecipeError, match="by time"):
        split(recipe_of(film))
    still = write_movie(tmp_path / "one-shot.mkv", MovieSpec(height=96, width=160, frames=60, numbers=False))
    with pytest.raises(RecipeError, match=r"no cut .* by movie"):
        split(recipe_of(still), by="time")


def test_slots_stay_in_the_stretches_of_a_movie_and_so_do_retries(film):
    one = recipe_of(film, timestamps=30)
    stretches = ((1.0, 3.0), (10.0, 12.0))
    inside = one.model_copy(update={"movies": (one.movies[0].model_copy(update={"stretches": stretches}),)})
    seconds = {sample["seconds"]: sample["attempt"] for sample in HDRPatchDataset(inside)}
    assert any(seconds.values())
    assert all(any(start - 0.03 <= moment <= stop + 0.03 for start, stop in stretches) for moment in seconds)
    assert {moment > 5 for moment in seconds} == {False, True}


@pytest.mark.parametrize("stretches", [[[3.0, 1.0]], [[0.0, 2.0], [1.0, 3.0]], []])
def test_invalid_stretches_are_refused(film, stretches):
    fields = recipe_of(film).model_dump(mode="json")
    fields["movies"][0]["stretches"] = stretches
    with pytest.raises(RecipeError, match="stretches"):
        Recipe.from_dict(fields)
