"""The old generator's configuration comes over without loss, and what does not apply is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from torch_hdrpatches import HDRPatchDataset, Recipe, export
from torch_hdrpatches.errors import RecipeError
from torch_hdrpatches.recipe.convert import convert

KINDS = (
    {"master": 0.25, "universal": 0.75},
    {"master": 0.2, "space": 0.8},
    {"master": 0.2, "toon": 0.8},
    {"master": 0.2, "universal": 0.2, "space": 0.3, "toon": 0.3},
    {"master": 0.2, "universal": 0.5, "toon": 0.3},
    {"master": 0.4, "space": 0.4},
)
TITLES = (
    "Der Grinch",
    "Joker- Folie à Deux",
    "R.E.D 2",
    "ES - Kapitel 2 (IT)",
    "Star Wars: Das Imperium schlägt zurück",
)


def size(width: int, height: int, probability: float) -> dict[str, Any]:
    return {"gt_size": [width, height], "lr_size": [width // 3, height // 3], "probability": probability}


def old_config(movies: int = 116) -> dict[str, Any]:
    """What the old generator's file looks like: 116 movies, four categories, weights, priorities."""
    most = {"small_540": size(540, 540, 0.5), "medium_169": size(720, 405, 0.35), "large_720": size(720, 720, 0.15)}
    return {
        "_comment_usage": "ORIGINAL CONFIG",
        "base_settings": {
            "base_frame_limit": 3000,
            "max_workers": 4,
            "val_percent": 0.0,
            "output_base_dir": "/mnt/data/training/datasetNeu",
            "temp_dir": "/mnt/data/training/datasetNeu/temp",
            "status_file": "/mnt/data/training/datasetNeu/.generator_status.json",
            "min_file_size": 10000,
            "scene_diff_threshold": 45,
            "max_retry_attempts": 10,
            "retry_skip_seconds": 60,
            "lr_versions": ["5frames", "7frames"],
        },
        "category_targets": {"master": 300000, "universal": 350000, "space": 160000, "toon": 90000},
        "format_config": {
            "master": most,
            "universal": most,
            "space": {
                "small_540": size(540, 540, 0.4),
                "medium_169": size(720, 405, 0.35),
                "large_720": size(720, 720, 0.25),
            },
            "toon": {"small_540": size(540, 540, 0.65), "medium_169": size(720, 405, 0.35)},
        },
        "videos": [
            {
                "name": f"{TITLES[index % len(TITLES)]} {index // len(TITLES)}",
                "path": f"/mnt/data/video/filme/UHD/{index}.mkv",
                "categories": KINDS[index % len(KINDS)],
                "priority": index,
            }
            for index in range(movies)
        ],
    }


def written(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "generator_config.json"
    path.write_text(json.dumps(config))
    return path


def test_116_movies_and_four_categories_come_over_without_loss(tmp_path):
    old = old_config()
    recipe = convert(written(tmp_path, old)).recipe
    assert (recipe.sampling.max_scene_change, recipe.sampling.max_attempts) == (45, 10)
    assert recipe.sampling.stability == "first_to_last"  # what that threshold is of
    assert (recipe.sampling.retry_skip, recipe.sampling.frames, recipe.sampling.jitter) == (60, 7, 0)
    assert {name: category.target for name, category in recipe.categories.items()} == old["category_targets"]
    for name, formats in old["format_config"].items():
        assert recipe.categories[name].formats == {fmt: spec["probability"] for fmt, spec in formats.items()}
        for fmt, spec in formats.items():
            assert list(reversed(recipe.all_formats[fmt].gt)) == spec["gt_size"]
            assert recipe.all_formats[fmt].gt[0] // recipe.all_formats[fmt].scale == spec["lr_size"][1]
    assert [movie.path for movie in recipe.movies] == [video["path"] for video in old["videos"]]
    for movie, video in zip(recipe.movies, old["videos"], strict=True):
        assert list(movie.categories) == list(video["categories"])
        assert set(movie.categories.values()) == {1.0}


def test_slots_are_the_frame_limit_times_the_sum_of_weights(tmp_path):
    old = old_config()
    recipe = convert(written(tmp_path, old)).recipe
    slots = [movie.timestamps or recipe.sampling.timestamps_per_movie for movie in recipe.movies]
    wanted = [round(3000 * sum(video["categories"].values())) for video in old["videos"]]
    assert slots == wanted


def test_the_text_is_the_recipe_and_keeps_titles_and_weights(tmp_path):
    converted = convert(written(tmp_path, old_config()))
    (tmp_path / "recipe.toml").write_text(converted.text)
    assert Recipe.load(tmp_path / "recipe.toml") == converted.recipe
    assert "# Joker- Folie à Deux 4: master 0.2, universal 0.2, space 0.3, toon 0.3" in converted.text


def test_every_setting_is_mapped_or_said_not_to_apply(tmp_path):
    old = old_config(3)
    old["base_settings"]["brand_new"] = 1
    old["videos"].append({"name": "nothing", "path": "n.mkv", "categories": {}})
    notes = convert(written(tmp_path, old)).notes
    said = {note.setting for note in notes}
    assert {f"base_settings.{name}" for name in old["base_settings"]} <= said
    assert {f"category_targets.{name}" for name in old["category_targets"]} <= said
    assert {f"format_config.{c}.{fmt}" for c, formats in old["format_config"].items() for fmt in formats} <= said
    assert "_comment_usage" in said
    assert [note.setting for note in notes if note.setting.endswith("priority")] == [
        f"videos.{index} ({TITLES[index]} 0).priority" for index in range(3)
    ]
    assert all(note.became for note in notes)
    assert {note.setting for note in notes if not note.applies} >= {
        "base_settings.max_workers",
        "base_settings.val_percent",
        "base_settings.brand_new",
        "videos.3 (nothing)",
    }


def test_a_size_written_height_first_is_known_by_its_name_and_noted(tmp_path):
    old = old_config(1)
    old["format_config"]["toon"]["medium_169"]["gt_size"] = [405, 720]
    converted = convert(written(tmp_path, old))
    assert converted.recipe.formats == {}
    assert any("height first" in note.became for note in converted.notes)


def test_one_format_name_with_two_sizes_becomes_two_formats(tmp_path):
    old = old_config(1)
    old["format_config"]["toon"]["own"] = size(300, 240, 0.1)
    old["format_config"]["master"] = {"own": size(240, 240, 1.0)}
    recipe = convert(written(tmp_path, old)).recipe
    assert {name: fmt.gt for name, fmt in recipe.formats.items()} == {"own": (240, 240), "own_toon": (240, 300)}
    assert "own_toon" in recipe.categories["toon"].formats


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"source": {}, "output_patches": {}}, "init"),
        (old_config(1) | {"videos": [{"name": "no path", "categories": ["toon"]}]}, "path"),
        (old_config(1) | {"videos": [{"path": "a.mkv", "categories": ["none"]}]}, "none"),
    ],
)
def test_what_is_not_of_the_old_shape_is_refused(tmp_path, config, words):
    with pytest.raises(RecipeError, match=words):
        convert(written(tmp_path, config))


def test_a_converted_recipe_exports_as_many_slots_and_formats_as_the_old_file_says(movies, tmp_path):
    old = old_config(0)
    old["base_settings"] |= {"base_frame_limit": 8, "retry_skip_seconds": 0.3}
    old["category_targets"] = {}
    old["format_config"] = {"master": {"tall": size(150, 240, 1.0)}, "space": {"wide": size(240, 162, 1.0)}}
    old["videos"] = [
        {"name": "PQ", "path": str(movies / "pq.mkv"), "categories": {"master": 0.5, "space": 1.0}},
        {"name": "HLG", "path": str(movies / "hlg.mp4"), "categories": ["master"]},
    ]
    converted = convert(written(tmp_path, old))
    tally = export(converted.recipe, tmp_path / "out")
    assert tally.slots == 12 + 8
    assert tally.by("format") == {"tall": 12 + 8, "wide": 12}
    shapes = {sample["format"]: tuple(sample["gt"].shape[1:]) for sample in HDRPatchDataset(converted.recipe)}
    assert shapes == {"tall": (240, 150), "wide": (162, 240)}
