"""What a user writes down: the recipe, validated, and nothing that is not in it."""

from __future__ import annotations

import glob
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from .errors import RecipeError

Probability = Annotated[float, Field(gt=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_-]+$", max_length=24)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Sampling(_Section):
    """Which moments of a movie are looked at."""

    timestamps_per_movie: int = Field(3000, ge=1)
    """Evenly spaced slots of a movie; ``movies.timestamps`` overrides it for one movie."""
    jitter: float = Field(0.0, ge=0, le=1)
    """0: slot k sits at k × duration / n in every epoch; 1: anywhere in its slot, anew per epoch."""
    frames: int = Field(7, ge=1)
    """Consecutive frames of a window; odd, so that one of them is the centre."""
    frame_size: tuple[int, int] | Literal["native"] = (1920, 1080)
    """Width, height of the working size: larger sources are scaled to fit inside, aspect kept; ``"native"``: as decoded."""
    crop_black_bars: bool = True
    """Keep crops inside the active picture."""
    max_attempts: int = Field(10, ge=1)
    """Windows tried per slot before it is given up."""
    retry_skip: float = Field(2.0, gt=0)
    """Seconds from a refused window to the next attempt; near is cheap, that stretch is being decoded anyway."""
    max_scene_change: float = Field(45.0, gt=0)
    """Mean absolute luma difference, 8-bit SDR codes, first to last frame, above which a window is refused."""
    max_consecutive_rejects: int = Field(1000, ge=1)
    """Slots in a row without a sample after which the stream stops with an error."""

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if self.frames % 2 == 0:
            raise ValueError(f"frames is {self.frames}, expected an odd number: a window has a centre")
        return self


class Tonemap(_Section):
    """How HDR light becomes SDR codes; one static curve per movie."""

    curve: Literal["none", "linear", "gamma", "clip", "reinhard", "hable", "mobius", "bt2390", "bt2446a"] = "mobius"
    reference_white: float = Field(100.0, gt=0)
    """cd/m2 that becomes 1.0 before the curve: 100 as in the old chain, 203 after BT.2408."""
    peak: Annotated[float, Field(gt=0, le=10000)] | Literal["auto"] = "auto"
    """cd/m2 that the curve brings to SDR white; ``"auto"``: MaxCLL, else mastering peak, else 1000."""
    desat: float = Field(2.0, ge=0)
    """Luminance, in units of reference white, above which colours are desaturated; 0: never."""
    hlg_ootf: Literal["per_channel", "luminance"] = "per_channel"
    """HLG display rendering: per channel as zscale does by default, or on luminance as BT.2100 has it."""


class Crop(_Section):
    """Where a patch is cut."""

    candidates: int = Field(1, ge=1, le=64)
    """Take the most detailed of this many random boxes; 1 is plain random."""


Bounds = tuple[float, float]


class Accept(_Section):
    """Measures that a patch must have; a refused patch is drawn again elsewhere in the same window."""

    entropy: float | Bounds | None = None
    """Bits per pixel, 0 to 8: at least this much, or between two bounds."""
    sharpness: float | Bounds | None = None
    """Variance of the Laplacian of 8-bit luma: at least, or between."""
    mean_luma: float | Bounds | None = None
    """8-bit code: at least, or between."""
    clipped: float | Bounds | None = None
    """Share of clipped pixels, 0 to 1: at most, or between."""
    motion: float | Bounds | None = None
    """8-bit codes per frame: at least, or between."""

    def bounds(self) -> dict[str, Bounds]:
        """Measure to (lowest, highest) allowed value, for the measures that are bounded."""
        found: dict[str, Bounds] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, tuple):
                found[name] = value
            elif value is not None:
                found[name] = (0.0, value) if name == "clipped" else (value, float("inf"))
        return found


class Format(_Section):
    """A named patch size."""

    gt: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    """Height, width of the ground truth in pixels; both divisible by ``scale``."""
    scale: int = Field(3, ge=1)
    """``lq`` is this many times smaller."""

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        if self.gt[0] % self.scale or self.gt[1] % self.scale:
            raise ValueError(f"gt is {self.gt[0]}x{self.gt[1]}, expected multiples of scale {self.scale}")
        return self


BUILT_IN_FORMATS: Mapping[str, Format] = {
    "small_540": Format(gt=(540, 540)),
    "medium_169": Format(gt=(405, 720)),
    "large_720": Format(gt=(720, 720)),
    "xlarge_1440": Format(gt=(810, 1440)),
    "fullhd_1920": Format(gt=(1080, 1920)),
}


class Category(_Section):
    """A named set of samples with its own mix of formats."""

    formats: dict[str, Annotated[float, Field(gt=0)]] = Field(min_length=1)
    """Format name to weight; weights need not sum to one."""
    target: int | None = Field(None, ge=1)
    """Samples after which an export has enough of this category."""


def _probabilities(value: object) -> object:
    return dict.fromkeys(value, 1.0) if isinstance(value, (list, tuple)) else value


class Movie(_Section):
    """A video file, the categories it gives, and what to assume where it says nothing."""

    path: str
    """A file, a glob (each match is a movie, named after its file), or a URL that fsspec opens."""
    name: str | None = Field(None, pattern=r"^[a-z0-9_-]+$", max_length=40)
    """Unique; made from the file name when absent."""
    categories: Annotated[dict[str, Probability], BeforeValidator(_probabilities)] = Field(min_length=1)
    """Names, or name to the probability that a slot gives this category."""
    timestamps: int | None = Field(None, ge=1)
    """Slots of this movie instead of ``sampling.timestamps_per_movie``."""
    assume: dict[Literal["transfer", "primaries", "matrix", "range", "chroma_location", "scan"], str] = {}
    """Colour tags for files that carry none, e.g. ``{ transfer = "pq" }``; what the file does say wins."""


class Shards(_Section):
    """How an export is cut into files."""

    runs: int = Field(32, ge=1)
    """Runs of neighbouring slots per shard: the unit of work, of resume, and of loss at an interruption."""
    codec: Literal["png", "webp", "jxl", "qoi", "npy"] = "png"
    """How pictures are stored; all are lossless."""


class Recipe(_Section):
    """Everything that decides what is sampled. Two equal recipes give the same bytes."""

    seed: int = 0
    sampling: Sampling = Sampling()
    tonemap: Tonemap = Tonemap()
    crop: Crop = Crop()
    accept: Accept = Accept()
    shards: Shards = Shards()
    formats: dict[Name, Format] = {}
    """Your own formats, beside the five that are built in."""
    categories: dict[Name, Category] = Field(min_length=1)
    movies: tuple[Movie, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        formats = self.all_formats
        for category, spec in self.categories.items():
            for name in spec.formats:
                if name not in formats:
                    raise ValueError(f"categories.{category}.formats: unknown format {name!r}, {_one_of(formats)}")
        for index, movie in enumerate(self.movies):
            for name in movie.categories:
                if name not in self.categories:
                    raise ValueError(f"movies.{index}.categories: unknown category {name!r}, {_one_of(self.categories)}")
        if self.sampling.frame_size != "native":
            for name in {name for spec in self.categories.values() for name in spec.formats}:
                self._fits(name, formats[name], *self.sampling.frame_size)
        return self

    @staticmethod
    def _fits(name: str, fmt: Format, width: int, height: int) -> None:
        if fmt.gt[0] > height or fmt.gt[1] > width:
            raise ValueError(
                f"formats.{name}.gt: {fmt.gt[0]}x{fmt.gt[1]} (height x width) is larger than "
                f"sampling.frame_size {height}x{width}; make the format smaller or the frame larger"
            )

    @property
    def all_formats(self) -> dict[str, Format]:
        """The built-in formats and the recipe's own, which win."""
        return {**BUILT_IN_FORMATS, **self.formats}

    @property
    def hash(self) -> str:
        """Sixteen hex digits over all that decides what is sampled; a named movie may lie anywhere."""
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
        """A recipe without a file: these movies, one category, one built-in format; other fields as in the file."""
        paths = [movies] if isinstance(movies, (str, Path)) else movies
        return cls.from_dict(
            {
                "categories": {category: {"formats": {format: 1.0}}},
                "movies": [{"path": str(path), "categories": [category]} for path in paths],
                **fields,
            }
        )

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any], *, source: str = "recipe") -> Recipe:
        """Validate a mapping; every complaint names its field.

        Raises:
            RecipeError: with one line per field that is wrong.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise RecipeError("\n".join(f"{source}: {line}" for line in _complaints(error))) from None

    @classmethod
    def load(cls, source: str | Path | Mapping[str, Any] | Recipe) -> Recipe:
        """A recipe from a TOML or JSON file, a mapping, or a recipe. Relative movie paths count from the file's folder.

        Raises:
            RecipeError: if the file cannot be read or says something that cannot be meant.
        """
        if isinstance(source, Recipe):
            return source
        if isinstance(source, Mapping):
            return cls.from_dict(source)
        path = Path(source)
        try:
            text = path.read_text(encoding="utf-8")
            fields = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        except OSError as error:
            raise RecipeError(f"{path}: {error.strerror or error}; write one with `hdrpatches init`") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise RecipeError(f"{path}: not valid {'JSON' if path.suffix == '.json' else 'TOML'}: {error}") from None
        if not isinstance(fields, dict):
            raise RecipeError(f"{path}: expected a table of settings, found {type(fields).__name__}")
        recipe = cls.from_dict(fields, source=str(path))
        folder = path.resolve().parent
        movies = tuple(movie.model_copy(update={"path": _rooted(movie.path, folder)}) for movie in recipe.movies)
        return recipe.model_copy(update={"movies": movies})

    def resolved(self) -> Recipe:
        """The same recipe with globs expanded and every movie named.

        Raises:
            RecipeError: if a file does not exist, a glob matches nothing, or two movies have one name.
        """
        found: dict[str, Movie] = {}
        for index, movie in enumerate(self.movies):
            for path in _matches(index, movie):
                name = movie.name or slug(path)
                if name in found:
                    raise RecipeError(
                        f"movies.{index}: {path} and {found[name].path} are both named {name!r}; "
                        "give one of them another `name`"
                    )
                found[name] = movie.model_copy(update={"path": path, "name": name})
        return self.model_copy(update={"movies": tuple(found.values())})


def is_url(path: str) -> bool:
    """Whether fsspec rather than the file system opens this path."""
    return re.match(r"^[a-z][a-z0-9+.-]+://", path) is not None


def slug(path: str) -> str:
    """A movie's name made from its file name: ``Dune (2021).mkv`` becomes ``dune-2021``."""
    stem = path.rstrip("/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return re.sub(r"[^a-z0-9_]+", "-", stem.lower()).strip("-")[:40] or "movie"


def _rooted(path: str, folder: Path) -> str:
    return path if is_url(path) else str(folder / Path(path).expanduser())


def _matches(index: int, movie: Movie) -> list[str]:
    path = movie.path
    if is_url(path) or Path(path).exists():
        return [path]
    matches = sorted(glob.glob(path, recursive=True))
    if not matches:
        raise RecipeError(
            f"movies.{index}.path: no such file: {path}; correct the path (relative ones count from the recipe's folder) "
            "or remove this entry"
        )
    if len(matches) > 1 and movie.name:
        raise RecipeError(f"movies.{index}.name: {path} matches {len(matches)} files, one name cannot serve them all")
    return matches


def _one_of(names: Mapping[str, object]) -> str:
    return "expected one of: " + ", ".join(sorted(names))


def _complaints(error: ValidationError) -> list[str]:
    lines = []
    for detail in error.errors(include_url=False):
        field = ".".join(str(part) for part in detail["loc"])
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            message = f"unknown key; {_valid_keys(detail['loc'])}"
        elif not isinstance(detail["input"], dict) and detail["type"] != "missing":
            message = f"{message}, found {detail['input']!r}"
        lines.append(f"{field}: {message}" if field else message)
    return lines


def _valid_keys(loc: tuple[int | str, ...]) -> str:
    section: Any = Recipe
    sections = {"sampling": Sampling, "tonemap": Tonemap, "crop": Crop, "accept": Accept, "shards": Shards}
    nested = {"formats": Format, "categories": Category, "movies": Movie}
    if len(loc) > 1:
        section = sections.get(str(loc[0])) or nested[str(loc[0])]
    return "valid here: " + ", ".join(section.model_fields)
