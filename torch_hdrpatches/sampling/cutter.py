"""Cuts the samples of one movie out of its windows: crop, tone curve, degradation, labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from ..color.curves import ToneSettings, UserCurve, peak_nits
from ..color.grader import Grader
from ..errors import UnsupportedMovieError, WindowError
from ..frames import Box, Plane, Planes, Window
from ..recipe.recipe import Recipe
from ..recipe.settings import Format
from ..rng import rng_at, uniform_at
from ..transforms.degrade import Degrade
from ..video.facts import Facts
from .geometry import Geometry, random_box
from .measures import Measures, measure, sharpness
from .sample import GroundTruth, Output, Sample, SampleAddress, Transform, name_of
from .scene import Stability, judge

BOXES_PER_WINDOW = 4
"""Boxes tried in one window before a category whose patches ``[accept]`` refuses goes without."""


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """How a window becomes samples: what the caller chooses beside the recipe."""

    output: Output
    gt: GroundTruth
    degrade: Degrade
    transform: Transform | None = None
    curve: UserCurve | None = None
    accept: Callable[[Sample], bool] | None = None


class Cutter:
    """Cuts the samples of one movie: everything that is decided once per movie, and no decoder.

    Raises ``UnsupportedMovieError`` for an SDR movie where HDR signal is wanted.
    """

    def __init__(self, recipe: Recipe, facts: Facts, making: SampleOptions) -> None:
        self.recipe = recipe
        self.facts = facts
        self.making = making
        self.geometry = Geometry.of(facts, recipe.sampling)
        tone, tags = recipe.tonemap, facts.tags
        is_hdr = tags.transfer in ("pq", "hlg")
        if making.output != "sdr" and not is_hdr:
            raise UnsupportedMovieError(
                facts.path, f"is SDR ({tags.transfer}), and has no HDR signal", 'leave it out, or use output="sdr"'
            )
        peak = peak_nits(facts.max_cll, facts.mastering_peak)[0] if tone.peak == "auto" else tone.peak
        settings = ToneSettings(making.curve or tone.curve, tone.reference_white, peak, tone.desat, tone.hlg_ootf)
        # Of the same curve for every recipe: another tone curve changes no decision, only the pictures.
        known_peak, _ = peak_nits(facts.max_cll, facts.mastering_peak)
        self.grey = Grader(tags, facts.bits, ToneSettings(), known_peak).grey
        self.grader = Grader(tags, 16 if self.geometry.is_scaled else facts.bits, settings, peak)
        self.tonemap: dict[str, str | float] = {
            "curve": (name_of(making.curve) if making.curve else tone.curve) if is_hdr else "none",
            "peak": float(peak) if is_hdr else 0.0,
            "reference_white": tone.reference_white if is_hdr else 0.0,
        }
        self.source: dict[str, str | float] = {
            "transfer": tags.transfer,
            "primaries": tags.primaries,
            "matrix": tags.matrix,
            "range": tags.range,
            "bits": facts.bits,
            "mastering_peak": facts.mastering_peak,
            "max_cll": facts.max_cll,
        }

    def stability(self, window: Window) -> Stability:
        """What the recipe's measure says of a window."""
        sampling = self.recipe.sampling
        return judge(
            window.frames,
            self.grey,
            self.facts.active,
            sampling.stability,
            sampling.max_scene_change,
            sampling.tolerate,
        )

    def sample(self, window: Window, place: SampleAddress, category: str, crop: int, scene_change: float) -> Sample:
        """One sample of a category; ``crop`` counts those that are drawn from this window.

        Raises:
            WindowError: ``no_format_fits``, or ``not_accepted_...`` when every box tried was refused.
        """
        name, spec = self._format(place, category, crop)
        key = f"{place.movie}-{category}-{place.epoch}-{place.slot:06d}" + (f"-{crop}" if crop else "")
        for number in range(BOXES_PER_WINDOW):
            where = (self.recipe.seed, place.movie, place.epoch, place.slot, place.attempt, category, crop, number)
            box = self._box(window, spec, where)
            tensors, measures = self._cut(window, box, spec.scale, where)
            fields: dict[str, Any] = {
                "key": key,
                "__key__": key,
                **tensors,
                "category": category,
                "format": name,
                "movie": place.movie,
                "seconds": window.seconds,
                "frame_pts": window.pts,
                "crop": tuple(box),
                "slot": place.slot,
                "epoch": place.epoch,
                "attempt": place.attempt,
                "scene_change": scene_change,
                "measures": measures,
                "tonemap": self.tonemap,
                "source": self.source,
            }
            sample = cast(Sample, fields)
            refused = self._refusal(sample)
            if not refused:
                transform = self.making.transform
                return transform(sample, rng_at("transform", *where)) if transform else sample
        raise WindowError(f"not_accepted_{refused}")

    def whole(self, window: Window) -> Plane:
        """uint8 (H, W, 3): the centre frame at the working size, tone-mapped, upright, bars and all."""
        centre = window.frames[len(window.frames) // 2 :][:1]
        pictures, region = self.geometry.region(centre, Box(0, 0, *self.geometry.upright_size), self.facts.tags)
        picture: Plane = self.geometry.upright(self.grader.sdr(pictures, region))[0]
        return picture

    def _format(self, place: SampleAddress, category: str, crop: int) -> tuple[str, Format]:
        # The address has no attempt, so that a plan knows the formats before anything is decoded.
        formats, area = self.recipe.all_formats, self.geometry.active
        fitting = {
            name: weight
            for name, weight in self.recipe.categories[category].formats.items()
            if formats[name].gt[0] <= area.height and formats[name].gt[1] <= area.width
        }
        if not fitting:
            raise WindowError("no_format_fits", f"{category}: active picture is {area.height}x{area.width}")
        ball = uniform_at("format", self.recipe.seed, place.movie, place.epoch, place.slot, category, crop)
        name = weighted_choice(fitting, ball)
        return name, formats[name]

    def _box(self, window: Window, spec: Format, where: tuple[str | int, ...]) -> Box:
        rng = rng_at("crop", *where)
        boxes = [random_box(rng, self.geometry.active, *spec.gt) for _ in range(self.recipe.crop.candidates)]
        if len(boxes) == 1:
            return boxes[0]
        return max(boxes, key=lambda box: self._detail(window.frames[len(window.frames) // 2], box))

    def _detail(self, picture: Planes, box: Box) -> float:
        top, left, height, width = self.geometry.decoded_box(box)
        return sharpness(self.grey[picture.y[top : top + height, left : left + width]])

    def _cut(
        self, window: Window, box: Box, scale: int, where: tuple[str | int, ...]
    ) -> tuple[dict[str, Tensor], Measures]:
        pictures, region = self.geometry.region(window.frames, box, self.facts.tags)
        if self.making.output == "both":
            pictures = list(pictures)  # scaled once, used twice
        tensors: dict[str, Tensor] = {}
        patches: dict[str, Plane] = {}
        if self.making.output != "hdr":
            patches[""] = self.geometry.upright(self.grader.sdr(pictures, region))
        if self.making.output != "sdr":
            patches["" if self.making.output == "hdr" else "_hdr"] = self.geometry.upright(
                self.grader.signal(pictures, region)
            )
        centre = len(window.frames) // 2
        for suffix, patch in patches.items():
            frames = torch.from_numpy(patch).permute(0, 3, 1, 2)
            tensors["lq" + suffix] = self.making.degrade(frames, scale, rng_at("degrade", *where))
            # A clone, so that a sample does not drag the memory of seven frames along.
            tensors["gt" + suffix] = frames if self.making.gt == "sequence" else frames[centre].clone()
        return tensors, measure(patches[""][centre], tensors["lq"].permute(0, 2, 3, 1).numpy())

    def _refusal(self, sample: Sample) -> str:
        for name, (lowest, highest) in self.recipe.accept.bounds().items():
            if not lowest <= sample["measures"][name] <= highest:  # type: ignore[literal-required]
                return name
        return "" if self.making.accept is None or self.making.accept(sample) else "by_callable"


def weighted_choice(weights: dict[str, float], ball: float) -> str:
    """The name into whose share of the total weight ``ball`` in [0, 1) falls; the order of names does not matter."""
    left = ball * sum(weights.values())
    for name in sorted(weights):
        left -= weights[name]
        if left < 0:
            return name
    return max(weights)
