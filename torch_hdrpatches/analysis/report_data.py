"""What a report shows of a recipe or an exported folder: samples, refused windows, light, and the counts of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..color.curves import peak_nits
from ..errors import MovieError, NoSamplesError, WindowError
from ..frames import Plane
from ..recipe.recipe import Recipe
from ..recipe.settings import ResolvedMovie
from ..sampling.plan import Slot
from ..sampling.sample import Sample
from ..sampling.stream import PatchStream
from ..sampling.tally import Tally
from ..shards.browse import exported_metadata, exported_samples, is_export, spread
from ..shards.manifest import manifest_of, recipe_of, tally_of
from ..shards.record import PICTURES
from ..storage.folder import Folder
from ..video.facts import Facts, facts_of
from .movie_view import Examined, examining

MANY = 20_000
"""Records whose metadata are read at most."""
REFUSED_SEEN, REFUSED_SHOWN = 72, 24
"""Refused windows that are looked at again, and those of them whose pictures are shown."""
THUMBNAIL = 320
"""Pixels across which a refused window's frames are kept at most."""
MOVIES_MEASURED = 12
"""Movies whose light is measured at most."""
MOMENTS = 8
"""Pictures of a movie in which its light is measured."""
NITS = np.geomspace(0.01, 10_000, 97)
"""Edges of the luminance histogram in cd/m2."""

Place = tuple[str, float]
"""Movie and second."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A window that was looked at again to see why it was refused."""

    movie: str
    seconds: float
    reason: str
    score: float
    ends: tuple[Plane, Plane] | None
    """First and last frame, small, uint8 (H, W, 3); None if they cannot be decoded."""


@dataclass(frozen=True, slots=True)
class Light:
    """How bright a movie is, and what its tone curve makes of it."""

    movie: str
    pixels: Plane
    """Pixels between the edges ``NITS``."""
    sdr: Plane
    """SDR code (0 to 255) of a neutral at ``NITS``."""
    peak: float
    """cd/m2 that the curve brings to white."""
    peak_from: str
    """``maxcll``, ``mastering``, ``assumed`` or ``recipe``; empty for SDR."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a recipe or an export says, before its movies are looked at again."""

    title: str
    origin: str
    """What was looked at, in a sentence."""
    recipe: Recipe
    tally: Tally
    samples: list[Sample]
    metadata: list[dict[str, Any]]
    """Of more samples than are shown."""
    facts: dict[str, Facts]
    failures: dict[str, str]
    """Movie to why it gives nothing, or cannot be looked at now."""


@dataclass(frozen=True, slots=True)
class Evidence(_Seen):
    """Everything a report shows."""

    frames: dict[str, Plane]
    """Sample key to the whole frame that it was cut from; uint8 (H, W, 3)."""
    refused: list[Refused]
    """Spread over the movies; ``shown`` picks from them."""
    lights: list[Light]
    versions: dict[str, str]
    """Package to the version that an export was made with."""

    def shown(self) -> list[Refused]:
        """Refused windows to show, of every reason in turn, by movie and second."""
        by_reason: dict[str, list[Refused]] = {}
        for one in self.refused:
            if one.ends or one.reason not in by_reason:  # without pictures one tells as much as many
                by_reason.setdefault(one.reason, []).append(one)
        turns = zip_longest(*(spread(ones, REFUSED_SHOWN) for ones in by_reason.values()))
        chosen = islice((one for turn in turns for one in turn if one), REFUSED_SHOWN)
        return sorted(chosen, key=lambda one: (one.movie, one.seconds))


def evidence_of(source: str | Path, rows: int) -> Evidence:
    """Look into a recipe, or into an exported folder and the movies that it was made of.

    Raises:
        NoSamplesError: if there is no sample to show.
    """
    evidence = _of_export(Folder.of(source), rows) if is_export(source) else _of_recipe(Path(source), rows)
    if not evidence.samples:
        raise NoSamplesError(f"{source}: there is no sample to show: {evidence.tally.explain()}")
    return evidence


def _of_export(folder: Folder, rows: int) -> Evidence:
    manifest, recipe, tally = manifest_of(folder), recipe_of(folder), tally_of(folder)
    metadata, movies = exported_metadata(folder, MANY), manifest["movies"]
    epochs = "one epoch" if manifest["epochs"] == 1 else f"{manifest['epochs']} epochs"
    origin = f"An export of {tally.total:,} samples in {epochs}, finished {manifest['created'][:10]}."
    if len(metadata) < tally.total:
        origin += f" Distributions are of {len(metadata):,} samples spread over its shards."
    facts = {name: facts_of(movie["facts"]) for name, movie in movies.items() if movie["facts"]}
    failures = {name: movie["failure"] for name, movie in movies.items() if movie["failure"]}
    place = str(folder.local.resolve()) if folder.local else folder.place()
    title = "/".join(place.split("/")[-2:])
    places = [place for one in metadata for place in _tried(recipe, facts[one["movie"]], one)]
    seen = _Seen(title, origin, recipe, tally, exported_samples(folder, rows), metadata, facts, failures)
    return _looked(seen, places, manifest["versions"])


def _of_recipe(path: Path, rows: int) -> Evidence:
    stream, tally, samples, places = PatchStream(path), Tally(), list[Sample](), list[Place]()
    order = stream.plan.order(0)
    for number, index in enumerate(order, start=1):  # noqa: B007 - how many runs were done
        for outcome in stream.run(0, stream.plan.runs[index]):
            tally.add(outcome)
            samples += outcome.samples
            if outcome.rejects:
                where = {"movie": outcome.movie, "slot": outcome.slot, "epoch": 0, "attempt": len(outcome.rejects)}
                places += _tried(stream.recipe, stream.facts(outcome.movie), where)
        if len(samples) >= 4 * rows:
            break
    facts, failures = _facts(stream)
    origin = f"A first look at {path.name}: {number} of {len(order)} runs of slots."
    metadata = [{name: value for name, value in sample.items() if name not in PICTURES} for sample in samples]
    seen = _Seen(path.stem, origin, stream.recipe, tally, spread(samples, rows), metadata, facts, failures)
    return _looked(seen, places, {})


def _tried(recipe: Recipe, facts: Facts, where: Mapping[str, Any]) -> Iterator[Place]:
    """The windows that were refused before the one that a slot gave."""
    movie = next(movie for movie in recipe.movies if movie.name == where["movie"])
    slots = movie.timestamps or recipe.sampling.timestamps_per_movie
    slot = Slot(ResolvedMovie.model_construct(**dict(movie) | {"slots": slots}), where["slot"])
    seconds = slot.seconds(recipe.seed, where["epoch"], recipe.sampling.jitter, facts.duration)
    for _ in range(where["attempt"]):
        yield where["movie"], seconds
        seconds = slot.later(seconds, recipe.sampling.retry_skip, facts.duration)


def _facts(stream: PatchStream) -> tuple[dict[str, Facts], dict[str, str]]:
    facts, failures = dict[str, Facts](), dict[str, str]()
    for movie in stream.recipe.movies:
        try:
            facts[str(movie.name)] = stream.facts(str(movie.name))
        except MovieError as failure:
            failures[str(movie.name)] = str(failure)
    return facts, failures


def _looked(seen: _Seen, places: Collection[Place], versions: dict[str, str]) -> Evidence:
    """Go through the movies once more, each opened once: frames of samples, refused windows, light."""
    failures, frames = dict(seen.failures), dict[str, Plane]()
    refused, lights = list[Refused](), list[Light]()
    wanted = spread(sorted(set(places)), REFUSED_SEEN)
    measured = {name for name, _ in Counter(one["movie"] for one in seen.metadata).most_common(MOVIES_MEASURED)}
    for name in sorted({sample["movie"] for sample in seen.samples} | {movie for movie, _ in wanted} | measured):
        try:
            with examining(seen.recipe, name) as looked:
                for sample in seen.samples:
                    if sample["movie"] == name:
                        with suppress(WindowError):  # its card says that the frame is not at hand
                            frames[sample["key"]] = looked.frame(sample["seconds"])
                refused += [_refused(looked, name, seconds) for movie, seconds in wanted if movie == name]
                lights += [_light(looked, seen.recipe, name)] if name in measured else []
        except MovieError as failure:
            failures.setdefault(name, str(failure))
    return Evidence(
        **{part.name: getattr(seen, part.name) for part in fields(seen)} | {"failures": failures},
        frames=frames,
        refused=refused,
        lights=lights,
        versions=versions,
    )


def _refused(looked: Examined, movie: str, seconds: float) -> Refused:
    try:
        window = looked.movie.window(seconds, looked.cutter.recipe.sampling.frames)
    except WindowError as error:
        return Refused(movie, seconds, error.reason, 0.0, None)
    stability = looked.cutter.stability(window)
    first, last = looked.ends(window)
    return Refused(movie, seconds, stability.reason, stability.score, (_thumbnail(first), _thumbnail(last)))


def _thumbnail(frame: Plane) -> Plane:
    picture = Image.fromarray(frame)
    picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def _light(looked: Examined, recipe: Recipe, name: str) -> Light:
    pixels = np.zeros(len(NITS) - 1, np.int64)
    for number in range(MOMENTS):
        with suppress(WindowError):  # the tally tells what cannot be decoded
            pixels += looked.nits((2 * number + 1) * looked.facts.duration / (2 * MOMENTS), NITS)
    peak_from = "recipe"
    if recipe.tonemap.peak == "auto":
        peak_from = peak_nits(looked.facts.max_cll, looked.facts.mastering_peak)[1]
    peak = float(looked.cutter.tonemap["peak"])
    return Light(name, pixels, looked.sdr_of(NITS), peak, peak_from if peak else "")
