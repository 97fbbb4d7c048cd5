"""Estimates what an export of a recipe will give (samples, bytes, time), and finds problems before it starts."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations, islice
from pathlib import Path
from statistics import mean
from typing import Any

from ..recipe.recipe import ResolvedRecipe
from ..recipe.settings import ResolvedMovie
from ..sampling.geometry import Geometry
from ..sampling.plan import SLOTS_PER_RUN, drawn
from ..sampling.stream import PatchStream
from ..sampling.sweep import Outcome
from ..sampling.tally import Tally
from ..shards.record import members_of
from ..storage.remote import is_url
from ..video.facts import Facts
from .movie_view import probe_all

TAR_BLOCK = 512
SLOTS_MEASURED = 3
"""Slots measured per run; the run's other slots are assumed to take as long as the second and third."""
FEW_RUNS = 8
"""Up to this number of runs, all slots of each run are measured."""


@dataclass(frozen=True, slots=True)
class CategoryForecast:
    """The estimate for one category."""

    name: str
    samples: int
    """In all; at most the target."""
    target: int | None
    per_epoch: float
    """Samples."""
    epochs: float
    """Passes until the target is met: one without a target, infinite if it cannot be met."""
    bytes: int
    formats: dict[str, int]
    """Format to samples."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The estimate for an export, and problems of the recipe and its movies."""

    movies: int
    """Movies that can be used."""
    slots: int
    """Slots of these movies in one epoch."""
    shards: int
    categories: tuple[CategoryForecast, ...]
    seconds: float
    """For one process on this machine."""
    measured: int
    """Slots that were sampled to measure bytes, refusals and time."""
    rejects: dict[str, int]
    """Reason to number of refused windows and categories among the measured slots."""
    problems: tuple[str, ...]
    failures: dict[str, str]
    """Movie to the reason why it cannot be used."""

    @property
    def bytes(self) -> int:
        """Size of all shards."""
        return sum(category.bytes for category in self.categories)

    def to_json(self) -> dict[str, Any]:
        """All fields, JSON-able; the epochs of a target that cannot be met are null."""
        fields = asdict(self) | {"bytes": self.bytes}
        for category in fields["categories"]:
            category["epochs"] = category["epochs"] if math.isfinite(category["epochs"]) else None
        return fields


def forecast(stream: PatchStream, *, seconds: float = 4.0) -> Forecast:
    """Estimate the export of a stream.

    Probes every movie, and for about ``seconds`` samples and encodes as an export does, in runs spread over the movies.
    A small recipe is measured completely.
    """
    recipe = stream.recipe
    facts, failures = probe_all(stream)
    measured = _measure(stream, facts, seconds)
    usable = [movie for movie in recipe.movies if movie.name in facts]
    slots = sum(movie.slots for movie in usable)
    planned = _planned(recipe, usable, facts)
    categories = tuple(_category(recipe, name, planned, measured) for name in recipe.categories)
    epochs = max((category.epochs for category in categories if math.isfinite(category.epochs)), default=0.0)
    jobs = -(-len(stream.plan) // recipe.shards.runs)
    return Forecast(
        movies=len(usable),
        slots=slots,
        shards=sum(math.ceil(jobs * category.epochs) for category in categories if category.samples),
        categories=categories,
        seconds=epochs * slots * measured.seconds_per_slot,
        measured=len(measured.first) + len(measured.next),
        rejects=measured.tally.reasons(),
        problems=tuple(_problems(recipe, facts, categories)),
        failures=failures,
    )


@dataclass(slots=True)
class _Measured:
    """Counts of the slots that were measured."""

    first: list[float] = field(default_factory=list)
    """Seconds for the first slot of each run, which includes the seek and the decoding up to it."""
    next: list[float] = field(default_factory=list)
    """Seconds for each later slot."""
    planned: Counter[str] = field(default_factory=Counter)
    """Category to samples, had nothing been refused."""
    tally: Tally = field(default_factory=Tally)
    sizes: defaultdict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    """(category, format) to the bytes of each record."""

    def add(self, outcome: Outcome, codec: str) -> None:
        """Count a slot, encoded as an export encodes it."""
        self.tally.add(outcome)
        for sample in outcome.samples:
            members = members_of(sample, codec).values()
            size = sum(TAR_BLOCK * (1 - (-len(data) // TAR_BLOCK)) for data in members)
            self.sizes[sample["category"], sample["format"]].append(size)

    @property
    def seconds_per_slot(self) -> float:
        """The average over whole runs."""
        first, later = mean(self.first or [0.0]), mean(self.next or self.first or [0.0])
        return (first - later) / SLOTS_PER_RUN + later

    def survival(self, category: str) -> float:
        """Share of a category's planned samples that were given; 1 if none was planned."""
        given, planned = self.tally.by("category").get(category, 0), self.planned[category]
        return given / planned if planned else 1.0

    def record_bytes(self, category: str, format: str, pixels: Mapping[str, int]) -> float:
        """Bytes per record: measured for this category and format, else for this format, else scaled by pixels."""
        same_format = [size for (_, name), sizes in self.sizes.items() if name == format for size in sizes]
        if similar := self.sizes.get((category, format)) or same_format:
            return sum(similar) / len(similar)
        known = sum(len(sizes) * pixels[name] for (_, name), sizes in self.sizes.items())
        return sum(map(sum, self.sizes.values())) / known * pixels[format] if known else 0.0


def _measure(stream: PatchStream, usable: Collection[str], seconds: float) -> _Measured:
    """Sample and encode in runs of the usable movies, in their random order, for about ``seconds``."""
    measured, recipe = _Measured(), stream.recipe
    order = (stream.plan.run_at(0, position) for position in range(len(stream.plan)))
    runs = [run for run in order if run.name in usable]
    for _ in runs[:1]:  # compile and load before the clock starts
        next(stream.run(0, runs[0]))
    slots, until = SLOTS_MEASURED if len(runs) > FEW_RUNS else SLOTS_PER_RUN, time.monotonic() + seconds
    for run in runs:
        if (began := time.monotonic()) >= until:
            break
        for number, outcome in enumerate(islice(stream.run(0, run), slots)):
            measured.add(outcome, recipe.shards.codec)
            took, began = time.monotonic() - began, time.monotonic()
            (measured.next if number else measured.first).append(took)
        for slot in islice(run.slots, slots):
            for category in slot.categories(recipe.seed, 0):
                measured.planned[category] += recipe.sampling.crops_per_category
    return measured


def _planned(
    recipe: ResolvedRecipe, movies: Sequence[ResolvedMovie], facts: Mapping[str, Facts]
) -> dict[tuple[str, str], float]:
    """(category, format) to the samples of an epoch, if nothing is refused."""
    planned = defaultdict[tuple[str, str], float](float)
    for movie in movies:
        area = Geometry.of(facts[movie.name], recipe.sampling).active
        for category in movie.categories:
            count = int(drawn(movie, category, recipe.seed, 0).sum())
            weights = recipe.fitting_formats(category, area)
            for name, weight in weights.items():
                share = weight / sum(weights.values()) * recipe.sampling.crops_per_category
                planned[category, name] += count * share
    return planned


def _category(
    recipe: ResolvedRecipe, name: str, planned: Mapping[tuple[str, str], float], measured: _Measured
) -> CategoryForecast:
    target = recipe.categories[name].target
    pixels = {fmt: math.prod(spec.gt) for fmt, spec in recipe.all_formats.items()}
    mix = {fmt: count for (category, fmt), count in planned.items() if category == name}
    per_epoch = sum(mix.values()) * measured.survival(name)
    epochs = (target / per_epoch if per_epoch else math.inf) if target else float(per_epoch > 0)
    samples = 0 if math.isinf(epochs) else round(per_epoch * epochs)
    parts = {fmt: count / sum(mix.values()) * samples for fmt, count in mix.items()}
    return CategoryForecast(
        name=name,
        samples=samples,
        target=target,
        per_epoch=per_epoch,
        epochs=epochs,
        bytes=round(sum(part * measured.record_bytes(name, fmt, pixels) for fmt, part in parts.items())),
        formats={fmt: round(part) for fmt, part in sorted(parts.items())},
    )


def _problems(
    recipe: ResolvedRecipe, facts: Mapping[str, Facts], categories: Sequence[CategoryForecast]
) -> Iterator[str]:
    """Sentences about the movies whose facts are given, by name, and about the categories."""
    sampling, movies = recipe.sampling, [movie for movie in recipe.movies if movie.name in facts]
    if sampling.stability == "steps" and "max_scene_change" in sampling.model_fields_set:
        yield 'max_scene_change has no effect unless stability = "first_to_last"'
    for movie in movies:
        fact = facts[movie.name]
        yield from (f"{movie.name}: {warning}" for warning in fact.warnings)
        if 0 < fact.frame_count < movie.slots * sampling.frames:
            yield (
                f"{movie.name}: {movie.slots} slots of {sampling.frames} frames overlap, as the movie has only "
                f"{fact.frame_count:.0f} frames ({fact.duration:.1f} s); "
                f"timestamps = {max(1, int(fact.frame_count / sampling.frames))} would not overlap"
            )
        area = Geometry.of(fact, sampling).active
        for category in movie.categories:
            fitting = recipe.fitting_formats(category, area)
            if too_large := [name for name in recipe.categories[category].formats if name not in fitting]:
                which = ", ".join(too_large)
                yield f"{movie.name}: {which} of {category} do not fit into {area.height}x{area.width} (height x width)"
    for movie, other in combinations(movies, 2):
        if _look_the_same(movie, other, facts):
            yield f"{movie.name} and {other.name} seem to be the same movie; their samples would be duplicates"
    again = "other moments" if sampling.jitter else "the same moments again, since jitter is 0"
    for given in categories:
        if not given.per_epoch:
            consequence = "its target cannot be met" if given.target else "it stays empty"
            yield f"{given.name}: no movie gives it; {consequence}"
        elif given.epochs > 1:
            yield (
                f"{given.name}: {given.target} samples need {given.epochs:.1f} epochs of about "
                f"{given.per_epoch:.0f}: other crops, and {again}; more movies or timestamps would give more"
            )


def _look_the_same(movie: ResolvedMovie, other: ResolvedMovie, facts: Mapping[str, Facts]) -> bool:
    mine, theirs = ((fact.duration, fact.width, fact.height) for fact in (facts[movie.name], facts[other.name]))
    if mine != theirs or is_url(movie.path) or is_url(other.path):
        return mine == theirs and movie.path == other.path
    return Path(movie.path).stat().st_size == Path(other.path).stat().st_size
