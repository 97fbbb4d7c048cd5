"""What a recipe will give, before any of it is exported: samples, bytes, hours, and what stands in the way."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations, islice
from pathlib import Path
from statistics import mean
from typing import Any

from ..errors import MovieError
from ..recipe.recipe import Recipe, ResolvedRecipe
from ..recipe.settings import ResolvedMovie
from ..sampling.geometry import Geometry
from ..sampling.plan import SLOTS_PER_RUN, Run, Slot
from ..sampling.stream import PatchStream
from ..sampling.sweep import Outcome
from ..shards.record import record
from ..storage.remote import is_url
from ..video.facts import Facts

TAR_BLOCK = 512
SLOTS_MEASURED = 3
"""Slots of a run that are measured; the time of the others is that of the second and third."""
FEW_RUNS = 8
"""Up to so many runs are measured whole."""
FEW_SLOTS = 20_000
"""Up to so many slots the categories of each are drawn; beyond, their probabilities are as good."""


@dataclass(frozen=True, slots=True)
class CategoryForecast:
    """What one category will come to."""

    name: str
    samples: int
    """Expected in all; never more than the target."""
    target: int | None
    per_epoch: float
    """Expected from one pass over all slots."""
    epochs: float
    """Passes until the target is met: one without a target, infinite if it cannot be met."""
    bytes: int
    formats: dict[str, int]
    """Format to expected samples."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What an export of a recipe will come to, and what is wrong with its movies or itself."""

    movies: int
    """Movies that can be used."""
    slots: int
    """Slots of the usable movies in one epoch."""
    shards: int
    """Shards of all categories together."""
    categories: tuple[CategoryForecast, ...]
    seconds: float
    """Of one process, on this machine."""
    measured: int
    """Slots that were really done to know bytes, refusals and time."""
    rejects: dict[str, int]
    """Reason to refused windows and categories among the measured slots."""
    problems: tuple[str, ...]
    failures: dict[str, str]
    """Movie to the reason why it gives nothing."""

    @property
    def bytes(self) -> int:
        """Of all shards."""
        return sum(category.bytes for category in self.categories)

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-able; a target that cannot be met has null epochs."""
        fields = asdict(self) | {"bytes": self.bytes}
        for category in fields["categories"]:
            category["epochs"] = category["epochs"] if math.isfinite(category["epochs"]) else None
        return fields


def forecast(stream: PatchStream, *, seconds: float = 4.0) -> Forecast:
    """What an export of this stream will come to.

    Looks into every movie, and for about ``seconds`` does what an export would do, in runs spread over the movies; a
    small recipe is measured whole.
    """
    recipe, facts, failures = stream.recipe, dict[str, Facts](), dict[str, str]()
    for movie in recipe.movies:
        try:
            facts[movie.name] = stream.facts(movie.name)
        except MovieError as failure:
            failures[movie.name] = str(failure)
    measured = _measure(stream, [run for run in stream.plan.runs if run.name in facts], seconds)
    usable = [movie for movie in recipe.movies if movie.name in facts]
    slots = sum(movie.slots for movie in usable)
    planned = _planned(stream, usable, facts, exact=slots <= FEW_SLOTS)
    categories = tuple(_category(stream, name, planned, measured) for name in recipe.categories)
    epochs = max((one.epochs for one in categories if math.isfinite(one.epochs)), default=0.0)
    jobs = -(-len(stream.plan) // recipe.shards.runs)
    return Forecast(
        movies=len(usable),
        slots=slots,
        shards=sum(math.ceil(jobs * one.epochs) for one in categories if one.samples),
        categories=categories,
        seconds=epochs * slots * measured.seconds_per_slot,
        measured=len(measured.first) + len(measured.next),
        rejects=dict(sorted(measured.rejects.items())),
        problems=(*problems_of(recipe, facts), *_of_categories(stream, categories)),
        failures=failures,
    )


@dataclass(slots=True)
class _Measured:
    """What a short stretch of the real thing came to."""

    first: list[float] = field(default_factory=list)
    """Seconds that the first slot of each run took: it pays for the seek and the pre-roll."""
    next: list[float] = field(default_factory=list)
    """Seconds that the slots after it took."""
    planned: Counter[str] = field(default_factory=Counter)
    """Category to samples, had nothing been refused."""
    given: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(category, format) to samples."""
    bytes: Counter[tuple[str, str]] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)

    def add(self, stream: PatchStream, outcome: Outcome) -> None:
        """Count a slot, encoded as an export would."""
        self.rejects.update(reason for _, reason in (*outcome.rejects, *outcome.refused))
        for sample in outcome.samples:
            where = sample["category"], sample["format"]
            members = record(sample, stream.recipe.shards.codec).values()
            self.given[where] += 1
            self.bytes[where] += sum(TAR_BLOCK * (1 - (-len(data) // TAR_BLOCK)) for data in members)

    @property
    def seconds_per_slot(self) -> float:
        """Of whole runs."""
        later = mean(self.next or self.first) if self.first else 0.0
        return (mean(self.first) - later) / SLOTS_PER_RUN + later if self.first else 0.0

    def survival(self, category: str) -> float:
        """Share of a category's planned samples that came; 1 where none was planned."""
        came = sum(count for (name, _), count in self.given.items() if name == category)
        return came / self.planned[category] if self.planned[category] else 1.0

    def record_bytes(self, category: str, format: str, pixels: Callable[[str], int]) -> float:
        """Bytes of a record: of this category and format, else of this format, else by its number of pixels."""
        for alike in ([(category, format)], [one for one in self.given if one[1] == format]):
            if count := sum(self.given[one] for one in alike):
                return sum(self.bytes[one] for one in alike) / count
        known = sum(count * pixels(name) for (_, name), count in self.given.items())
        return self.bytes.total() / known * pixels(format) if known else 0.0


def _measure(stream: PatchStream, runs: Sequence[Run], seconds: float) -> _Measured:
    measured = _Measured()
    for _ in runs[:1]:  # compile and load before the clock starts
        next(stream.run(0, runs[0]))
    order, slots = _spread(len(runs)), SLOTS_MEASURED if len(runs) > FEW_RUNS else SLOTS_PER_RUN
    until = time.monotonic() + seconds
    while time.monotonic() < until and (index := next(order, None)) is not None:
        began = time.monotonic()
        for number, outcome in enumerate(islice(stream.run(0, runs[index]), slots)):
            measured.add(stream, outcome)
            took, began = time.monotonic() - began, time.monotonic()
            (measured.next if number else measured.first).append(took)
        for slot in islice(runs[index].slots, slots):
            for category in slot.categories(stream.recipe.seed, 0):
                measured.planned[category] += stream.recipe.sampling.crops_per_category
    return measured


def _spread(count: int) -> Iterator[int]:
    """0 .. count - 1, each once, so that any first few lie far apart: steps of the golden section."""
    step = next(step for step in range(max(1, round(count * 0.618)), count + 2) if math.gcd(step, max(1, count)) == 1)
    return (index * step % count for index in range(count))


def _planned(
    stream: PatchStream, movies: Sequence[ResolvedMovie], facts: dict[str, Facts], *, exact: bool
) -> dict[tuple[str, str], float]:
    """(category, format) to the samples of an epoch, if nothing is refused."""
    recipe, planned = stream.recipe, Counter[tuple[str, str]]()
    for movie in movies:
        slots = movie.slots
        counts = {name: probability * slots for name, probability in movie.categories.items()}
        if exact and any(probability < 1 for probability in movie.categories.values()):
            drawn = [Slot(movie, index).categories(recipe.seed, 0) for index in range(slots)]
            counts = dict(Counter(name for names in drawn for name in names))
        for category, count in counts.items():
            weights = fitting_formats(stream.recipe, category, facts[movie.name])
            for name, weight in weights.items():
                share = weight / sum(weights.values()) * recipe.sampling.crops_per_category
                planned[category, name] += count * share  # type: ignore[assignment]  # expected, so not whole
    return dict(planned)


def _category(
    stream: PatchStream, name: str, planned: dict[tuple[str, str], float], measured: _Measured
) -> CategoryForecast:
    target, formats = stream.recipe.categories[name].target, stream.recipe.all_formats
    mix = {fmt: count for (category, fmt), count in planned.items() if category == name}
    per_epoch = sum(mix.values()) * measured.survival(name)
    epochs = (target / per_epoch if per_epoch else math.inf) if target else float(per_epoch > 0)
    samples = 0 if math.isinf(epochs) else round(per_epoch * epochs)
    parts = {fmt: count / sum(mix.values()) * samples for fmt, count in mix.items()}

    def pixels(fmt: str) -> int:
        return math.prod(formats[fmt].gt)

    return CategoryForecast(
        name=name,
        samples=samples,
        target=target,
        per_epoch=per_epoch,
        epochs=epochs,
        bytes=round(sum(part * measured.record_bytes(name, fmt, pixels) for fmt, part in parts.items())),
        formats={fmt: round(part) for fmt, part in sorted(parts.items())},
    )


def _of_categories(stream: PatchStream, categories: Sequence[CategoryForecast]) -> Iterator[str]:
    again = "other moments" if stream.recipe.sampling.jitter else "the same moments again, since jitter is 0"
    for one in categories:
        if not one.per_epoch:
            yield f"{one.name}: no movie gives it; its target cannot be met" if one.target else f"{one.name}: empty"
        elif one.epochs > 1:
            yield (
                f"{one.name}: {one.target} samples need {one.epochs:.1f} epochs of about {one.per_epoch:.0f}: "
                f"other crops, and {again}; more movies or timestamps would give more"
            )


def problems_of(recipe: ResolvedRecipe, facts: Mapping[str, Facts]) -> Iterator[str]:
    """Sentences about the movies whose facts are given, by name."""
    sampling, movies = recipe.sampling, [movie for movie in recipe.movies if movie.name in facts]
    if sampling.stability == "steps" and "max_scene_change" in sampling.model_fields_set:
        yield 'max_scene_change changes nothing unless stability = "first_to_last"'
    for movie in movies:
        fact = facts[movie.name]
        yield from (f"{movie.name}: {warning}" for warning in fact.warnings)
        slots, frames = movie.slots, fact.duration * fact.fps
        if 0 < frames < slots * sampling.frames:
            yield (
                f"{movie.name}: {slots} slots of {sampling.frames} frames share the {frames:.0f} frames of "
                f"{fact.duration:.1f} s; timestamps = {max(1, int(frames / sampling.frames))} would not overlap"
            )
        area = Geometry.of(fact, sampling).active
        for category in movie.categories:
            all_of_them, fitting = recipe.categories[category].formats, fitting_formats(recipe, category, fact)
            if len(fitting) < len(all_of_them):
                which = ", ".join(name for name in all_of_them if name not in fitting)
                yield f"{movie.name}: {which} of {category} do not fit into {area.height}x{area.width} (height x width)"
    for one, other in combinations(movies, 2):
        if _looks_the_same(one.path, other.path, facts[str(one.name)], facts[str(other.name)]):
            yield f"{one.name} and {other.name} look like the same movie; their samples would come twice"


def _looks_the_same(path: str, other_path: str, one: Facts, other: Facts) -> bool:
    if (one.duration, one.width, one.height) != (other.duration, other.width, other.height):
        return False
    if is_url(path) or is_url(other_path):
        return path == other_path
    return Path(path).stat().st_size == Path(other_path).stat().st_size


def fitting_formats(recipe: Recipe, category: str, facts: Facts) -> dict[str, float]:
    """The category's formats that fit into a movie's active picture, with their weights."""
    area, formats = Geometry.of(facts, recipe.sampling).active, recipe.all_formats
    return {
        name: weight
        for name, weight in recipe.categories[category].formats.items()
        if formats[name].gt[0] <= area.height and formats[name].gt[1] <= area.width
    }
