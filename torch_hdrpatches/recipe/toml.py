"""Recipes as commented TOML text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomlkit
from tomlkit.items import Item, Table

from .recipe import Recipe


def recipe_toml(recipe: Recipe, comment: str = "") -> str:
    """The text of a recipe without the settings that are at their defaults. ``Recipe.load`` reads the same recipe."""
    fields = {"seed": recipe.seed} | recipe.model_dump(mode="json", exclude_defaults=True)
    for movie in fields["movies"]:
        if set(movie["categories"].values()) == {1.0}:
            movie["categories"] = list(movie["categories"])
    return toml_text(fields, {"": comment})


def toml_text(fields: Mapping[str, Any], comments: Mapping[str, str]) -> str:
    """The text of a recipe, given as a mapping; settings that are None are left out.

    ``comments`` are by dotted path. For a setting (``sampling.jitter``) it stands on the same line, for a section
    (``tonemap``, ``movies.0``) in the lines below its title, and for ``""`` at the top of the file.
    """
    document = tomlkit.document()
    _comment(document, comments.get("", ""))
    for name, value in fields.items():
        if name == "movies":
            movies = tomlkit.aot()
            for index, movie in enumerate(value):
                movies.append(_table(movie, f"{name}.{index}", comments))
            document.add(name, movies)
        elif name in ("formats", "categories"):
            group = tomlkit.table(is_super_table=True)
            for key, settings in value.items():
                group.add(key, _table(settings, f"{name}.{key}", comments))
            document.add(name, group)
        elif isinstance(value, Mapping):
            document.add(name, _table(value, name, comments))
        else:
            document.add(name, tomlkit.item(value))
            document.add(tomlkit.nl())
    return tomlkit.dumps(document)


def _table(settings: Mapping[str, Any], path: str, comments: Mapping[str, str]) -> Table:
    table = tomlkit.table()
    _comment(table, comments.get(path, ""))
    for name, value in settings.items():
        if value is not None:
            item = _item(value)
            if comment := comments.get(f"{path}.{name}"):
                item.comment(comment)
            table.add(name, item)
    table.add(tomlkit.nl())
    return table


def _item(value: Any) -> Item:
    if isinstance(value, Mapping):
        inline = tomlkit.inline_table()
        inline.update(value)
        return inline
    item: Item = tomlkit.item(value)
    return item


def _comment(container: tomlkit.TOMLDocument | Table, text: str) -> None:
    for line in text.splitlines():
        container.add(tomlkit.comment(line))
