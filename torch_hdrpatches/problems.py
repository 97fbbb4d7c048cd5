"""What is odd about a recipe and its movies although both can be used, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

from .facts import Facts
from .geometry import Geometry
from .recipe import Recipe
from .stores import is_url


def problems_of(recipe: Recipe, facts: Mapping[str, Facts]) -> Iterator[str]:
    """Sentences about the movies whose facts are given, by name."""
    sampling, movies = recipe.sampling, [movie for movie in recipe.movies if movie.name in facts]
    if sampling.stability == "steps" and "max_scene_change" in sampling.model_fields_set:
        yield 'max_scene_change changes nothing unless stability = "first_to_last"'
    for movie in movies:
        fact = facts[str(movie.name)]
        yield from (f"{movie.name}: {warning}" for warning in fact.warnings)
        slots, frames = movie.timestamps or sampling.timestamps_per_movie, fact.duration * fact.fps
        if 0 < frames < slots * sampling.frames:
            yield (
                f"{movie.name}: {slots} slots of {sampling.frames} frames share the {frames:.0f} frames of "
                f"{fact.duration:.1f} s; timestamps = {max(1, int(frames / sampling.frames))} would not overlap"
            )
        area = Geometry.of(fact, sampling).active
        for category in movie.categories:
            all_of_them, fitting = recipe.categories[category].formats, fitting_formats(recipe, category, fact)
            if len(fitting) < len(all_of_them):
                which = ", ".join(name for name in all_of_them if name not in fitting)
                yield f"{movie.name}: {which} of {category} do not fit into {area.height}x{area.width} (height x width)"
    for one, other in combinations(movies, 2):
        if _looks_the_same(one.path, other.path, facts[str(one.name)], facts[str(other.name)]):
            yield f"{one.name} and {other.name} look like the same movie; their samples would come twice"


def _looks_the_same(path: str, other_path: str, one: Facts, other: Facts) -> bool:
    if (one.duration, one.width, one.height) != (other.duration, other.width, other.height):
        return False
    if is_url(path) or is_url(other_path):
        return path == other_path
    return Path(path).stat().st_size == Path(other_path).stat().st_size


def fitting_formats(recipe: Recipe, category: str, facts: Facts) -> dict[str, float]:
    """The category's formats that fit into a movie's active picture, with their weights."""
    area, formats = Geometry.of(facts, recipe.sampling).active, recipe.all_formats
    return {
        name: weight
        for name, weight in recipe.categories[category].formats.items()
        if formats[name].gt[0] <= area.height and formats[name].gt[1] <= area.width
    }
