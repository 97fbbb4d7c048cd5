"""Builds the navigation from the pages that exist, and the recipe reference from the settings themselves."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import BaseMetadata
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from torch_hdrpatches import Recipe
from torch_hdrpatches.recipe.settings import (
    BUILT_IN_FORMATS,
    Accept,
    Category,
    Crop,
    Format,
    Movie,
    Sampling,
    Section,
    Shards,
    Tonemap,
)

NAVIGATION = {
    "Five-minute start": "index.md",
    "Concepts": "concepts.md",
    "Recipe": "recipe.md",
    "Look before you export": "looking.md",
    "Training": "training.md",
    "Experiments": "experiments.md",
    "Export": "export.md",
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

REFERENCE, RESULTS = "<!-- reference -->", "<!-- results -->"
MEASURED = Path(__file__).parent.parent / "benchmarks" / "results" / "results.md"


def on_config(config: Any) -> Any:
    """Give the pages that are there their order; pages that nobody ordered come last."""
    pages = {path.name for path in Path(config["docs_dir"]).glob("*.md")}
    ordered = {title: page for title, page in NAVIGATION.items() if page in pages}
    more = {page.removesuffix(".md").capitalize(): page for page in sorted(pages - set(NAVIGATION.values()))}
    config["nav"] = [{title: page} for title, page in {**ordered, **more}.items()]
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the recipe reference and the benchmark's results where a page asks for them."""
    if RESULTS in markdown:
        _, _, results = MEASURED.read_text(encoding="utf-8").partition("\n")  # without its title
        markdown = markdown.replace(RESULTS, results.replace("\n## ", "\n### "))
    return markdown.replace(REFERENCE, recipe_reference())


def recipe_reference() -> str:
    """Every section of a recipe as a table of its settings."""
    parts = ["## Top level\n", _table({"seed": Recipe.model_fields["seed"]})]
    for title, section in SECTIONS.items():
        parts += [f"## `{title}`\n", f"{(section.__doc__ or '').strip()}\n", _table(section.model_fields)]
    parts += ["## Built-in formats\n", "| name | ground truth, height x width | scale |\n|---|---|---|"]
    parts += [f"| `{name}` | {fmt.gt[0]} x {fmt.gt[1]} | {fmt.scale} |" for name, fmt in BUILT_IN_FORMATS.items()]
    return "\n".join(parts) + "\n"


def _table(fields: dict[str, FieldInfo]) -> str:
    rows = ["| setting | what it may be | when absent | meaning |", "|---|---|---|---|"]
    for name, field in fields.items():
        meaning = (field.description or "The seed of all random numbers.").replace("``", "`").replace("\n", " ")
        rows.append(
            f"| `{name}`{{ .setting }} | {_kind(field)} | {_default(field)} | {meaning.replace('|', chr(92) + '|')} |"
        )
    return "\n".join(rows) + "\n"


def _kind(field: FieldInfo) -> str:
    limits = ", ".join(_limit(limit) for limit in field.metadata if isinstance(limit, BaseMetadata))
    return _type(field.annotation) + (f", {limits}" if limits else "")


def _limit(limit: BaseMetadata) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "at least", "max_length": "at most"}
    return " ".join(
        f"{sign} {getattr(limit, key)}" for key, sign in signs.items() if getattr(limit, key, None) is not None
    )


def _type(kind: Any) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ", ".join(f'`"{value}"`' for value in arguments)
    if origin is types.UnionType or str(origin) == "typing.Union":
        return " or ".join(_type(one) for one in arguments if one is not type(None))
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"list of {_type(arguments[0])}"
    if origin is tuple:
        return "[" + ", ".join(_type(one) for one in arguments) + "]"
    if origin is dict:
        return f"table of {_type(arguments[1])}"
    if origin is not None and arguments:  # Annotated
        return _type(arguments[0])
    plain = {int: "integer", float: "number", str: "text", bool: "true or false"}
    return plain.get(kind, f"`{getattr(kind, '__name__', kind)}`")


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
