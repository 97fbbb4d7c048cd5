"""A recipe says what it means, or one line says which field is wrong and what would be valid."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from torch_hdrpatches import Recipe
from torch_hdrpatches.errors import RecipeError
from torch_hdrpatches.recipe.recipe import slug
from torch_hdrpatches.recipe.settings import LARGEST_SCALE, built_in_formats
from torch_hdrpatches.recipe.toml import recipe_toml

TOML = """
seed = 3
[sampling]
timestamps_per_movie = 10
frame_size = "native"
[formats.tiny]
gt = [90, 120]
[categories.space]
target = 7
formats = { tiny = 0.4, large_720 = 0.6 }
[[movies]]
path = "dune.mkv"
categories = { space = 0.5 }
assume = { transfer = "pq" }
"""


def base(**changes: Any) -> dict[str, Any]:
    return {
        "categories": {"space": {"formats": {"small_540": 1.0}}},
        "movies": [{"path": "dune.mkv", "categories": ["space"]}],
    } | changes


def test_a_toml_file_says_everything_it_says(tmp_path):
    (tmp_path / "recipe.toml").write_text(TOML)
    recipe = Recipe.load(tmp_path / "recipe.toml")
    assert (recipe.seed, recipe.sampling.timestamps_per_movie, recipe.sampling.frame_size) == (3, 10, "native")
    assert recipe.all_formats["tiny"].gt == (90, 120)
    assert recipe.categories["space"].target == 7
    assert recipe.movies[0].categories == {"space": 0.5}
    assert recipe.movies[0].path == str(tmp_path / "dune.mkv"), "relative paths count from the recipe's folder"


def test_a_preset_stands_for_its_settings_and_a_key_beside_it_wins():
    plain = Recipe.from_dict(base(tonemap={"preset": "bt2408"})).tonemap
    assert (plain.curve, plain.reference_white, plain.desat, plain.hlg_ootf) == ("bt2390", 203.0, 0.0, "luminance")
    assert Recipe.from_dict(base(tonemap={"preset": "bt2408", "desat": 1.0})).tonemap.desat == 1.0
    assert Recipe.from_dict(base(tonemap={"preset": "ffmpeg"})) == Recipe.from_dict(base())


def test_json_is_accepted(tmp_path):
    (tmp_path / "recipe.json").write_text(Recipe.from_dict(base()).model_dump_json())
    assert Recipe.load(tmp_path / "recipe.json").categories == Recipe.from_dict(base()).categories


def test_the_five_formats_are_built_in():
    sizes = {name: (*spec.gt, spec.scale) for name, spec in Recipe.from_dict(base()).all_formats.items()}
    assert sizes == {
        "small_540": (540, 540, 3),
        "medium_169": (405, 720, 3),
        "large_720": (720, 720, 3),
        "xlarge_1440": (810, 1440, 3),
        "fullhd_1920": (1080, 1920, 3),
    }


def test_the_built_in_formats_follow_the_recipes_scale():
    sizes = {name: (*spec.gt, spec.scale) for name, spec in Recipe.from_dict(base(scale=4)).all_formats.items()}
    assert sizes == {
        "small_540": (540, 540, 4),
        "medium_169": (404, 720, 4),
        "large_720": (720, 720, 4),
        "xlarge_1440": (808, 1440, 4),
        "fullhd_1920": (1080, 1920, 4),
    }
    assert Recipe.of("a.mkv", scale=2).all_formats["medium_169"].gt == (404, 720)


@pytest.mark.parametrize("scale", range(1, LARGEST_SCALE + 1))
def test_the_built_in_formats_are_as_large_as_a_scale_allows(scale):
    for name, spec in built_in_formats(scale).items():
        for length, at_scale_1 in zip(spec.gt, built_in_formats(1)[name].gt, strict=True):
            assert length % scale == 0
            assert at_scale_1 - scale < length <= at_scale_1


@pytest.mark.parametrize("scale", [3, 4])
def test_a_format_without_a_scale_follows_the_recipes_and_one_with_a_scale_does_not(scale, tmp_path):
    formats = {
        "plain": {"gt": [240, 240]},
        "own": {"gt": [240, 240], "scale": 3},
        "other": {"gt": [64, 64], "scale": 2},
    }
    recipe = Recipe.from_dict(base(scale=scale, formats=formats))
    assert [spec.scale for spec in recipe.formats.values()] == [scale, 3, 2]
    (tmp_path / "recipe.toml").write_text(recipe_toml(recipe))
    assert Recipe.load(tmp_path / "recipe.toml").formats == recipe.formats
    assert Recipe.from_dict(recipe.model_dump(mode="json")) == recipe


def test_a_recipe_that_does_not_set_a_scale_is_the_same_recipe_as_before_there_was_one():
    fields = {
        "seed": 5,
        "formats": {"tiny": {"gt": [90, 120]}, "four": {"gt": [64, 64], "scale": 4}},
        "categories": {"space": {"formats": {"small_540": 1, "tiny": 2, "four": 1.5}}},
        "movies": [{"path": "a.mkv", "name": "a", "categories": ["space"], "timestamps": 9}],
    }
    assert Recipe.from_dict(fields).hash == Recipe.from_dict(fields | {"scale": 3}).hash == "3fe7657d244fcb35"
    assert "scale" not in Recipe.from_dict(fields | {"scale": 3}).model_dump()
    assert Recipe.from_dict(fields | {"scale": 2, "formats": fields["formats"] | {"tiny": {"gt": [90, 120]}}}).hash != (
        Recipe.from_dict(fields).hash
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"formats": {"odd": {"gt": [250, 64]}}, "scale": 4},
            "formats.odd: gt is 250x64 .* scale 4, such as 248x64; or",
        ),
        ({"formats": {"odd": {"gt": [2, 2]}}}, "formats.odd: gt is 2x2 .* scale 3, such as 3x3; or"),
        ({"formats": {"even": {"gt": [256, 256]}}, "scale": 0}, "scale: .* greater than or equal to 1, found 0"),
        ({"formats": {"even": {"gt": [256, 256]}}, "scale": "x"}, "scale: .* integer.*, found 'x'"),
    ],
)
def test_a_scale_that_is_not_possible_is_named_in_one_line(changes, message):
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict(base(**changes))
    assert re.fullmatch(f"recipe: {message}.*", str(caught.value))


@pytest.mark.parametrize(
    ("changes", "names", "helps"),
    [
        ({"sampling": {"jiter": 1}}, "sampling.jiter", "jitter"),
        ({"sampling": {"jitter": 2}}, "sampling.jitter", "less than or equal to 1"),
        ({"sampling": {"frames": 6}}, "sampling", "odd"),
        ({"sampling": {"timestamps_per_movie": "many"}}, "sampling.timestamps_per_movie", "integer"),
        ({"tonemap": {"curve": "filmic"}}, "tonemap.curve", "mobius"),
        ({"tonemap": {"preset": "bt2409"}}, "tonemap", "bt2408"),
        ({"formats": {"odd": {"gt": [100, 100]}}}, "formats.odd", "multiples of scale 3"),
        ({"colour": {}}, "colour", "sampling"),
        ({"movies": []}, "movies", "at least 1"),
        ({"movies": [{"path": "a.mkv", "categories": ["spaec"]}]}, "movies.0.categories", "space"),
        ({"movies": [{"path": "a.mkv", "categories": {"space": 1.5}}]}, "movies.0.categories.space", "less than"),
        (
            {"movies": [{"path": "a.mkv", "categories": ["space"], "assume": {"trc": "pq"}}]},
            "movies.0.assume",
            "transfer",
        ),
        ({"categories": {"space": {"formats": {"small_450": 1}}}}, "categories.space.formats", "small_540"),
        ({"categories": {"Space": {"formats": {"small_540": 1}}}}, "categories.Space", "a-z"),
        (
            {"formats": {"huge": {"gt": [1200, 2160]}}, "categories": {"space": {"formats": {"huge": 1}}}},
            "formats.huge.gt",
            "frame_size",
        ),
    ],
)
def test_a_mistake_is_named_with_its_field_and_the_remedy(changes, names, helps):
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict(base(**changes))
    message = str(caught.value)
    assert names in message
    assert helps in message


def test_all_mistakes_are_named_at_once():
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict(base(sampling={"jitter": 2, "max_attempts": 0}, tonemap={"peak": -1}))
    assert {"jitter", "max_attempts", "peak"} <= set(str(caught.value).replace(".", " ").replace(":", " ").split())


@pytest.mark.parametrize("content", ["seed = ", "seed = 0\nseed = 1", "\x00"])
def test_a_file_that_is_not_toml_is_refused(tmp_path, content):
    (tmp_path / "r.toml").write_text(content)
    with pytest.raises(RecipeError, match=r"r\.toml: not valid TOML"):
        Recipe.load(tmp_path / "r.toml")


def test_a_missing_recipe_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="hdrpatches init"):
        Recipe.load(tmp_path / "none.toml")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"")


def test_a_glob_is_one_movie_per_match(tmp_path):
    touch(tmp_path, "B (2001).mkv", "A.mkv", "c.txt")
    recipe = Recipe.of(tmp_path / "*.mkv").resolved()
    assert [movie.name for movie in recipe.movies] == ["a", "b-2001"]


def test_a_missing_movie_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"movies\.0\.path: no such file: .*none\.mkv"):
        Recipe.of(tmp_path / "none.mkv").resolved()


def test_two_movies_of_one_name_are_refused(tmp_path):
    (tmp_path / "x").mkdir()
    touch(tmp_path, "a.mkv", "x/a.mkv")
    with pytest.raises(RecipeError, match="both named 'a'"):
        Recipe.of([tmp_path / "a.mkv", tmp_path / "x" / "a.mkv"]).resolved()


def test_the_hash_knows_every_setting_and_no_folder(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        touch(tmp_path, f"{folder}/a.mkv")
    one, two = (Recipe.of(tmp_path / folder / "a.mkv").resolved() for folder in ("one", "two"))
    assert one.hash == two.hash
    assert one.hash != Recipe.of(tmp_path / "one" / "a.mkv", seed=1).resolved().hash


@pytest.mark.parametrize(
    ("path", "name"),
    [("x/Dune: Part Two.mkv", "dune-part-two"), ("s3://b/A_b.MP4", "a_b"), ("/…/日本.mkv", "movie"), ("a.b.ts", "a-b")],
)
def test_names_are_fit_for_keys(path, name):
    assert slug(path) == name
