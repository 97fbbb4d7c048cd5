"""Collects what contact sheets and reports show: samples, source frames, refused windows, brightness of movies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..color.curves import ToneSettings, peak_nits
from ..color.grader import Grader
from ..errors import MovieError, NoSamplesError, RecipeError, WindowError
from ..frames import Plane
from ..recipe.recipe import Recipe
from ..sampling.plan import SLOTS_PER_RUN
from ..sampling.sample import Sample
from ..sampling.stream import PatchStream
from ..sampling.sweep import SAME_GOP, Outcome, Reject
from ..sampling.tally import Tally
from ..shards.browse import exported_metadata, exported_samples, is_export, spread
from ..shards.manifest import manifest_of, recipe_of, tally_of
from ..shards.record import IMAGE_KEYS
from ..storage.folder import Folder
from ..storage.paths import plain_path
from ..video.facts import Facts, facts_of
from .movie_view import MovieView, open_view, probe_all

REFUSED_SCORED, REFUSED_SHOWN = 72, 24
"""Refused windows that are decoded again for their scores, and those whose frames are shown."""
MOMENTS = 8
"""Frames per movie in which brightness is measured."""
NITS = np.geomspace(0.01, 10_000, 97)
"""Edges of the luminance histogram in cd/m2."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Samples to look at, and what is known of the recipe or export that they come from."""

    title: str
    origin: str
    """One sentence about the recipe or export and how much of it was looked at."""
    recipe: Recipe
    tally: Tally
    samples: list[Sample]
    metadata: list[dict[str, Any]]
    """Fields of more samples than are shown, without their images; for distributions."""
    rejects: list[tuple[str, Reject]]
    """(movie, refused window) of the runs that were decoded."""
    facts: dict[str, Facts]
    failures: dict[str, str]
    """Movie to the reason why it cannot be used."""
    versions: dict[str, str]
    """Package to the version that an export was made with; empty for a recipe."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused window, decoded again."""

    movie: str
    seconds: float
    reason: str
    score: float
    ends: tuple[Image.Image, ...]
    """First and last frame as thumbnails; empty if the window cannot be decoded."""


@dataclass(frozen=True, slots=True)
class Light:
    """The brightness of a movie, and its tone curve."""

    movie: str
    pixels: Plane
    """Number of pixels between the edges ``NITS``."""
    sdr: Plane
    """SDR codes (0 to 255) of neutral greys of ``NITS``."""
    peak: float
    """cd/m2 that the curve maps to white."""
    peak_from: str
    """``maxcll``, ``mastering``, ``assumed`` or ``recipe``; empty for SDR."""


def select(source: str | Path, rows: int, *, records: int = 0) -> Selection:
    """About ``rows`` samples, spread over a recipe file or over an exported folder or its URL.

    Of an export, also reads the metadata of about ``records`` records and decodes some of its refused windows again.
    Raises NoSamplesError if there are no samples.
    """
    found = (
        _of_export(Folder.of(source), rows, records)
        if is_export(source)
        else _of_recipe(Path(plain_path(source)), rows)
    )
    if not found.samples:
        raise NoSamplesError(f"{source}: no samples to show: {found.tally.explain()}")
    return found


def _of_recipe(path: Path, rows: int) -> Selection:
    stream, outcomes, samples = PatchStream(path), list[Outcome](), list[Sample]()
    runs = 0
    while runs < len(stream.plan) and len(samples) < 4 * rows:  # more than are shown, to spread over
        made = list(stream.run(0, stream.plan.run_at(0, runs)))
        outcomes += made
        samples += (sample for outcome in made for sample in outcome.samples)
        runs += 1
    facts, failures = probe_all(stream)
    return Selection(
        title=path.stem,
        origin=f"A first look at {path.name}: {runs} of {len(stream.plan)} runs of slots.",
        recipe=stream.recipe,
        tally=Tally.of(outcomes),
        samples=spread(samples, rows),
        metadata=[{name: value for name, value in sample.items() if name not in IMAGE_KEYS} for sample in samples],
        rejects=_rejects(outcomes),
        facts=facts,
        failures=failures,
        versions={},
    )


def _of_export(folder: Folder, rows: int, records: int) -> Selection:
    manifest, recipe, tally = manifest_of(folder), recipe_of(folder), tally_of(folder)
    metadata = exported_metadata(folder, records) if records else []
    epochs = "one epoch" if manifest["epochs"] == 1 else f"{manifest['epochs']} epochs"
    origin = f"An export of {tally.total:,} samples in {epochs}, finished {manifest['created'][:10]}."
    if len(metadata) < tally.total:
        origin += f" Distributions are of {len(metadata):,} samples spread over its shards."
    place = str(folder.local.resolve()) if folder.local else folder.location()
    movies = manifest["movies"]
    return Selection(
        title="/".join(place.split("/")[-2:]),
        origin=origin,
        recipe=recipe,
        tally=tally,
        samples=exported_samples(folder, rows),
        metadata=metadata,
        rejects=_rejects_of_export(recipe, metadata),
        facts={name: facts_of(movie["facts"]) for name, movie in movies.items() if movie["facts"]},
        failures={name: movie["failure"] for name, movie in movies.items() if movie["failure"]},
        versions=manifest["versions"],
    )


def _rejects(outcomes: Iterable[Outcome]) -> list[tuple[str, Reject]]:
    return [(outcome.movie, reject) for outcome in outcomes for reject in outcome.rejects]


def _rejects_of_export(recipe: Recipe, metadata: Sequence[dict[str, Any]]) -> list[tuple[str, Reject]]:
    """Refused windows of some runs. An export stores only their number, so these runs are checked again."""
    retried = {
        (fields["movie"], fields["epoch"], fields["slot"] // SLOTS_PER_RUN) for fields in metadata if fields["attempt"]
    }
    movies, rejects = {str(movie.name): movie for movie in recipe.movies}, list[tuple[str, Reject]]()
    for name, epoch, number in spread(sorted(retried), 16):
        with suppress(RecipeError):  # the movie is gone, which is reported where its frames are wanted
            stream = PatchStream(recipe.model_copy(update={"movies": (movies[name],)}))
            run = stream.plan.run_of(name, number * SLOTS_PER_RUN)
            rejects += _rejects(stream.run(epoch, run, categories=()))
    return rejects


def source_frames(selection: Selection) -> dict[str, Plane]:
    """Sample key to the whole frame, uint8 (H, W, 3), that it was cut from, as far as it can be decoded.

    A movie that cannot be read is added to the selection's failures.
    """
    frames = dict[str, Plane]()
    for movie in sorted({sample["movie"] for sample in selection.samples}):
        try:
            with open_view(selection.recipe, movie) as view:
                for sample in (sample for sample in selection.samples if sample["movie"] == movie):
                    with suppress(WindowError):
                        frames[sample["key"]] = view.cutter.whole(view.movie.window(sample["seconds"], 1))
        except MovieError as failure:
            selection.failures.setdefault(movie, str(failure))
    return frames


def refused_windows(selection: Selection) -> list[Refused]:
    """Some of the selection's refused windows, spread over its movies. ``same_gop`` is left out: it has no window."""
    decoded = {(movie, reject) for movie, reject in selection.rejects if reject.reason != SAME_GOP}
    rejects, found = spread(sorted(decoded), REFUSED_SCORED), list[Refused]()
    for name in sorted({movie for movie, _ in rejects}):
        with suppress(MovieError), open_view(selection.recipe, name) as view:
            found += [_refused(view, name, reject) for movie, reject in rejects if movie == name]
    return found


def _refused(view: MovieView, movie: str, reject: Reject) -> Refused:
    try:
        window = view.movie.window(reject.seconds, view.cutter.recipe.sampling.frames)
    except WindowError:
        return Refused(movie, *reject, 0.0, ())
    frames = (view.cutter.whole(replace(window, frames=(window.frames[end],))) for end in (0, -1))
    ends = tuple(map(Image.fromarray, frames))
    for image in ends:
        image.thumbnail((320, 320), Image.Resampling.LANCZOS)
    return Refused(movie, *reject, view.cutter.stability(window).score, ends)


def most_telling(refused: list[Refused]) -> list[Refused]:
    """Refused windows to show, taken from each reason in turn, sorted by movie and second."""
    by_reason: dict[str, list[Refused]] = {}
    for window in refused:
        if window.ends or window.reason not in by_reason:  # one window without frames is enough
            by_reason.setdefault(window.reason, []).append(window)
    turns = zip_longest(*(spread(windows, REFUSED_SHOWN) for windows in by_reason.values()))
    chosen = islice((window for turn in turns for window in turn if window), REFUSED_SHOWN)
    return sorted(chosen, key=lambda window: (window.movie, window.seconds))


def lights(selection: Selection) -> list[Light]:
    """The brightness of at most twelve movies: those that most samples come from."""
    by_samples = Counter(fields["movie"] for fields in selection.metadata).most_common(12)
    found = []
    for name in sorted(movie for movie, _ in by_samples):
        with suppress(MovieError), open_view(selection.recipe, name) as view:
            found.append(_light(view, name))
    return found


def _light(view: MovieView, name: str) -> Light:
    facts, cutter = view.facts, view.cutter
    top, left, height, width = facts.active
    pixels = np.zeros(2**facts.bits, np.int64)  # by luma code
    for number in range(MOMENTS):
        with suppress(WindowError):
            luma = view.movie.window((2 * number + 1) * facts.duration / (2 * MOMENTS), 1).frames[0].y
            pixels += np.bincount(luma[top : top + height, left : left + width].ravel(), minlength=len(pixels))
    # cd/m2 of a neutral grey by luma code, which the tone settings do not change.
    nits = Grader(facts.tags, facts.bits, ToneSettings(), facts.max_cll).nits
    histogram = np.histogram(nits, NITS, weights=pixels)[0].astype(np.int64)
    is_auto, peak = cutter.recipe.tonemap.peak == "auto", float(cutter.tonemap["peak"])
    peak_from = peak_nits(facts.max_cll, facts.mastering_peak)[1] if is_auto else "recipe"
    return Light(name, histogram, np.interp(NITS, nits, cutter.grey), peak, peak_from if peak else "")
