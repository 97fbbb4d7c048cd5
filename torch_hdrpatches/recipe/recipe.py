"""The recipe: everything that a user writes down, loaded and validated."""

from __future__ import annotations

import glob
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from ..errors import RecipeError
from ..frames import Box
from ..storage.folder import matching_files
from ..storage.paths import plain_path, unset_variables
from ..storage.remote import is_url
from .messages import mistakes
from .settings import (
    DEFAULT_SCALE,
    LARGEST_SCALE,
    Accept,
    Category,
    Crop,
    Format,
    Movie,
    Name,
    ResolvedMovie,
    Sampling,
    Section,
    Shards,
    Tonemap,
    built_in_formats,
)
from .sources import plain, read_fields


class Recipe(Section):
    """All settings of a stream. Equal recipes give equal samples."""

    seed: int = 0
    """The seed of all random numbers."""
    scale: int = Field(DEFAULT_SCALE, ge=1, le=LARGEST_SCALE)
    """``lq`` is this many times smaller than ``gt``, in the built-in formats and in your own without a ``scale``."""
    sampling: Sampling = Sampling()
    tonemap: Tonemap = Tonemap()
    crop: Crop = Crop()
    accept: Accept = Accept()
    shards: Shards = Shards()
    formats: dict[Name, Format] = Field(default_factory=dict)
    """Your own formats, besides the five built-in ones."""
    categories: dict[Name, Category] = Field(min_length=1)
    movies: tuple[Movie, ...] = Field(min_length=1)

    @field_validator("formats", mode="before")
    @classmethod
    def _at_the_recipes_scale(cls, formats: Any, info: ValidationInfo) -> Any:
        if not isinstance(formats, Mapping):
            return formats
        scale = info.data.get(
            "scale", 1
        )  # absent if it is invalid: then no format is to blame, and 1 divides all sizes
        return {name: {"scale": scale, **spec} if isinstance(spec, Mapping) else spec for name, spec in formats.items()}

    @model_serializer(mode="wrap")
    def _without_the_default_scale(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # So that recipes without this setting keep their hash and their identity.
        fields: dict[str, Any] = serialize(self)
        return {name: value for name, value in fields.items() if (name, value) != ("scale", DEFAULT_SCALE)}

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        formats, size = self.all_formats, self.sampling.frame_size
        for category, spec in self.categories.items():
            _check_names(f"categories.{category}.formats: unknown format", spec.formats, formats)
            for name in spec.formats:
                gt = formats[name].gt
                if size != "native" and (min(gt) > min(size) or max(gt) > max(size)):  # either way up
                    raise ValueError(
                        f"formats.{name}.gt: {gt[0]}x{gt[1]} (height x width) is larger than "
                        f"sampling.frame_size {size[1]}x{size[0]}; make the format smaller or the frame larger"
                    )
        for index, movie in enumerate(self.movies):
            _check_names(f"movies.{index}.categories: unknown category", movie.categories, self.categories)
        return self

    @property
    def all_formats(self) -> dict[str, Format]:
        """The built-in formats at the recipe's scale and the recipe's own, which take precedence."""
        return {**built_in_formats(self.scale), **self.formats}

    @property
    def hash(self) -> str:
        """Sixteen hex digits over all settings; the paths of named movies do not count."""
        fields = self.model_dump(mode="json")
        for movie in fields["movies"]:
            if movie["name"]:
                del movie["path"]
        text = json.dumps(fields, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @classmethod
    def of(
        cls,
        movies: str | Path | Sequence[str | Path],
        *,
        format: str = "small_540",
        category: str = "all",
        **fields: Any,
    ) -> Recipe:
        """A recipe without a file, with one category of one format; other fields as in a file, e.g. ``scale=4``."""
        paths = [movies] if isinstance(movies, (str, Path)) else movies
        entries = [{"path": path, "categories": [category]} for path in paths]
        return cls.from_dict({"categories": {category: {"formats": {format: 1.0}}}, "movies": entries} | fields)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any], *, source: str = "recipe") -> Recipe:
        """Validate a mapping, which may be, or hold, configurations of OmegaConf.

        Raises:
            RecipeError: with one line per invalid field.
        """
        try:
            fields = plain(fields)
            return cls.model_validate(fields)
        except ValidationError as error:
            lines = mistakes(error, cls, fields)
            raise RecipeError("\n".join(f"{source}: {line}" for line in lines)) from None
        except ValueError as error:
            raise RecipeError(f"{source}: {error}") from None

    @classmethod
    def load(cls, source: str | Path | Mapping[str, Any] | Recipe) -> Recipe:
        """A recipe from a TOML, JSON or YAML file, a mapping, or a recipe.

        In paths, ``~`` and ``$NAME`` are replaced; movie paths are relative to the file's folder.

        Raises:
            RecipeError: if the file cannot be read, or the recipe is invalid.
            MissingExtraError: for YAML, if PyYAML is not installed.
        """
        if isinstance(source, Recipe):
            return source
        if isinstance(source, Mapping):
            return cls.from_dict(source)
        if not isinstance(source, (str, Path)):
            raise RecipeError(f"expected a path, a mapping or a Recipe, found {type(source).__name__}")
        path = Path(plain_path(source))
        recipe = cls.from_dict(read_fields(path), source=str(path))
        folder = path.resolve().parent
        movies = tuple(movie.model_copy(update={"path": _rooted(movie.path, folder)}) for movie in recipe.movies)
        return recipe.model_copy(update={"movies": movies})

    def fitting_formats(self, category: str, area: Box) -> dict[str, float]:
        """The formats of a category, with their weights, whose patches fit inside an active picture area."""
        formats = self.all_formats
        return {name: weight for name, weight in self.categories[category].formats.items() if formats[name].fits(area)}

    def resolved(self) -> ResolvedRecipe:
        """The same recipe with globs expanded and every movie named.

        Raises:
            RecipeError: if a file does not exist, a glob matches no file, or two movies have the same name.
        """
        found: dict[str, ResolvedMovie] = {}
        for index, movie in enumerate(self.movies):
            for path in _matches(index, movie):
                name = movie.name or slug(path)
                if name in found:
                    raise RecipeError(
                        f"movies.{index}: {path} and {found[name].path} are both named {name!r}; "
                        "give one of them another `name`"
                    )
                slots = movie.timestamps or self.sampling.timestamps_per_movie
                known = dict(movie) | {"path": path, "name": name, "slots": slots}
                found[name] = ResolvedMovie.model_construct(movie.model_fields_set | {"name"}, **known)
        fields = dict(self) | {"movies": tuple(found.values())}
        return ResolvedRecipe.model_construct(self.model_fields_set, **fields)


class ResolvedRecipe(Recipe):
    """A recipe whose movies are files that exist, with names and numbers of slots."""

    movies: tuple[ResolvedMovie, ...]


def slug(path: str) -> str:
    """A movie name from a file name: ``Dune (2021).mkv`` becomes ``dune-2021``."""
    stem = path.rstrip("/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return re.sub(r"[^a-z0-9_]+", "-", stem.lower()).strip("-")[:40] or "movie"


def _rooted(path: str, folder: Path) -> str:
    return path if is_url(path) else str(folder / path)


def unique_slug(path: str, taken: Collection[str]) -> str:
    """A movie name from a file name, numbered if it is taken."""
    name, number = slug(path), 2
    while name in taken:
        name, number = f"{slug(path)[:36]}-{number}", number + 1
    return name


def _matches(index: int, movie: Movie) -> list[str]:
    path = movie.path.removeprefix("file://")
    if not is_url(path) and _is_there(path):
        return [path]
    # Not Path.glob: the pattern may be absolute.
    matches = matching_files(path) if is_url(path) else sorted(glob.glob(path, recursive=True))  # noqa: PTH207
    if not matches:
        raise RecipeError(
            f"movies.{index}.path: no such file: {path}{unset_variables(path)}; correct the path (relative paths start "
            "at the recipe's folder) or remove this entry"
        )
    if len(matches) > 1 and movie.name:
        raise RecipeError(f"movies.{index}.name: {path} matches {len(matches)} files; remove `name`")
    return matches


def _is_there(path: str) -> bool:
    """Whether there is something at a path; what cannot be looked at is said when it is opened as a movie."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return not glob.has_magic(path)
    return True


def _check_names(message: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{message} {name!r}, expected one of: {', '.join(sorted(known))}")
