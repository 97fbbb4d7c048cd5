"""MkDocs hooks: the navigation, and the reference of recipe settings, which is generated from the code."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import BaseMetadata
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from torch_hdrpatches.recipe.recipe import Recipe
from torch_hdrpatches.recipe.settings import (
    Accept,
    Category,
    Crop,
    Format,
    Movie,
    Sampling,
    Section,
    Shards,
    Tonemap,
    built_in_formats,
)

NAVIGATION = {
    "Five-minute start": "index.md",
    "Concepts": "concepts.md",
    "Recipe": "recipe.md",
    "Look before you export": "looking.md",
    "Training": "training.md",
    "Experiments": "experiments.md",
    "Export": "export.md",
    "BasicSR, neosr, KAIR, ...": "trainers.md",
    "Clusters": "cluster.md",
    "Colour": "colour.md",
    "Scene stability": "scene-stability.md",
    "Performance": "performance.md",
    "API": "api.md",
    "Troubleshooting": "troubleshooting.md",
    "Comparison with peers": "comparison.md",
    "From the old generator": "migration.md",
}

SECTIONS: dict[str, type[Section]] = {
    "[sampling]": Sampling,
    "[tonemap]": Tonemap,
    "[crop]": Crop,
    "[accept]": Accept,
    "[formats.NAME]": Format,
    "[categories.NAME]": Category,
    "[[movies]]": Movie,
    "[shards]": Shards,
}

SCALES = (2, 3, 4)
"""Scales for which the sizes of the built-in formats are listed."""

REFERENCE, RESULTS = "<!-- reference -->", "<!-- results -->"
MEASURED = Path(__file__).parent.parent / "benchmarks" / "results" / "results.md"


def on_config(config: Any) -> Any:
    """Set the navigation: the pages of ``NAVIGATION`` in this order, then all other pages."""
    pages = {path.name for path in Path(config["docs_dir"]).glob("*.md")}
    ordered = {title: page for title, page in NAVIGATION.items() if page in pages}
    more = {page.removesuffix(".md").capitalize(): page for page in sorted(pages - set(NAVIGATION.values()))}
    config["nav"] = [{title: page} for title, page in {**ordered, **more}.items()]
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the comments ``REFERENCE`` and ``RESULTS`` of a page by the recipe reference and the results."""
    if RESULTS in markdown:
        _, _, results = MEASURED.read_text(encoding="utf-8").partition("\n")  # without its title
        markdown = markdown.replace(RESULTS, results.replace("\n## ", "\n### "))
    return markdown.replace(REFERENCE, recipe_reference())


def recipe_reference() -> str:
    """All sections of a recipe, each as a table of its settings."""
    parts = ["## Top level\n", _table({name: Recipe.model_fields[name] for name in ("seed", "scale")})]
    for title, section in SECTIONS.items():
        parts += [f"## `{title}`\n", f"{(section.__doc__ or '').strip()}\n", _table(section.model_fields)]
    parts += ["## Built-in formats\n", "Height x width of the ground truth, rounded down to multiples of the scale.\n"]
    parts += ["".join(["| name |", *(f" `scale = {scale}` |" for scale in SCALES)]), "|---" * (len(SCALES) + 1) + "|"]
    for name in built_in_formats():
        sizes = [built_in_formats(scale)[name].gt for scale in SCALES]
        parts.append("".join([f"| `{name}` |", *(f" {height} x {width} |" for height, width in sizes)]))
    return "\n".join(parts) + "\n"


def _table(fields: dict[str, FieldInfo]) -> str:
    rows = ["| setting | type and limits | default | meaning |", "|---|---|---|---|"]
    for name, field in fields.items():
        meaning = (field.description or "").replace("``", "`").replace("\n", " ")
        meaning = meaning.replace("|", r"\|")
        rows.append(f"| `{name}`{{ .setting }} | {_type_and_limits(field)} | {_default(field)} | {meaning} |")
    return "\n".join(rows) + "\n"


def _type_and_limits(field: FieldInfo) -> str:
    limits = ", ".join(_limit(limit) for limit in field.metadata if isinstance(limit, BaseMetadata))
    return _type(field.annotation) + (f", {limits}" if limits else "")


def _limit(limit: BaseMetadata) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "at least", "max_length": "at most"}
    return " ".join(
        f"{sign} {getattr(limit, key)}" for key, sign in signs.items() if getattr(limit, key, None) is not None
    )


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f'`"{value}"`' for value in arguments)
    if origin is types.UnionType or str(origin) == "typing.Union":
        return " or ".join(_type(option) for option in arguments if option is not type(None))
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"list of {_type(arguments[0])}"
    if origin is tuple:
        return "[" + ", ".join(_type(item) for item in arguments) + "]"
    if origin is dict:
        return f"table of {_type(arguments[1])}"
    if origin is not None and arguments:  # Annotated
        return _type(arguments[0])
    plain = {int: "integer", float: "number", str: "text", bool: "true or false"}
    return plain.get(annotation, f"`{getattr(annotation, '__name__', annotation)}`")


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "**required**" if field.is_required() else ""
    if field.default is None:
        return "–"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    if isinstance(field.default, tuple):
        return f"`{list(field.default)}`"
    if isinstance(field.default, dict):
        return "–"
    return f'`"{field.default}"`' if isinstance(field.default, str) else f"`{field.default}`"
