"""What is wrong with a recipe: one line for each mistake, with the field, what was found and what would be valid."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Path: TypeAlias = tuple[int | str, ...]

WORDS = {
    r" or instance of \w+": "",
    r"\bTuple\b": "List",
    r"\btuple\b": "list",
    r" after validation": "",
}
"""Words of pydantic that a user of TOML does not know, as patterns, and what is said in their place."""


def mistakes(error: ValidationError, model: type[BaseModel], fields: Any) -> Iterator[str]:
    """A line for each mistake in ``fields``, which did not validate as ``model``."""
    by_path: dict[Path, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        by_path.setdefault(_path(detail, fields), []).append(detail)
    for path, details in by_path.items():
        # A list loses its invalid items before its length is checked.
        if details[0]["type"] == "too_short" and any(path == other[: len(path)] != other for other in by_path):
            continue
        field = ".".join(map(str, path))
        message = _message(details, path, model, fields)
        yield f"{field}: {message}" if field else message


def _path(detail: ErrorDetails, fields: Any) -> Path:
    """The keys and indices that lead to the mistake, up to a value that may be of several types.

    Beyond that value, pydantic counts every type that it has tried as a mistake of its own.
    """
    path: Path = ()
    for part in detail["loc"]:
        if not _leads_on(part, fields, detail):
            return path
        path = (*path, part)
        fields = _at(fields, part)
    return path


def _leads_on(part: int | str, fields: Any, detail: ErrorDetails) -> bool:
    if isinstance(fields, Mapping):
        return part in fields or part == "[key]" or detail["type"] == "missing"
    return isinstance(part, int) or not isinstance(fields, (str, int, float, list, tuple, type(None)))


def _at(fields: Any, part: int | str) -> Any:
    if isinstance(fields, Mapping):
        return fields.get(part)
    return fields[part] if isinstance(fields, (list, tuple)) and isinstance(part, int) and part < len(fields) else None


def _message(details: list[ErrorDetails], path: Path, model: type[BaseModel], fields: Any) -> str:
    kind, found = details[0]["type"], details[0]["input"]
    if kind == "extra_forbidden":
        return f"unknown key; {_valid_keys(path, model)}"
    if len(details) > 1:  # one for each type that the value may have
        for part in path:
            fields = _at(fields, part)
        found = fields
    first, *others = (_in_our_words(detail["msg"]) for detail in details)
    message = ", or ".join([first, *(other.removeprefix("Input should be ") for other in others)])
    return message if isinstance(found, dict) or kind == "missing" else f"{message}, found {found!r}"


def _in_our_words(message: str) -> str:
    message = message.removeprefix("Value error, ")
    for pattern, word in WORDS.items():
        message = re.sub(pattern, word, message)
    return message


def _valid_keys(path: Path, model: type[BaseModel]) -> str:
    section: Any = model
    if len(path) > 1:  # the section itself, or the type within a dict or tuple of sections
        annotation = model.model_fields[str(path[0])].annotation
        section = next(part for part in (annotation, *get_args(annotation)) if hasattr(part, "model_fields"))
    return "valid here: " + ", ".join(section.model_fields)
