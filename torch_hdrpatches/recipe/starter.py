"""A commented first recipe for given files and folders, and which of them cannot be used."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

from ..errors import MovieError, NoSamplesError, RecipeError
from ..probe.facts_cache import known_facts
from ..storage.paths import plain_path, unset_variables
from ..video.facts import Facts
from .recipe import slug, unique_slug
from .settings import DEFAULT_SCALE, LARGEST_SCALE, Sampling, built_in_formats
from .toml import toml_text

SUFFIXES = {
    *(".mkv", ".mp4", ".mov", ".m4v", ".webm", ".ts", ".m2ts", ".mts", ".avi", ".mpg", ".mpeg", ".wmv", ".mxf", ".ivf"),
    *(".265", ".h265", ".hevc", ".264", ".h264", ".obu"),
}
"""Suffixes of the files that are taken from folders. Files that are named one by one may have any suffix."""
FRAMES_PER_SLOT, MOST_SLOTS = 58, 3000
"""The density of 3,000 slots in a film of two hours, and the most slots of one movie."""
FRAMES = Sampling().frames
SMALLEST = 96
"""Pixels; a movie whose picture area is lower or narrower is left out."""
MIX = {"small_540": 0.5, "medium_169": 0.35, "large_720": 0.15}
"""Formats of the starter recipe and their weights, where the movies are large enough for them."""


@dataclass(frozen=True, slots=True)
class Starter:
    """The text of a recipe, and the movies that it was made from."""

    text: str
    used: dict[str, Facts]
    """Path to what is known of the movie."""
    refused: dict[str, str]
    """Path to the reason why the movie cannot be used, and what would help."""


def starter(places: Iterable[str | Path], folder: str | Path = ".", scale: int = DEFAULT_SCALE) -> Starter:
    """A commented recipe for these files, and folders searched recursively, which name the categories.

    Paths in it are relative to ``folder``, where it will be saved; ``scale`` is how many times smaller ``lq`` is than
    ``gt``. Raises RecipeError if the scale is not possible or a place does not exist, and NoSamplesError with the
    reasons if no movie can be used.
    """
    if not 1 <= scale <= LARGEST_SCALE:
        raise RecipeError(f"scale is {scale}, expected 1 to {LARGEST_SCALE}")
    used: dict[str, Facts] = {}
    categories: dict[str, str] = {}
    refused: dict[str, str] = {}
    for path, category in _movies(Path(plain_path(place)) for place in places):
        try:
            facts = known_facts(path)
            why = _too_little(facts)
        except MovieError as failure:
            why = f"{failure.reason}; {failure.remedy}" if failure.remedy else failure.reason
        if why:
            refused[path] = why
        else:
            used[path], categories[path] = facts, category
    if not used:
        reasons = "\n".join(f"{path}: {why}" for path, why in refused.items())
        raise NoSamplesError(f"none of the movies can be used:\n{reasons}" if reasons else "no movie found")
    left_out = "".join(f"#   {path}\n{indent(why, '#     ')}\n" for path, why in refused.items())
    text = _text(used, categories, Path(plain_path(folder)), scale) + (f"# Left out:\n{left_out}" if left_out else "")
    return Starter(text, used, refused)


def _too_little(facts: Facts) -> str:
    if min(facts.active.height, facts.active.width) < SMALLEST:
        return f"its picture area of {facts.active.width}x{facts.active.height} is too small for patches"
    if 0 < facts.frame_count < FRAMES - 0.5:
        return f"has {facts.frame_count:.0f} frames, a window has {FRAMES}"
    return ""


def _movies(places: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Files and their categories: the first folder below the searched one, else that one; ``all`` for single files."""
    seen = set[Path]()
    for place in places:
        if not place.exists():
            raise RecipeError(f"{place}: no such file or folder{unset_variables(str(place))}")
        paths = sorted(p for p in place.rglob("*") if p.suffix.lower() in SUFFIXES) if place.is_dir() else [place]
        for path in paths:
            if not path.is_dir() and path.resolve() not in seen:
                seen.add(path.resolve())
                folders = (*path.relative_to(place).parts[:-1], place.resolve().name)
                name = "all" if path == place else folders[0]
                yield str(path), re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-")[:24] or "all"


def _text(used: Mapping[str, Facts], categories: Mapping[str, str], folder: Path, scale: int) -> str:
    comments = {
        "": "All keys are optional except categories and movies; docs/recipe.md explains them.\n"
        "See what this recipe gives before you export:  hdrpatches plan THIS  and  hdrpatches preview THIS",
        "scale": "lq is this many times smaller than gt; 2 and 4 are usual, too",
        "sampling.timestamps_per_movie": "evenly spaced moments; shorter movies have fewer, see below",
        "sampling.stability": "refuse windows with cuts, flashes, fades, repeated, black or flat frames",
        "tonemap.curve": "or hable, reinhard, bt2390, bt2446a, gamma, clip, linear, none",
        "formats.patch.gt": "height, width",
    }
    mixes = {}
    for category in dict.fromkeys(categories.values()):
        movies_of = (facts for path, facts in used.items() if categories[path] == category)
        mixes[category] = {"formats": _mix(movies_of, scale)}
        comments[f"categories.{category}"] = (
            "target = 10000    # stop at this many samples; without a target, all moments are sampled once"
        )
    movies: dict[str, dict[str, Any]] = {}
    for index, (path, facts) in enumerate(used.items()):
        name, slots = unique_slug(path, movies), max(8, round(facts.frame_count / FRAMES_PER_SLOT))
        movies[name] = {
            "path": os.path.relpath(path, folder),
            "name": name if name != slug(path) else None,
            "categories": [categories[path]],
            "timestamps": slots if slots < MOST_SLOTS else None,
        }
        comments[f"movies.{index}"] = "\n".join(_described(facts))
    patch = _patch(used.values(), scale)
    fields = {
        "seed": 0,
        "scale": scale,
        "sampling": {"timestamps_per_movie": MOST_SLOTS, "stability": "steps"},
        "tonemap": {"curve": "mobius"},
        **({"formats": {"patch": {"gt": [patch, patch]}}} if patch else {}),
        "categories": mixes,
        "movies": list(movies.values()),
    }
    return toml_text(fields, comments)


def _mix(movies: Iterable[Facts], scale: int) -> dict[str, float]:
    """Formats and weights, of which at least one fits each of these movies."""
    fitting = [_fitting(facts, scale) for facts in movies]
    mix = {name: share for name, share in MIX.items() if any(name in names for names in fitting)}
    return mix if all(fitting) else {"patch": 0.5, **mix}


def _fitting(facts: Facts, scale: int) -> set[str]:
    return {name for name in MIX if built_in_formats(scale)[name].fits(facts.active)}


def _patch(movies: Iterable[Facts], scale: int) -> int:
    """Height and width of a square format for the movies that are too small for all others; 0 if none is."""
    small = [min(facts.active.height, facts.active.width) for facts in movies if not _fitting(facts, scale)]
    step = 2 * scale  # so that lq is even
    return min(small) * 3 // 4 // step * step if small else 0


def _described(facts: Facts) -> Iterator[str]:
    tags, active = facts.tags, facts.active
    light = f", MaxCLL {facts.max_cll:g} cd/m2" if facts.max_cll else ""
    size = f"{facts.width}x{facts.height}, {facts.duration:.1f} s"
    yield f"{size}, {facts.bits} bit {tags.transfer} {tags.primaries}{light}"
    if facts.has_bars:
        yield f"has black bars: the picture area is {active.width}x{active.height}"
    yield from facts.warnings
