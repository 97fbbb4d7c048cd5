"""Everything that a stream depends on, as flat keys, so that two streams can be compared key by key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import MovieError, StateError
from ..recipe.recipe import Recipe
from ..state_names import state_name
from ..storage.remote import is_url, version_of
from ..video.movie_file import MovieFile

CATEGORY_DRAWS = 2
"""Version of how categories with a probability below 1 are drawn. Recipes without one do not depend on it."""

MOST_NAMES = 16
"""Number of categories, and of formats, that ``digests`` still tells apart."""

HINTS = {
    "num_workers": "PatchLoader resumes with any number of workers",
    "category_draws_version": "an earlier version of this package drew categories with a probability in another way",
}


def identity_of(recipe: Recipe, options: Mapping[str, object]) -> dict[str, Any]:
    """All settings, options and movie files that samples depend on, without the files' paths.

    ``options`` are ``SampleOptions``, or their names as in ``PatchStream.names``.
    """
    fields: dict[str, Any] = {name: state_name(value) for name, value in options.items()}
    dump = recipe.model_dump(mode="json")
    if any(share < 1 for movie in recipe.movies for share in movie.categories.values()):
        fields["category_draws_version"] = CATEGORY_DRAWS
    # The stream's order follows that of movies and of their categories.
    fields["movies"] = [[movie["name"], list(movie["categories"])] for movie in dump["movies"]]
    for movie in dump.pop("movies"):
        path = movie.pop("path")
        fields |= _flat(f"movies.{movie.pop('name')}", movie | {"file": _file(path)})
    return fields | _flat("", dump)


def differing(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The keys whose values differ between two identities, sorted."""
    return sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))


def describe_differences(found: Mapping[str, Any], wanted: Mapping[str, Any], keys: Sequence[str]) -> str:
    """The differing keys with both values, at most five: ``seed (0 -> 7), output ('sdr' -> 'hdr') and 2 more``."""
    named = ", ".join(f"{key} ({found.get(key)!r} -> {wanted.get(key)!r})" for key in keys[:5])
    return named + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")


def check_state(saved: Mapping[str, Any], own: Mapping[str, Any], keys: tuple[str, ...] = ()) -> None:
    """Raise StateError if a saved state differs from the present one in version, identity or one of these keys."""
    found, expected = saved.get("version"), own["version"]
    if found != expected:
        earlier = isinstance(found, int) and found < expected
        reason = "; it was saved by an earlier version of this package" if earlier else ""
        raise StateError(f"the state has version {found!r}, expected {expected}{reason}")
    parts = [dict(state.get("identity", {})) | {key: state.get(key) for key in keys} for state in (saved, own)]
    if differences := differing(*parts):
        hints = [hint for key, hint in HINTS.items() if key in differences]
        what = "; ".join([", ".join(differences), *hints])
        raise StateError(f"the state belongs to another stream; differing: {what}")


def digests(identity: Mapping[str, Any]) -> dict[str, str]:
    """A short form: eight hex digits per key, with one key for all movies, and one per category and format.

    More than ``MOST_NAMES`` categories, or formats, have one key together, so that a saved state stays small.
    """
    sections: dict[str, set[str]] = {"categories": set(), "formats": set()}
    for key in identity:
        section, *names = key.split(".")
        if section in sections:
            sections[section].update(names[:1])
    depths = {"movies": 0} | {section: int(len(names) <= MOST_NAMES) for section, names in sections.items()}
    grouped: dict[str, dict[str, Any]] = {}
    for key, value in identity.items():
        section, *names = key.split(".")
        depth = depths.get(section, len(names))
        grouped.setdefault(".".join([section, *names[:depth]]), {})[key] = value
    return {
        name: hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
        for name, values in grouped.items()
    }


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(f"{prefix}.{key}" if prefix else key, inner)
    return flat


def _file(path: str) -> dict[str, Any]:
    """What is different once a movie's file has another content, or can no longer be opened."""
    try:
        with MovieFile(path) as file:
            head = hashlib.sha256(file.read(1 << 16)).hexdigest()[:16]
    except MovieError as failure:
        if is_url(path):
            raise
        return {"unusable": failure.reason}
    if is_url(path):
        size, mark = version_of(path)
        return {"size": size, "mark": mark, "head": head}
    size, mtime = file.version
    return {"size": size, "mtime": mtime, "head": head}
