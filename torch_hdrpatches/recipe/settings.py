"""The sections of a recipe: every setting with its meaning and limits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from ..color.curves import DEFAULT_CURVE, PRESETS, CurveName, ToneSettings
from ..color.names import ACCEPTED, accepted_name
from ..errors import StorageError
from ..frames import Box
from ..storage.paths import plain_path

Probability = Annotated[float, Field(gt=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_-]+$", max_length=24)]

DEFAULT_SCALE, LARGEST_SCALE = 3, 16
"""Of a recipe."""

Instability: TypeAlias = Literal["cut", "flash", "black", "flat", "fade", "frozen"]

Measure: TypeAlias = Literal["steps", "first_to_last"]


class Section(BaseModel):
    """Base of all sections: immutable, and refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Sampling(Section):
    """Which moments of a movie are sampled, and which windows are refused."""

    timestamps_per_movie: int = Field(3000, ge=1)
    """Evenly spaced slots of a movie; ``movies.timestamps`` overrides it for one movie."""
    jitter: float = Field(0.0, ge=0, le=1)
    """0: slot k of n is at k × duration / n in every epoch; 1: anywhere within its slot, different in every epoch."""
    align: Literal["none", "keyframe"] = "none"
    """``"keyframe"``: a slot's window begins with the keyframe at or before it, so that no other frames have to be
    decoded first. If the slot before has the same keyframe, the slot is refused as ``same_gop``. Biased: only frames
    right after a keyframe are sampled, at most one window per keyframe and epoch."""
    frames: int = Field(7, ge=1)
    """Consecutive frames of a window; odd, so that there is a centre frame."""
    frame_size: tuple[int, int] | Literal["native"] = (1920, 1080)
    """Width, height of the working size: larger movies are scaled down to fit inside, keeping their aspect ratio
    (portrait movies into the size turned upright). ``"native"``: as decoded."""
    crop_black_bars: bool = True
    """Keep crops inside the picture area, without black bars."""
    crops_per_category: int = Field(1, ge=1, le=64)
    """Samples per category and window: more crops of the same moment for one decode."""
    max_attempts: int = Field(10, ge=1)
    """Windows that are tried for one slot before it is given up."""
    retry_skip: float = Field(2.0, gt=0)
    """Seconds from a refused window to the next attempt. Short skips are fast, as those frames are decoded anyway."""
    stability: Measure = "steps"
    """How unstable windows are found: ``"steps"`` compares all neighbouring frames, and finds cuts, flashes, fades,
    repeated, black and flat frames; ``"first_to_last"`` compares only the first with the last frame, as the old
    generator did."""
    tolerate: tuple[Instability, ...] = ()
    """What ``"steps"`` does not refuse, e.g. ``["frozen"]`` for films drawn on twos."""
    max_scene_change: float = Field(45.0, gt=0)
    """``"first_to_last"`` refuses a window above this mean absolute luma difference, in 8-bit SDR codes."""
    max_consecutive_rejects: int = Field(1000, ge=1)
    """Slots in a row without a sample after which the stream stops with an error."""

    @model_validator(mode="after")
    def _odd(self) -> Self:
        if self.frames % 2 == 0:
            raise ValueError(f"frames is {self.frames}, expected an odd number, so that there is a centre frame")
        return self


class Tonemap(Section):
    """How HDR light becomes SDR codes, with one static curve per movie."""

    curve: CurveName = DEFAULT_CURVE
    """Name of the tone curve; ``"none"``: no curve, R, G and B are clipped at reference white one by one."""
    reference_white: float = Field(ToneSettings.reference_white, ge=1, le=10000)
    """cd/m2 that becomes 1.0 before the curve: 100 as in FFmpeg's filters, 203 as in BT.2408."""
    peak: Annotated[float, Field(ge=1, le=10000)] | Literal["auto"] = ToneSettings.peak
    """cd/m2 that the curve maps to SDR white; ``"auto"``: MaxCLL, else the mastering peak, else 1000."""
    desat: float = Field(ToneSettings.desat, ge=0)
    """Luminance, in units of reference white, above which colours are desaturated; 0: never."""
    hlg_ootf: Literal["per_channel", "luminance"] = ToneSettings.hlg_ootf
    """HLG display rendering (OOTF): per channel as zscale does by default, or on luminance as in BT.2100."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, fields: Any) -> Any:
        """``preset = "bt2408"`` sets all keys of this section; keys that are given as well take precedence."""
        if not isinstance(fields, dict) or "preset" not in fields:
            return fields
        own = {name: value for name, value in fields.items() if name != "preset"}
        if fields["preset"] not in PRESETS:
            raise ValueError(f"preset: unknown preset {fields['preset']!r}, expected one of: {', '.join(PRESETS)}")
        return asdict(PRESETS[fields["preset"]]) | own


class Crop(Section):
    """Where patches are cut."""

    candidates: int = Field(1, ge=1, le=64)
    """Take the most detailed of this many random boxes; 1: purely random."""


Bounds = tuple[float, float]


class Accept(Section):
    """Limits on the measures of a patch; a refused patch is drawn again elsewhere in the same window."""

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
        for name, value in self:
            if isinstance(value, tuple):
                found[name] = value
            elif value is not None:
                found[name] = (0.0, value) if name == "clipped" else (value, float("inf"))
        return found


class Format(Section):
    """A named patch size."""

    gt: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    """Height, width of the ground truth in pixels; both divisible by ``scale``."""
    scale: int = Field(DEFAULT_SCALE, ge=1)
    """``lq`` is this many times smaller than ``gt``, in height and in width; the recipe's ``scale`` when absent."""

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        height, width = (max(1, length // self.scale) * self.scale for length in self.gt)
        if (height, width) != self.gt:
            raise ValueError(
                f"gt is {self.gt[0]}x{self.gt[1]} (height x width), expected multiples of scale {self.scale}, "
                f"such as {height}x{width}; or give this format another `scale`"
            )
        return self

    def fits(self, area: Box) -> bool:
        """Whether a ground-truth patch lies inside an active picture area as it is."""
        return self.gt[0] <= area.height and self.gt[1] <= area.width


BUILT_IN_SIZES: Mapping[str, tuple[int, int]] = {
    "small_540": (540, 540),
    "medium_169": (405, 720),
    "large_720": (720, 720),
    "xlarge_1440": (810, 1440),
    "fullhd_1920": (1080, 1920),
}
"""Height, width of the ground truth of the built-in formats; rounded down to multiples of the recipe's scale."""


@cache
def built_in_formats(scale: int = DEFAULT_SCALE) -> Mapping[str, Format]:
    """The built-in formats at a scale of at most ``LARGEST_SCALE``."""
    return {
        name: Format(gt=(height // scale * scale, width // scale * scale), scale=scale)
        for name, (height, width) in BUILT_IN_SIZES.items()
    }


class Category(Section):
    """A named set of samples with its own mix of formats."""

    formats: dict[str, Annotated[float, Field(gt=0)]] = Field(min_length=1)
    """Format name to weight; the weights need not sum to 1."""
    target: int | None = Field(None, ge=1)
    """An export stops at this many samples of the category."""


def _probabilities(value: object) -> object:
    if isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
        return dict.fromkeys(value, 1.0)
    if not isinstance(value, Mapping):
        raise ValueError("expected a list of names of categories, or a table of names to probabilities")
    return value


def _plain_path(value: object) -> object:
    try:
        return plain_path(value) if isinstance(value, (str, os.PathLike)) else value
    except StorageError as error:
        raise ValueError(str(error)) from None


class Movie(Section):
    """A video file, the categories it is sampled for, and what to assume where its tags are missing."""

    path: Annotated[str, BeforeValidator(_plain_path)]
    """A file, a glob (each match is a movie, named after its file), or a URL that fsspec opens. ``~`` and environment
    variables (``$NAME``) are replaced."""
    name: str | None = Field(None, pattern=r"^[a-z0-9_-]+$", max_length=40)
    """Unique name; made from the file name when absent."""
    categories: Annotated[dict[str, Probability], BeforeValidator(_probabilities)] = Field(min_length=1)
    """A list of names, or a table of names to the probability that a slot is sampled for the category."""
    timestamps: int | None = Field(None, ge=1)
    """Number of slots of this movie, instead of ``sampling.timestamps_per_movie``."""
    stretches: tuple[tuple[Annotated[float, Field(ge=0)], float], ...] | None = Field(None, min_length=1)
    """Parts of the movie to sample, as [start, stop] in seconds, in order; the whole movie when absent."""
    assume: dict[str, str] = Field(default_factory=dict)
    """``transfer``, ``primaries``, ``matrix``, ``range`` or ``chroma_location`` of a file that lacks these tags; tags
    in the file take precedence. ``scan = "progressive"`` for a file that is wrongly flagged as interlaced."""

    @field_validator("stretches")
    @classmethod
    def _in_order(cls, stretches: tuple[tuple[float, float], ...] | None) -> tuple[tuple[float, float], ...] | None:
        times = [time for stretch in stretches or () for time in stretch]
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError("expected [start, stop] pairs, each start below its stop and above the stop before it")
        return stretches

    @field_validator("assume")
    @classmethod
    def _known_tags(cls, assume: dict[str, str]) -> dict[str, str]:
        for field, name in assume.items():
            if field == "scan" and name != "progressive":
                raise ValueError(f"scan: only progressive can be assumed, not {name}")
            if field != "scan" and field not in ACCEPTED:
                raise ValueError(f"unknown tag {field!r}, expected one of: {', '.join([*ACCEPTED, 'scan'])}")
        return {field: name if field == "scan" else accepted_name(field, name) for field, name in assume.items()}


class ResolvedMovie(Movie):
    """A movie whose file exists, with its name and its number of slots filled in."""

    name: str
    slots: int = Field(exclude=True)


class Shards(Section):
    """How an export is divided into files."""

    runs: int = Field(32, ge=1)
    """Runs of eight neighbouring slots per shard. An interruption loses the shards that are not finished."""
    codec: Literal["png", "webp", "jxl", "npy"] = "png"
    """Image format in the shards; all are lossless."""
