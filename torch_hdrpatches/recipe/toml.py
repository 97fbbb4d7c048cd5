"""Recipes as TOML text: the standard library reads TOML and does not write it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .recipe import Recipe


def toml_value(value: Any) -> str:
    """A value on one line: text, numbers, truth, lists, and tables in braces."""
    if isinstance(value, str):
        # JSON strings are TOML strings, but for DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{toml_key(key)} = {toml_value(inner)}" for key, inner in value.items()) + " }"
    return "[" + ", ".join(toml_value(inner) for inner in value) + "]"


def toml_key(key: str) -> str:
    """A key, in quotes where it needs them."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_value(key)


def recipe_toml(recipe: Recipe, comment: str = "") -> str:
    """The text of a recipe; what is default is left out. ``Recipe.load`` gives the same recipe back."""
    return "\n".join(_lines(recipe, comment)) + "\n"


def _lines(recipe: Recipe, comment: str) -> Iterator[str]:
    yield from (f"# {line}".rstrip() for line in comment.splitlines())
    yield f"seed = {recipe.seed}"
    fields = recipe.model_dump(mode="json", exclude_defaults=True)
    for section in ("sampling", "tonemap", "crop", "accept", "shards"):
        if section in fields:
            yield from ("", f"[{section}]", *_settings(fields[section]))
    for table in ("formats", "categories"):
        for name, settings in fields.get(table, {}).items():
            yield from ("", f"[{table}.{toml_key(name)}]", *_settings(settings))
    for movie in fields["movies"]:
        yield from ("", "[[movies]]", *_settings(_short(movie)))


def _settings(settings: Mapping[str, Any]) -> Iterator[str]:
    return (f"{toml_key(key)} = {toml_value(value)}" for key, value in settings.items() if value is not None)


def _short(movie: dict[str, Any]) -> dict[str, Any]:
    certain = all(probability == 1.0 for probability in movie["categories"].values())
    return movie | {"categories": list(movie["categories"])} if certain else movie
