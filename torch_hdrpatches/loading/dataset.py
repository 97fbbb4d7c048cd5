"""``HDRPatchDataset``: samples of a recipe as a training dataset for any ``DataLoader``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Unpack

from ..callables import name_of
from ..recipe.recipe import Recipe
from ..sampling.fingerprint import identity_of
from ..sampling.sample import SampleOptions
from ..sampling.stream import PatchStream
from ..sampling.sweep import Outcome
from .epochs import Counts, EpochDataset


class HDRPatchDataset(EpochDataset):
    """Training patches, made from HDR movies while training.

    An item is a run of neighbouring slots. In a plain ``DataLoader`` every sample of an epoch comes exactly once, with
    any number of ranks and workers. ``PatchLoader`` adds an order that does not depend on the number of workers,
    equally many batches on every rank, and resume with any number of workers.

    Args:
        recipe: a path, a mapping or a ``Recipe``.
        epoch: jitter and crops differ by epoch; see ``set_epoch``.
        rank, world_size: this process's rank and the number of ranks; by default those of torch's process group or of
            torchrun, found when an iteration begins.
        **options: see ``SampleOptions``.

    Raises:
        RecipeError: if the recipe is invalid, or names a file that does not exist.
        TypeError: if there is no such option.
        NoSamplesError: while iterating, if an epoch or too many slots in a row give no sample.
    """

    def __init__(
        self,
        recipe: str | Path | Mapping[str, Any] | Recipe,
        *,
        epoch: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        **options: Unpack[SampleOptions],
    ) -> None:
        self.stream = PatchStream(recipe, **options)
        max_empty_slots = self.stream.recipe.sampling.max_consecutive_rejects
        super().__init__(epoch, rank, world_size, len(self.stream.plan), max_empty_slots)

    def fingerprint(self) -> dict[str, Any]:
        return identity_of(self.stream.recipe, self.stream.names)

    def outcomes(self, epoch: int, position: int) -> Iterator[Outcome]:
        return self.stream.run(epoch, self.stream.plan.run_at(epoch, position))

    def describe(self, epoch: int, position: int) -> str:
        run = self.stream.plan.run_at(epoch, position)
        return f"movie {run.name} ({run.movie.path}), slots {run.first} to {run.stop - 1}, epoch {epoch}"

    def planned(self, epoch: int) -> Counts:
        return self.stream.plan.planned(epoch)

    def buckets(self, by_category: bool) -> Mapping[tuple[str, ...], int | None]:
        categories = self.stream.recipe.categories
        pairs = [(name, category) for category, spec in categories.items() for name in spec.formats]
        return dict.fromkeys(pairs if by_category else [(name,) for name, _ in pairs])

    def __repr__(self) -> str:
        recipe, options = self.stream.recipe, self.stream.options
        slots = sum(movie.slots for movie in recipe.movies)
        shape = f"output={options['output']!r}, gt={options['gt']!r}, epoch={self.epoch}"
        return f"<HDRPatchDataset: movies={len(recipe.movies)}, slots={slots}, {shape}>"

    def _repr_html_(self) -> str:
        from ..sampling.notebook import few, section, table

        recipe, rows = self.stream.recipe, []
        for name, samples in self.stream.plan.expected().items():
            weights = recipe.categories[name].formats
            share = samples / sum(weights.values())
            formats = ", ".join(f"{format} {round(share * weight)}" for format, weight in weights.items())
            rows.append((name, samples, formats, recipe.categories[name].target or "–"))
        options = ((name, name_of(value)) for name, value in self.stream.options.items() if value is not None)
        return section(
            repr(self)[1:-1],
            table((), [("movies", few(movie.name for movie in recipe.movies)), *options]),
            table(
                ("category", "samples per epoch if none is refused", "about, by format", "target of an export"), rows
            ),
        )
