"""Recipes from the old generator's ``generator_config.json``, with a note on what became of each setting."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RecipeError
from ..storage.paths import plain_path
from .recipe import Recipe, unique_slug
from .settings import built_in_formats
from .toml import toml_text

SETTINGS = {
    "base_frame_limit": "timestamps_per_movie",
    "lr_versions": "frames",
    "scene_diff_threshold": "max_scene_change",
    "max_retry_attempts": "max_attempts",
    "retry_skip_seconds": "retry_skip",
}
"""Old settings to settings of ``[sampling]``."""

NOT_APPLICABLE = {
    "max_workers": "give it to the command: hdrpatches export RECIPE OUT --workers {value}",
    "workers": "give it to the command: hdrpatches export RECIPE OUT --workers {value}",
    "output_base_dir": "give it to the command: hdrpatches export RECIPE {value}",
    "temp_dir": "no temporary files are written outside of the output folder",
    "status_file": "an export resumes from its finished shards",
    "min_file_size": "shards carry checksums; [accept] entropy or sharpness refuses flat patches",
    "priority": "movies are sampled evenly, in an order that depends on the seed",
    "val_percent": "hdrpatches split RECIPE --share SHARE makes recipes without a shared shot",
}
"""Old settings that a recipe does not have, and what to do instead."""


@dataclass(frozen=True, slots=True)
class Note:
    """What became of one old setting."""

    setting: str
    value: str
    became: str
    """The recipe's setting, or why it does not apply and what to do instead."""
    applies: bool = True


@dataclass(frozen=True, slots=True)
class Converted:
    """A recipe, its TOML text, and what became of every old setting."""

    recipe: Recipe
    text: str
    notes: tuple[Note, ...]


def convert(source: str | Path) -> Converted:
    """Read the old generator's JSON; raises RecipeError if it cannot be read or has invalid values."""
    path = Path(plain_path(source))
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise RecipeError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(old, dict) or not {"base_settings", "format_config", "videos"} <= old.keys():
        raise RecipeError(
            f"{path}: expected the old generator's base_settings, format_config and videos; for a configuration that "
            "names folders, `hdrpatches init FOLDERS` writes a recipe"
        )
    try:
        conversion = _Conversion(old)
        recipe = Recipe.from_dict(conversion.fields, source=str(path))
    except RecipeError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecipeError(f"{path}: not what the old generator wrote: {error!r}") from None
    return Converted(recipe, conversion.text(), tuple(conversion.notes))


class _Conversion:
    """The conversion of one configuration; collects notes while its parts are read."""

    def __init__(self, old: Mapping[str, Any]) -> None:
        self.old = old
        self.notes: list[Note] = []
        self.formats: dict[str, dict[str, Any]] = {}
        self.titles: list[str] = []
        self.fields: dict[str, Any] = {
            "sampling": self._sampling(old["base_settings"]),
            "formats": self.formats,
            "categories": {self._name(name): self._category(name) for name in old["format_config"]},
            "movies": list(self._movies()),
        }
        for name, value in old.items():
            if name not in ("base_settings", "category_targets", "format_config", "videos"):
                self._unused(name, value)
        for name in old.get("category_targets", {}).keys() - old["format_config"].keys():
            self._unused(f"category_targets.{name}", old["category_targets"][name], "it has no formats")

    def text(self) -> str:
        """The recipe as TOML, with the old titles and weights as comments."""
        comments = {f"movies.{index}": title for index, title in enumerate(self.titles)}
        comments[""] = "Converted from the old generator's configuration."
        comments["tonemap"] = "what the old ffmpeg command did"
        tonemap = {"curve": "mobius", "reference_white": 100.0, "desat": 2.0}
        return toml_text({"seed": 0, "sampling": self.fields["sampling"], "tonemap": tonemap, **self.fields}, comments)

    def _note(self, setting: str, value: object, became: str, *, applies: bool = True) -> None:
        self.notes.append(Note(setting, value if isinstance(value, str) else json.dumps(value), became, applies))

    def _sampling(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        sampling: dict[str, Any] = {}
        for name, value in settings.items():
            if name not in SETTINGS:
                self._unused(f"base_settings.{name}", value)
                continue
            new, more = value, ""
            if name == "base_frame_limit":
                new = int(value)
            elif name == "lr_versions":
                new = max(int(re.sub(r"\D", "", version)) for version in value)
                more = f"; fewer frames are lq[:, 1:-1] when training on {new}" if len(value) > 1 else ""
            elif name == "scene_diff_threshold":
                sampling |= {SETTINGS[name]: value, "stability": "first_to_last"}
                more = ', with stability = "first_to_last"; without both, neighbouring frames are compared'
            sampling[SETTINGS[name]] = new
            self._note(f"base_settings.{name}", value, f"sampling.{SETTINGS[name]} = {new}{more}")
        return sampling

    def _category(self, name: str) -> dict[str, Any]:
        weights: dict[str, float] = {}
        for fmt, spec in self.old["format_config"][name].items():
            if not spec["probability"]:
                self._note(f"format_config.{name}.{fmt}", spec, "left out: its probability is 0", applies=False)
                continue
            weights[self._format(name, fmt, spec)] = spec["probability"]
            for key, value in spec.items():
                if key not in ("gt_size", "lr_size", "probability"):
                    self._unused(f"format_config.{name}.{fmt}.{key}", value)
        target = self.old.get("category_targets", {}).get(name)
        if target:
            self._note(f"category_targets.{name}", target, f"categories.{self._name(name)}.target = {target}")
        return {"target": target, "formats": weights} if target else {"formats": weights}

    def _format(self, category: str, name: str, spec: Mapping[str, Any]) -> str:
        """The new name of a format. Sizes are width, height in the old file."""
        width, height = spec["gt_size"]
        built_in, own, note = built_in_formats().get(name), self._name(name), ""
        if built_in and (height, width) == built_in.gt[::-1] != built_in.gt:
            # Some configurations have the height first; the name of the format tells.
            (height, width), note = built_in.gt, "; written height first, as the format's name tells"
        scale = round(sum(spec["gt_size"]) / sum(spec["lr_size"])) if "lr_size" in spec else 3
        size = {"gt": [height, width], "scale": scale}
        if not (built_in and (height, width, scale) == (*built_in.gt, built_in.scale)):
            own = own if self.formats.get(own, size) == size else self._name(f"{name}_{category}")
            self.formats[own] = size
        what = f"categories.{self._name(category)}.formats.{own} = {spec['probability']}"
        self._note(f"format_config.{category}.{name}", spec, f"{what}, {height}x{width} (height x width){note}")
        return own

    def _movies(self) -> Iterator[dict[str, Any]]:
        limit, names = int(self.old["base_settings"]["base_frame_limit"]), list[str]()
        for index, video in enumerate(self.old["videos"]):
            title = str(video.get("name") or Path(video["path"]).stem)
            given = video.get("categories") or {}
            weights = dict(given) if isinstance(given, dict) else dict.fromkeys(given, 1.0)
            weights = {name: weight for name, weight in weights.items() if weight}
            where = f"videos.{index} ({title})"
            if not weights:
                self._note(where, given, "left out: it has no category", applies=False)
                continue
            plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
            names.append(unique_slug(f"{plain}.mkv", names))
            # A sum of weights like 0.7 + 0.1 + 0.2 misses 1 by a rounding error.
            slots = int(limit * sum(weights.values()) + 1e-6)
            shares = ", ".join(f"{category} {weight:g}" for category, weight in weights.items())
            self.titles.append(f"{title}: {shares}")
            categories = [self._name(category) for category in weights]
            self._note(where, weights, f"{slots} slots, each giving {', '.join(categories)}")
            for key in video.keys() - {"name", "path", "categories"}:
                self._unused(f"{where}.{key}", video[key])
            movie = {"path": video["path"], "name": names[-1], "categories": categories}
            yield movie if slots == limit else movie | {"timestamps": slots}

    def _unused(self, setting: str, value: object, why: str = "") -> None:
        last = setting.rsplit(".", 1)[-1]
        why = why or ("a comment" if last.startswith("_") else NOT_APPLICABLE.get(last, "unknown; left out"))
        self._note(setting, value, why.format(value=value), applies=False)

    @staticmethod
    def _name(name: str) -> str:
        return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")[:24]
