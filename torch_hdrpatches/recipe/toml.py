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
    for name, spec in recipe.formats.items():  # the default of a format's scale is the recipe's
        own = {} if spec.scale == recipe.scale else {"scale": spec.scale}
        fields["formats"][name] = {"gt": list(spec.gt), **own}
    for movie in fields["movies"]:
        if set(movie["categories"].values()) == {1.0}:
            movie["categories"] = list(movie["categories"])
    return toml_text(fields, {"": comment})


def toml_text(fields: Mapping[str, Any], comments: Mapping[str, str]) -> str:
    """The text of a recipe, given as a mapping; settings that are None are left out.

    ``comments`` are by dotted path. For a setting (``seed``, ``sampling.jitter``) it stands on the same line, for a
    section (``tonemap``, ``movies.0``) in the lines below its title, and for ``""`` at the top of the file.
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
            document.add(name, _item(value, comments.get(name, "")))
            document.add(tomlkit.nl())
    return tomlkit.dumps(document)


def _table(settings: Mapping[str, Any], path: str, comments: Mapping[str, str]) -> Table:
    table = tomlkit.table()
    _comment(table, comments.get(path, ""))
    for name, value in settings.items():
        if value is not None:
            table.add(name, _item(value, comments.get(f"{path}.{name}", "")))
    table.add(tomlkit.nl())
    return table


def _item(value: Any, comment: str) -> Item:
    item: Item = tomlkit.item(value)
    if isinstance(value, Mapping):
        inline = tomlkit.inline_table()
        inline.update(value)
        item = inline
    return item.comment(comment) if comment else item


def _comment(container: tomlkit.TOMLDocument | Table, text: str) -> None:
    for line in text.splitlines():
        container.add(tomlkit.comment(line))
