"""Cuts the samples of one movie out of its windows: crop, tone curve, degradation, labels."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, cast

import torch
from torch import Tensor

from ..callables import called, name_of
from ..color.curves import ToneSettings, peak_nits
from ..color.grader import Grader
from ..color.names import is_hdr
from ..errors import UnsupportedMovieError, WindowError
from ..frames import Box, Plane, Planes, Window
from ..recipe.recipe import Recipe
from ..recipe.settings import Format
from ..rng import rng_at, uniform_at
from ..video.facts import Facts
from .geometry import Geometry, random_box
from .measures import Measures, measure, sharpness
from .sample import Sample, SampleAddress, SampleDict, SampleOptions, transformed
from .scene import Stability, judge

BOXES_PER_WINDOW = 4
"""Boxes tried in one window before a category gets no sample because ``[accept]`` refused every patch."""


class Cutter:
    """Everything that is decided once per movie. Raises UnsupportedMovieError for an SDR movie if HDR is wanted."""

    def __init__(self, recipe: Recipe, facts: Facts, options: SampleOptions) -> None:
        self.recipe = recipe
        self.facts = facts
        self.options = options
        self.geometry = Geometry.of(facts, recipe.sampling)
        tone, tags = recipe.tonemap, facts.tags
        hdr = is_hdr(tags.transfer)
        if options["output"] != "sdr" and not hdr:
            raise UnsupportedMovieError(
                facts.path, f"is SDR ({tags.transfer}), and has no HDR signal", 'leave it out, or use output="sdr"'
            )
        known_peak, _ = peak_nits(facts.max_cll, facts.mastering_peak)
        peak = known_peak if tone.peak == "auto" else tone.peak
        settings = ToneSettings(options["curve"] or tone.curve, tone.reference_white, peak, tone.desat, tone.hlg_ootf)
        # Decisions use the default curve whatever the recipe's, so that another curve changes pixels only.
        self.grey = Grader(tags, facts.bits, ToneSettings(), known_peak).grey
        self.grader = Grader(tags, 16 if self.geometry.is_scaled else facts.bits, settings, peak)
        self.tonemap: dict[str, str | float] = {
            "curve": name_of(settings.curve) if hdr else "none",
            "peak": float(peak) if hdr else 0.0,
            "reference_white": tone.reference_white if hdr else 0.0,
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
        """Whether a window shows one stable scene, by the recipe's measure."""
        how = self.recipe.sampling
        return judge(window.frames, self.grey, self.facts.active, how.stability, how.max_scene_change, how.tolerate)

    def sample(self, window: Window, address: SampleAddress, category: str, crop: int, scene_change: float) -> Sample:
        """One sample of a category; ``crop`` counts those of the same category and window.

        Raises WindowError ``no_format_fits``, or ``not_accepted_...`` if every box that was tried is refused.
        """
        name, spec = self._format(address, category, crop)
        key = f"{address.movie}-{category}-{address.epoch}-{address.slot:06d}" + (f"-{crop}" if crop else "")
        refusal = ""
        for number in range(BOXES_PER_WINDOW):
            where = (self.recipe.seed, *address, category, crop, number)
            box = self._box(window, spec, where)
            tensors, measures = self._cut(window, box, spec.scale, where, key)
            fields: dict[str, Any] = {
                **tensors,
                "key": key,
                "__key__": key,
                "category": category,
                "format": name,
                "movie": address.movie,
                "seconds": window.seconds,
                "frame_pts": window.pts,
                "crop": tuple(box),
                "slot": address.slot,
                "epoch": address.epoch,
                "attempt": address.attempt,
                "scene_change": scene_change,
                "measures": measures,
                "tonemap": self.tonemap,
                "source": self.source,
            }
            sample = cast(Sample, SampleDict(fields))
            refusal = self._refusal(sample)
            if not refusal:
                transform = self.options["transform"]
                return transformed(sample, transform, rng_at("transform", *where)) if transform else sample
        raise WindowError(f"not_accepted_{refusal}")

    def whole(self, window: Window) -> Plane:
        """uint8 (H, W, 3): the whole centre frame at the working size, tone-mapped, upright, with its black bars."""
        everything = Box(0, 0, *self.geometry.upright_size)
        frames, region = self.geometry.region((window.centre,), everything, self.facts.tags)
        frame: Plane = self.geometry.upright(self.grader.sdr(frames, region))[0]
        return frame

    def _format(self, address: SampleAddress, category: str, crop: int) -> tuple[str, Format]:
        area = self.geometry.active
        fitting = self.recipe.fitting_formats(category, area)
        if not fitting:
            raise WindowError("no_format_fits", f"{category}: active picture area is {area.height}x{area.width}")
        # The attempt is left out, so that a plan knows the formats before anything is decoded.
        u = uniform_at("format", self.recipe.seed, address.movie, address.epoch, address.slot, category, crop)
        name = weighted_choice(fitting, u)
        return name, self.recipe.all_formats[name]

    def _box(self, window: Window, spec: Format, where: tuple[str | int, ...]) -> Box:
        rng = rng_at("crop", *where)
        boxes = [random_box(rng, self.geometry.active, *spec.gt) for _ in range(self.recipe.crop.candidates)]
        if len(boxes) == 1:
            return boxes[0]
        luma = window.centre.y
        return max(boxes, key=lambda box: sharpness(self.grey[luma[self.geometry.decoded_box(box).slices]]))

    def _cut(
        self, window: Window, box: Box, scale: int, where: tuple[str | int, ...], key: str
    ) -> tuple[dict[str, Tensor], Measures]:
        """The tensors of a sample (``lq``, ``gt``, ``lq_hdr``, ``gt_hdr``), and the measures of ``gt``."""
        output = self.options["output"]
        frames, region = self.geometry.region(window.frames, box, self.facts.tags)
        if output == "both":
            frames = list(frames)  # scaled once, used twice
        patches: dict[str, Plane] = {}
        if output != "hdr":
            patches[""] = self.geometry.upright(self._sdr(frames, region, key))
        if output != "sdr":
            patches["" if output == "hdr" else "_hdr"] = self.geometry.upright(self.grader.signal(frames, region))
        centre = len(window.frames) // 2
        sequences = {suffix: torch.from_numpy(patch).permute(0, 3, 1, 2) for suffix, patch in patches.items()}
        shrunk = {suffix: self._shrunk(frames, scale, where, key) for suffix, frames in sequences.items()}
        tensors: dict[str, Tensor] = {}
        for suffix, sequence in sequences.items():
            # Until here, the three channels of a pixel lie side by side, which is fast to convert and to filter.
            tensors["lq" + suffix] = shrunk[suffix].contiguous()
            tensors["gt" + suffix] = (sequence if self.options["gt"] == "sequence" else sequence[centre]).contiguous()
        return tensors, measure(patches[""][centre], shrunk[""].permute(0, 2, 3, 1).numpy())

    def _shrunk(self, sequence: Tensor, scale: int, where: tuple[str | int, ...], key: str) -> Tensor:
        degrade = self.options["degrade"]
        assert degrade is not None, "with_defaults fills it in"
        with called("degrade", degrade, key):
            lq: object = degrade(sequence, scale, rng_at("degrade", *where))
        if not isinstance(lq, Tensor):
            raise TypeError(f"degrade {name_of(degrade)} returned {type(lq).__name__} for sample {key}, not a tensor")
        return lq

    def _sdr(self, frames: Sequence[Planes], region: Box, key: str) -> Plane:
        curve = self.options["curve"]
        with called("curve", curve, key) if curve else nullcontext():  # the first frames need a table of it
            return self.grader.sdr(frames, region)

    def _refusal(self, sample: Sample) -> str:
        """Why ``[accept]`` or the ``accept`` option refuses a sample; empty if neither does."""
        for name, (lowest, highest) in self.recipe.accept.bounds().items():
            if not lowest <= sample["measures"][name] <= highest:  # type: ignore[literal-required]
                return name
        accept = self.options["accept"]
        if accept is None:
            return ""
        with called("accept", accept, sample["key"]):
            return "" if accept(sample) else "by_callable"


def weighted_choice(weights: dict[str, float], u: float) -> str:
    """The name into whose share of the total weight ``u`` in [0, 1) falls; the order of names does not matter."""
    left = u * sum(weights.values())
    for name in sorted(weights):
        left -= weights[name]
        if left < 0:
            return name
    return max(weights)
