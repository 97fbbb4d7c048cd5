"""A forecast estimates what an export will give, and names problems before it starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import pytest

from torch_hdrpatches import Recipe, export
from torch_hdrpatches.analysis import forecast
from torch_hdrpatches.analysis.forecast import CategoryForecast
from torch_hdrpatches.sampling import PatchStream
from torch_hdrpatches.shards.manifest import tally_of
from torch_hdrpatches.testing import MovieSpec, write_movie


def close(value: float, expected: float, share: float) -> bool:
    return abs(value - expected) <= share * expected


def test_the_demo_gives_what_its_forecast_says(demo):
    found = forecast(PatchStream(demo / "demo" / "recipe.toml"), seconds=2.0)
    shards = demo / "demo" / "shards"
    for category in found.categories:
        assert close(category.samples, tally_of(shards).by("category")[category.name], 0.10)
        written = sum(path.stat().st_size for path in (shards / category.name).glob("*.tar"))
        assert close(category.bytes, written, 0.20)
    assert found.shards == len(list(shards.rglob("*.tar")))
    assert (found.slots, found.movies, found.failures) == (32, 1, {})
    assert found.seconds > 0


def test_refusals_and_probabilities_are_part_of_the_forecast(recipe, tmp_path):
    recipe["sampling"] |= {"max_attempts": 1}
    found = forecast(PatchStream(recipe), seconds=60.0)
    tally = export(recipe, tmp_path / "out")
    assert found.rejects["cut"] > 0
    for category in found.categories:
        assert close(category.samples, tally.by("category")[category.name], 0.10)


@pytest.fixture
def planned(recipe: dict[str, Any]) -> Any:
    def plan(**changes: Any) -> tuple[dict[str, CategoryForecast], tuple[str, ...], dict[str, str]]:
        found = forecast(PatchStream({**recipe, **changes}), seconds=0.0)
        return {category.name: category for category in found.categories}, found.problems, found.failures

    return plan


def test_a_target_above_one_epoch_is_a_problem_that_names_the_epochs(planned, recipe):
    categories = recipe["categories"] | {"toon": {"formats": {"wide": 1.0}, "target": 20}}
    found, problems, _ = planned(categories=categories)
    assert (found["toon"].samples, found["toon"].epochs) == (20, 2.5)
    assert any("toon" in problem and "2.5 epochs" in problem and "jitter is 0" in problem for problem in problems)


def test_a_category_that_no_movie_gives_is_a_problem(planned, recipe):
    found, problems, _ = planned(categories=recipe["categories"] | {"none": {"formats": {"wide": 1.0}, "target": 5}})
    assert found["none"].samples == 0
    assert "none: no movie gives it; its target cannot be met" in problems


def test_formats_that_do_not_fit_are_a_problem_and_the_others_take_their_place(planned, recipe):
    formats = recipe["formats"] | {"tall": {"gt": [330, 330]}}
    categories = recipe["categories"] | {"space": {"formats": {"square": 0.5, "tall": 0.5}}}
    found, problems, _ = planned(formats=formats, categories=categories)
    assert set(found["space"].formats) == {"square"}
    assert any("pq: tall of space do not fit into" in problem for problem in problems)


def test_slots_that_overlap_are_a_problem(planned):
    _, problems, _ = planned(sampling={"timestamps_per_movie": 30})
    assert any(
        "30 slots of 7 frames overlap, as the movie has only 72 frames" in problem and "timestamps = 10" in problem
        for problem in problems
    )


def test_a_threshold_without_effect_is_a_problem(planned):
    def warned(**sampling):
        return any("max_scene_change has no effect" in problem for problem in planned(sampling=sampling)[1])

    assert warned(max_scene_change=30.0)
    assert not warned(max_scene_change=30.0, stability="first_to_last")
    assert not warned()


def test_one_movie_under_two_names_is_a_problem(planned, recipe, movies, tmp_path):
    (tmp_path / "again.mkv").write_bytes((movies / "pq.mkv").read_bytes())
    twice = [*recipe["movies"], {"path": str(tmp_path / "again.mkv"), "categories": ["master"]}]
    assert any("same movie" in problem for problem in planned(movies=twice)[1])


def test_a_movie_that_cannot_be_used_is_named_with_the_reason(planned, recipe, tmp_path):
    (tmp_path / "bad.mkv").write_bytes(b"nothing")
    bad = {"path": str(tmp_path / "bad.mkv"), "categories": ["master"]}
    found, _, failures = planned(movies=[*recipe["movies"], bad])
    assert list(failures) == ["bad"]
    assert found["master"].samples == 17


def test_a_hundred_probed_movies_are_forecast_in_seconds(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = write_movie(tmp_path / "0.mkv", MovieSpec(height=96, width=160, frames=48))
    for number in range(1, 100):
        os.link(first, tmp_path / f"{number}.mkv")
    recipe = Recipe.of(
        [tmp_path / f"{number}.mkv" for number in range(100)], format="patch", formats={"patch": {"gt": [48, 48]}}
    )
    forecast(PatchStream(recipe), seconds=0.0)
    began = time.monotonic()
    found = forecast(PatchStream(recipe), seconds=1.0)
    assert time.monotonic() - began < 10
    assert (found.movies, found.slots) == (100, 300_000)


def test_the_command_prints_text_or_json(recipe, tmp_path):
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    command = [
        sys.executable,
        "-m",
        "torch_hdrpatches.cli",
        "plan",
        str(tmp_path / "recipe.json"),
        "--seconds",
        "0.5",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "samples, about" in done.stdout
    fields = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=120).stdout)
    assert {one["name"]: one["samples"] for one in fields["categories"]}["master"] == 17


def test_the_forecast_of_a_small_recipe_is_the_same_every_time(recipe):
    first, second = (forecast(PatchStream(recipe), seconds=60.0) for _ in range(2))
    assert first.categories == second.categories
