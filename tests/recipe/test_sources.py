"""A recipe means the same in TOML, JSON and YAML, as a mapping, and as a configuration of OmegaConf."""

from __future__ import annotations

import json
import subprocess
import sys
from types import MappingProxyType

import pytest

from torch_hdrpatches import Recipe
from torch_hdrpatches.errors import MissingExtraError, RecipeError
from torch_hdrpatches.recipe.toml import recipe_toml

FIELDS = {
    "seed": 3,
    "sampling": {"frame_size": [1280, 720], "tolerate": ["frozen"]},
    "accept": {"mean_luma": [10, 200], "entropy": 2.5},
    "formats": {"tiny": {"gt": [90, 120]}},
    "categories": {
        "space": {"formats": {"tiny": 0.4, "large_720": 0.6}, "target": 7},
        "toon": {"formats": {"tiny": 1}},
    },
    "movies": [
        {"path": "/m/dune.mkv", "categories": {"space": 0.5}, "stretches": [[0, 1.5], [2, 3]]},
        {"path": "/m/up.mkv", "categories": ["space", "toon"]},
    ],
}
WANTED = Recipe.from_dict(FIELDS)


@pytest.mark.parametrize("suffix", ["toml", "json", "yaml", "yml", "YAML"])
def test_every_language_says_the_same(tmp_path, suffix):
    yaml = pytest.importorskip("yaml")
    text = {"toml": recipe_toml(WANTED), "json": json.dumps(FIELDS)}.get(suffix) or yaml.safe_dump(FIELDS)
    (tmp_path / f"recipe.{suffix}").write_text(text)
    assert Recipe.load(tmp_path / f"recipe.{suffix}") == WANTED


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("r.yaml", "seed: [1", "not valid YAML: while parsing a flow sequence .* line 1"),
        ("r.yml", "- 1", "expected a table of settings, found list"),
        ("r.yaml", "", "expected a table of settings, found NoneType"),
        (
            "r.yaml",
            "seed: x\ncategories: {a: {formats: {large_720: 1}}}\nmovies: [{path: a, categories: [a]}]",
            "seed: ",
        ),
        ("r.json", "{", "not valid JSON"),
    ],
)
def test_a_mistake_in_a_file_is_one_line(tmp_path, name, text, message):
    pytest.importorskip("yaml")
    (tmp_path / name).write_text(text)
    with pytest.raises(RecipeError, match=rf"{name}: {message}") as caught:
        Recipe.load(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_yaml_without_pyyaml_names_the_extra(tmp_path):
    (tmp_path / "r.yaml").write_text("seed: 1")
    program = "import sys; sys.modules['yaml'] = None; from torch_hdrpatches import Recipe; Recipe.load(sys.argv[1])"
    command = [sys.executable, "-c", program, str(tmp_path / "r.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    last = done.stderr.splitlines()[-1]
    assert MissingExtraError.__name__ in last
    assert "r.yaml: YAML needs PyYAML; pip install 'torch_hdrpatches[yaml]'" in last


def test_any_mapping_is_a_recipe():
    assert Recipe.load(MappingProxyType(FIELDS | {"sampling": MappingProxyType(FIELDS["sampling"])})) == WANTED


def test_a_configuration_of_omegaconf_is_a_recipe():
    config = pytest.importorskip("omegaconf").OmegaConf.create
    assert Recipe.load(config(FIELDS)) == WANTED
    assert Recipe.load(FIELDS | {"movies": config(FIELDS["movies"]), "accept": config(FIELDS["accept"])}) == WANTED


def test_a_part_of_a_larger_configuration_may_refer_to_the_rest_of_it():
    config = pytest.importorskip("omegaconf").OmegaConf.create
    movies = [movie | {"path": movie["path"].replace("/m", "${folder}")} for movie in FIELDS["movies"]]
    whole = config({"folder": "/m", "seed": 3, "data": {"recipe": FIELDS | {"movies": movies, "seed": "${seed}"}}})
    assert Recipe.load(whole.data.recipe) == WANTED


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("???", r"movies\[0\].path: Missing mandatory value: "),
        ("${nope}/a", r"movies\[0\].path: Interpolation key 'nope'"),
    ],
)
def test_what_omegaconf_cannot_resolve_is_one_line(path, message):
    config = pytest.importorskip("omegaconf").OmegaConf.create
    with pytest.raises(RecipeError, match=f"^recipe: {message}.*$"):
        Recipe.load(config(FIELDS | {"movies": [{"path": path, "categories": ["space"]}]}))


@pytest.mark.parametrize("source", [None, 5, ["a.mkv"]])
def test_what_is_no_recipe_at_all_is_refused(source):
    with pytest.raises(RecipeError, match="expected a path, a mapping or a Recipe, found"):
        Recipe.load(source)
