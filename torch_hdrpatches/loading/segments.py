"""How an epoch is divided into segments, each with one part per rank, and what a place in it is.

The batches of a part depend on the part alone, not on what came before it. So a place in an epoch is a few numbers that
are the same on all ranks, and to go on there a rank makes again at most the batches of one segment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import gcd
from typing import Any, TypeAlias

import numpy as np

from ..errors import StateError
from ..sampling.sample import Sample
from .epochs import EpochDataset
from .fetcher import Address

STATE_VERSION = 3

EXTRA_EPOCH_OFFSET = 1 << 20
"""A part that runs short in epoch e goes on with items of epoch e + this, e + 2 * this, ...; no epoch repeats them."""

PASS_OFFSET = EXTRA_EPOCH_OFFSET << 20
"""With more ``steps`` than an epoch has, all items come again as those of epoch e + this, e + 2 * this, ..."""

BATCHES_PER_SEGMENT = 32
"""Number of batches of each bucket that a part of a segment should have: enough for the batch that is filled up at its
end not to matter, and few enough to be made again quickly."""

Bucket: TypeAlias = tuple[str, ...]
"""What the samples of a batch have in common: the format, or format and category."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive items of an epoch, dealt to ``parts`` ranks in turn; every part gives ``batches`` batches."""

    epoch: int
    start: int
    stop: int
    """Positions in the epoch; those of the second pass through all items begin at ``items``."""
    items: int
    """Number of items in the epoch."""
    parts: int
    batches: int
    fills_up: bool
    """Whether all batches are full, by extra samples for those that are left over at the end."""

    @property
    def is_last(self) -> bool:
        """Whether it ends where the epoch ends."""
        return self.stop % self.items == 0

    def groups(self, part: int, size: int) -> list[range]:
        """The positions of a part, in groups of ``size``."""
        positions = range(self.start + part, self.stop, self.parts)
        return [positions[first : first + size] for first in range(0, len(positions), size)]

    def address(self, position: int, round: int = 0) -> Address:
        """Of the item at a position: its own, or that of an extra item which stands in for samples that are missing."""
        passes, within = divmod(position, self.items)
        return self.epoch + passes * PASS_OFFSET + round * EXTRA_EPOCH_OFFSET, within


@dataclass(frozen=True, slots=True)
class Batching:
    """The options of ``PatchLoader`` on which the sequence of batches depends."""

    batch_size: int
    shuffle_runs: int
    by_category: bool
    drop_last: bool
    steps: int | None

    def __post_init__(self) -> None:
        for name in ("batch_size", "shuffle_runs", "steps"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ValueError(f"{name} is {number}, expected 1 or more")

    def bucket(self, sample: Sample) -> Bucket:
        """The bucket of a sample; raises ValueError if the sample does not tell."""
        try:
            return (sample["format"], sample["category"]) if self.by_category else (sample["format"],)
        except KeyError as missing:
            raise ValueError(
                f"a sample lacks {missing}, by which batches are made; drop keys in collate_fn, not in transform"
            ) from None


class Layout:
    """The segments of every epoch, and their numbers of batches, known before any sample is made."""

    def __init__(self, dataset: EpochDataset, batching: Batching) -> None:
        self.batching = batching
        self._dataset = dataset
        self._counts = dataset.buckets(batching.by_category)

    def batches(self, epoch: int, world_size: int) -> int:
        """Batches per epoch, the same on every rank; raises ValueError if there are fewer items than ranks."""
        items = self._dataset.items
        self._dataset.check_runs(world_size)
        if self.batching.steps is not None:
            return self.batching.steps
        size = self._segment_size(epoch, world_size)
        equal = max(0, items // size - 1)  # segments of the same size; the last one takes the rest
        planned = self._dataset.planned(epoch)
        parts = planned[: equal * size].reshape(equal, size // world_size, world_size).sum(1)
        before_last = sum(map(self._full_batches, parts.max(1).tolist(), parts.min(1).tolist()))
        return before_last + self.segment(epoch, equal * size, world_size).batches

    def segment(self, epoch: int, start: int, parts: int) -> Segment:
        """The segment that starts at a position. At the end of an epoch it may have fewer parts than asked for."""
        items = self._dataset.items
        first = start - start % items
        rest = items - start % items
        size = self._segment_size(epoch, parts)
        stop = start + (rest if rest < 2 * size else size)
        parts = min(parts, rest)
        address_epoch = epoch + first // items * PASS_OFFSET
        planned = self._dataset.planned(address_epoch)[start - first : stop - first]
        per_part = [int(planned[part::parts].sum()) for part in range(parts)]
        most, least = max(per_part), min(per_part)
        ends = stop - first == items and self.batching.steps is None
        batches = self._last_batches(most, least, parts, stop - start) if ends else self._full_batches(most, least)
        return Segment(epoch, start, stop, items, parts, batches, fills_up=len(self._counts) == 1 and not ends)

    def _segment_size(self, epoch: int, parts: int) -> int:
        """Number of items of a segment: for every part, groups of ``shuffle_runs`` items, which should fill batches."""
        runs, size = self.batching.shuffle_runs, self.batching.batch_size
        planned = self._dataset.planned(epoch)
        per_group = max(float(planned.mean()) * runs, 1e-3)
        groups = int(np.ceil(BATCHES_PER_SEGMENT * len(self._counts) * size / per_group))
        multiple = size // gcd(size, int(planned.max()) * runs)  # so many full groups need no extra samples
        return -(-groups // multiple) * multiple * runs * parts

    def _full_batches(self, most: int, least: int) -> int:
        """Batches of a part of a segment before the last, if the parts have ``least`` to ``most`` samples."""
        drops = self.batching.drop_last and len(self._counts) > 1
        return max(1, self._whole(least) if drops else self._with_rest(most))

    def _last_batches(self, most: int, least: int, parts: int, items: int) -> int:
        size, drop_last = self.batching.batch_size, self.batching.drop_last
        known = [samples for samples in self._counts.values() if samples is not None]
        if parts == 1 and items == self._dataset.items and len(known) == len(self._counts):
            return sum(samples // size if drop_last else -(-samples // size) for samples in known)
        return self._whole(least) if drop_last else self._with_rest(most)

    def _whole(self, samples: int) -> int:
        return samples // self.batching.batch_size

    def _with_rest(self, samples: int) -> int:
        """The largest possible number of batches: the last batch of each bucket may be partly filled."""
        size = self.batching.batch_size
        return (samples + len(self._counts) * (size - 1)) // size


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between two batches of an epoch. Every rank has the same one after the same number of batches."""

    epoch: int = 0
    batches: int = 0
    """Number of batches that each rank has given in this epoch."""
    start: int = 0
    """Where the segment of the epoch begins in which the cursor stands; see ``Segment``."""
    parts: int = 0
    """Number of parts of this segment; 0 at its start, where the number of ranks decides."""
    given: int = 0
    """Number of batches of this segment that all ranks together have given."""

    def to_json(self) -> dict[str, Any]:
        """The JSON form that ``from_json`` reads."""
        return {"version": STATE_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Cursor:
        """The cursor that ``to_json`` wrote; other keys are ignored. Raises StateError if a field is malformed."""
        try:
            numbers = {name: int(state[name]) for name in cls.__dataclass_fields__}
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(f"this is not the state of a PatchLoader: {error!r}") from None
        cursor = cls(**numbers)
        if min(numbers.values()) < 0 or (cursor.given > 0 and cursor.parts == 0):
            raise StateError(f"this is not the state of a PatchLoader: {cursor}")
        return cursor
