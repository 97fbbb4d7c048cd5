"""A first recipe for movies that nobody has written one for: what is there, what it is, and what cannot be used."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import MovieError, NoSamplesError, RecipeError
from ..probe.facts_cache import known_facts
from ..video.facts import Facts
from .recipe import slug
from .settings import BUILT_IN_FORMATS, Sampling
from .toml import toml_value

SUFFIXES = {
    *(".mkv", ".mp4", ".mov", ".m4v", ".webm", ".ts", ".m2ts", ".mts", ".avi", ".mpg", ".mpeg", ".wmv", ".mxf", ".ivf"),
    *(".265", ".h265", ".hevc", ".264", ".h264", ".obu"),
}
"""What counts as a movie in a folder; a file that is named is looked at in any case."""
FRAMES_PER_SLOT = 58
"""As dense as 3,000 slots are in a film of two hours."""
FRAMES = Sampling().frames
SMALLEST = 96
"""Pixels: a picture that is lower or narrower than this is not worth sampling."""
MIX = {"small_540": 0.5, "medium_169": 0.35, "large_720": 0.15}
"""Formats of the starter recipe and their weights, as far as the movies are large enough."""


@dataclass(frozen=True, slots=True)
class Starter:
    """A recipe's text, and what it was made of."""

    text: str
    used: dict[str, Facts]
    """Path to what the movie is."""
    refused: dict[str, str]
    """Path to why it cannot be used and what would help."""


def starter(places: Iterable[str | Path], folder: str | Path = ".") -> Starter:
    """A commented recipe for these files and folders; categories are named after folders.

    Args:
        places: files, and folders that are searched with all folders below them.
        folder: where the recipe will lie; paths in it count from there.

    Raises:
        RecipeError: if a place does not exist.
        NoSamplesError: if no movie can be used; says why.
    """
    used: dict[str, Facts] = {}
    categories: dict[str, str] = {}
    refused: dict[str, str] = {}
    for path, category in _movies(Path(place) for place in places):
        try:
            facts = known_facts(str(path))
        except MovieError as failure:
            refused[str(path)] = f"{failure.reason}; {failure.remedy}" if failure.remedy else failure.reason
            continue
        if why := _too_little(facts):
            refused[str(path)] = why
        else:
            used[str(path)], categories[str(path)] = facts, category
    if not used:
        reasons = "\n".join(f"{path}: {why}" for path, why in refused.items())
        raise NoSamplesError(f"no movie here can be used\n{reasons}" if reasons else "there is no movie here")
    text = "\n".join(_lines(used, categories, refused, Path(folder))) + "\n"
    return Starter(text, used, refused)


def _too_little(facts: Facts) -> str:
    if min(facts.active.height, facts.active.width) < SMALLEST:
        return f"its picture of {facts.active.width}x{facts.active.height} is too small for patches"
    if 0 < facts.duration * facts.fps < FRAMES - 0.5:
        return f"has {facts.duration * facts.fps:.0f} frames, a window has {FRAMES}"
    return ""


def _movies(places: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Files and their categories: the folder below the searched one, or the searched one itself; "all" without one."""
    seen = set[Path]()
    for place in places:
        if not place.exists():
            raise RecipeError(f"{place}: no such file or folder")
        paths = sorted(p for p in place.rglob("*") if p.suffix.lower() in SUFFIXES) if place.is_dir() else [place]
        for path in paths:
            if path.is_file() and path.resolve() not in seen:
                seen.add(path.resolve())
                below = path.relative_to(place).parts if place.is_dir() else ()
                name = below[0] if len(below) > 1 else place.resolve().name if below else "all"
                yield path, re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-")[:24] or "all"


def _lines(
    used: Mapping[str, Facts], categories: Mapping[str, str], refused: Mapping[str, str], folder: Path
) -> Iterator[str]:
    yield from (
        "# Every key is optional but categories and movies; docs/recipe.md explains them all.",
        "# See what comes of it, before anything is exported:  hdrpatches plan THIS  and  hdrpatches preview THIS",
        "seed = 0",
        "",
        "[sampling]",
        "timestamps_per_movie = 3000     # evenly spaced moments; shorter movies get fewer below",
        'stability = "steps"             # refuse windows with cuts, flashes, fades, repeated, black or flat pictures',
        "",
        "[tonemap]",
        'curve = "mobius"                # or hable, reinhard, bt2390, bt2446a, gamma, clip, linear, none',
        "",
    )
    patch = _patch(used.values())
    if patch:
        yield from (
            "[formats.patch]",
            f"gt = {[patch, patch]}                 # height, width; lq is 3 times smaller",
            "",
        )
    for category in dict.fromkeys(categories.values()):
        yield from (
            f"[categories.{category}]",
            "# target = 10000                # stop at this many samples; without it, one pass over all moments",
            f"formats = {toml_value(_mix([facts for path, facts in used.items() if categories[path] == category]))}",
            "",
        )
    names = _unique_names(used)
    for path, facts in used.items():
        yield from ("[[movies]]", *(f"# {line}" for line in _described(facts)))
        yield f"path = {toml_value(os.path.relpath(path, folder))}"
        if names[path] != slug(path):
            yield f"name = {toml_value(names[path])}"
        yield f"categories = {toml_value([categories[path]])}"
        if (slots := max(8, round(facts.duration * facts.fps / FRAMES_PER_SLOT))) < 3000:
            yield f"timestamps = {slots}"
        yield ""
    if refused:
        yield "# Left out:"
        for path, why in refused.items():
            yield from (f"#   {path}", f"#     {why}")


def _mix(movies: Iterable[Facts]) -> dict[str, float]:
    """Formats and weights such that every one of these movies gives something."""
    fitting = [_fitting(facts) for facts in movies]
    mix = {name: share for name, share in MIX.items() if any(name in names for names in fitting)}
    return mix if all(fitting) else {"patch": 0.5, **mix}


def _fitting(facts: Facts) -> set[str]:
    return {name for name in MIX if BUILT_IN_FORMATS[name].fits(facts.active)}


def _patch(movies: Iterable[Facts]) -> int:
    """Side of a format for the movies that no built-in one fits; 0 if there are none."""
    small = [min(facts.active.height, facts.active.width) for facts in movies if not _fitting(facts)]
    return min(small) * 3 // 4 // 6 * 6 if small else 0


def _unique_names(paths: Iterable[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for path in paths:
        name, number = slug(path), 2
        while name in names.values():
            name, number = f"{slug(path)[:36]}-{number}", number + 1
        names[path] = name
    return names


def _described(facts: Facts) -> Iterator[str]:
    tags, active = facts.tags, facts.active
    light = f", MaxCLL {facts.max_cll:g} cd/m2" if facts.max_cll else ""
    size = f"{facts.width}x{facts.height}, {facts.duration:.1f} s"
    yield f"{size}, {facts.bits} bit {tags.transfer} {tags.primaries}{light}"
    if (active.height, active.width) != (facts.height, facts.width):
        yield f"black bars: the picture is {active.width}x{active.height}"
    yield from facts.warnings
