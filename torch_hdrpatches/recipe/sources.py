"""What a recipe is written in (TOML, JSON, YAML, mappings, OmegaConf) as dicts and lists that can be checked."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import MissingExtraError, RecipeError


def read_fields(path: Path) -> dict[str, Any]:
    """The settings in a recipe file: ``.json``, ``.yaml`` and ``.yml`` by their suffixes, all others are TOML.

    Raises RecipeError if the file cannot be read, and MissingExtraError for YAML if PyYAML is not installed.
    """
    parsers: dict[str, tuple[str, Callable[[str], Any]]] = {
        ".json": ("JSON", json.loads),
        ".yaml": ("YAML", _yaml),
        ".yml": ("YAML", _yaml),
    }
    language, parse = parsers.get(path.suffix.lower(), ("TOML", tomllib.loads))
    try:
        fields = parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror or error}; write one with `hdrpatches init`") from None
    except ImportError:
        raise MissingExtraError(f"{path}: YAML needs PyYAML; pip install 'torch_hdrpatches[yaml]'") from None
    except ValueError as error:
        raise RecipeError(f"{path}: not valid {language}: {error}") from None
    if not isinstance(fields, dict):
        raise RecipeError(f"{path}: expected a table of settings, found {type(fields).__name__}")
    return fields


def plain(value: Any) -> Any:
    """A value with every mapping in it as a dict, and with OmegaConf's configurations as the dicts and lists they hold.

    Interpolations (``${...}``) are resolved. Raises ValueError if one cannot be, or if a value is missing (``???``).
    """
    omegaconf = sys.modules.get("omegaconf")  # no value is one of its configurations if nobody has imported it
    if omegaconf and omegaconf.OmegaConf.is_config(value):
        try:
            value = omegaconf.OmegaConf.to_container(value, resolve=True, throw_on_missing=True)
        except omegaconf.errors.OmegaConfBaseException as error:
            where = f"{error.full_key}: " if error.full_key else ""
            raise ValueError(where + str(error).partition("\n")[0]) from None
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return type(value)(map(plain, value)) if type(value) in (list, tuple) else value


def _yaml(text: str) -> Any:
    import yaml  # of the extra `yaml`

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
