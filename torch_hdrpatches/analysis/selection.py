"""Selects samples of a recipe or an exported folder to look at, and decodes the frames that they were cut from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import MovieError, NoSamplesError, RecipeError, WindowError
from ..frames import Plane
from ..recipe.recipe import Recipe
from ..sampling.plan import SLOTS_PER_RUN
from ..sampling.sample import Sample
from ..sampling.stream import PatchStream
from ..sampling.sweep import Outcome, Reject
from ..sampling.tally import Tally
from ..shards.browse import exported_metadata, exported_samples, is_export, spread
from ..shards.manifest import manifest_of, recipe_of, tally_of
from ..shards.record import IMAGE_KEYS
from ..storage.folder import Folder
from ..video.facts import Facts, facts_of
from .movie_view import open_view, probe_all

SAMPLES_PER_ROW = 4
"""Of a recipe, this many samples are made for each one that is shown, so that they can be spread."""
RUNS_CHECKED = 16
"""Runs of an export, at most, that are decoded again to see which of their windows were refused."""


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


def select(source: str | Path, rows: int, *, records: int = 0) -> Selection:
    """About ``rows`` samples, spread over a recipe file or over an exported folder or its URL.

    Args:
        source: the recipe or the export.
        rows: number of samples.
        records: of an export, read the metadata of about this many records and decode some refused windows again.

    Raises:
        NoSamplesError: if there are no samples.
    """
    found = _of_export(Folder.of(source), rows, records) if is_export(source) else _of_recipe(Path(source), rows)
    if not found.samples:
        raise NoSamplesError(f"{source}: no samples to show: {found.tally.explain()}")
    return found


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
                        frames[sample["key"]] = view.frame(sample["seconds"])
        except MovieError as failure:
            selection.failures.setdefault(movie, str(failure))
    return frames


def _of_recipe(path: Path, rows: int) -> Selection:
    stream, outcomes, made = PatchStream(path), list[Outcome](), 0
    runs = 0
    while runs < len(stream.plan) and made < SAMPLES_PER_ROW * rows:
        outcomes += stream.run(0, stream.plan.run_at(0, runs))
        made, runs = sum(len(outcome.samples) for outcome in outcomes), runs + 1
    samples = [sample for outcome in outcomes for sample in outcome.samples]
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
    chosen, rejects = spread(sorted(retried), RUNS_CHECKED), list[tuple[str, Reject]]()
    for movie in recipe.movies:
        for name, epoch, number in chosen:
            if name == movie.name:
                with suppress(RecipeError):  # the movie is gone, which is reported where its frames are wanted
                    stream = PatchStream(recipe.model_copy(update={"movies": (movie,)}))
                    run = stream.plan.run_of(name, number * SLOTS_PER_RUN)
                    rejects += _rejects(stream.run(epoch, run, categories=()))
    return rejects
