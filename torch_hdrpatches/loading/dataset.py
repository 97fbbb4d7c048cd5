"""The stream as an ``IterableDataset``: drops into any ``DataLoader``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..color.curves import UserCurve
from ..recipe.recipe import Recipe
from ..sampling.fingerprint import identity_of
from ..sampling.sample import GroundTruth, Output, Sample, Transform
from ..sampling.stream import Outcome, PatchStream
from ..transforms.degrade import Degrade
from .source import EpochDataset


class HDRPatchDataset(EpochDataset):
    """Training patches from HDR movies, live.

    Every epoch's samples are dealt to ranks and workers in runs of neighbouring slots: no sample comes twice, none is
    missing, and each is the same whoever makes it. For an order that does not depend on the number of workers, equal
    ranks and resume with another number of workers, use ``PatchLoader``.

    Args:
        recipe: a path, a mapping or a ``Recipe``.
        epoch: jitter and crops differ by epoch; see ``set_epoch``.
        output: ``"sdr"`` tone-mapped uint8, ``"hdr"`` uint16 signal, or ``"both"``.
        gt: the ``"centre"`` frame, or the whole ``"sequence"``.
        degrade: makes ``lq`` from the ground-truth frames; antialiased bicubic when absent.
        transform: ``transform(sample, rng) -> sample``, applied last.
        curve: a tone curve ``f(light, peak) -> light`` in place of the recipe's; see ``curves.UserCurve``.
        accept: ``accept(sample) -> bool``; a refused patch is drawn again elsewhere in its window, a few times.
        rank: of this process; found from the environment or the process group when absent.
        world_size: how many ranks there are; found likewise.

    Raises:
        RecipeError: if the recipe cannot mean anything, or names a file that does not exist.
        NoSamplesError: while iterating, if an epoch gives nothing at all, or too many slots in a row give nothing.
    """

    def __init__(
        self,
        recipe: str | Path | Mapping[str, Any] | Recipe,
        *,
        epoch: int = 0,
        output: Output = "sdr",
        gt: GroundTruth = "centre",
        degrade: Degrade | None = None,
        transform: Transform | None = None,
        curve: UserCurve | None = None,
        accept: Callable[[Sample], bool] | None = None,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        super().__init__(epoch, rank, world_size)
        self.stream = PatchStream(
            recipe, output=output, gt=gt, degrade=degrade, transform=transform, curve=curve, accept=accept
        )

    @property
    def patience(self) -> int:
        """Slots in a row without a sample after which the stream stops with an error."""
        return self.stream.recipe.sampling.max_consecutive_rejects

    def fingerprint(self) -> dict[str, Any]:
        """What the stream depends on, as flat keys."""
        return identity_of(self.stream.recipe, self.stream.making)

    def items(self, epoch: int) -> int:
        """Runs of an epoch."""
        return len(self.stream.plan)

    def outcomes(self, epoch: int, position: int) -> Iterator[Outcome]:
        """What the slots of the run at a position of an epoch give."""
        plan = self.stream.plan
        return self.stream.run(epoch, plan.runs[plan.order(epoch)[position]])

    def where(self, epoch: int, position: int) -> str:
        """A run in words."""
        plan = self.stream.plan
        run = plan.runs[plan.order(epoch)[position]]
        return f"movie {run.name} ({run.movie.path}), slots {run.first} to {run.stop - 1}, epoch {epoch}"

    def planned(self, epoch: int, positions: range) -> int:
        """Samples of the runs at these positions if nothing is rejected."""
        return self.stream.plan.samples(epoch, positions)

    def buckets(self, by_category: bool) -> Mapping[tuple[str, ...], int | None]:
        """Formats, or pairs of format and category, that samples can have; how many do, only decoding tells."""
        categories = self.stream.recipe.categories
        pairs = [(name, category) for category, spec in categories.items() for name in spec.formats]
        return dict.fromkeys(pairs if by_category else [(name,) for name, _ in pairs])
