"""The batches of one epoch: the samples of neighbouring items are mixed, and each format fills batches of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from ..errors import NoSamplesError, StateError
from ..rng import uniform_at
from ..sampling.sample import Sample
from .cursor import Cursor
from .epochs import EpochDataset, RejectStreak
from .fetcher import Fetcher, detached

EXTRA_EPOCH_OFFSET = 1 << 20
"""A rank that runs short in epoch e continues with epoch e + this, then e + 2 * this: no other epoch repeats those."""

MIN_EMPTY_ITEMS = 32
"""A dataset counts as empty after two epochs of items in a row without a sample, but not before this many items."""


@dataclass(frozen=True, slots=True)
class Batching:
    """The options of ``PatchLoader`` on which the sequence of batches depends."""

    batch_size: int
    rank: int
    world_size: int
    shuffle_runs: int
    by_category: bool
    drop_last: bool
    steps: int | None

    def __post_init__(self) -> None:
        for name in ("batch_size", "shuffle_runs", "steps"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ValueError(f"{name} is {number}, expected 1 or more")

    def batches(self, dataset: EpochDataset, epoch: int) -> int:
        """Batches per epoch, the same on every rank; raises ValueError if there are fewer items than ranks."""
        items = dataset.items
        if items < self.world_size:
            raise ValueError(f"an epoch has {items} runs for {self.world_size} ranks; give the movies more timestamps")
        if self.steps is not None:
            return self.steps
        counts, size = dataset.buckets(self.by_category), self.batch_size
        known = [count for count in counts.values() if count is not None]
        if self.world_size == 1 and len(known) == len(counts):
            return sum(count // size if self.drop_last else -(-count // size) for count in known)
        planned = [dataset.planned(epoch, range(rank, items, self.world_size)) for rank in range(self.world_size)]
        if self.drop_last:
            return min(planned) // size
        # The largest possible number of batches: the last batch of each bucket may be partly filled.
        return (max(planned) + len(counts) * (size - 1)) // size

    def bucket(self, sample: Sample) -> tuple[str, ...]:
        """What all samples of a batch have in common: the format, or format and category."""
        try:
            return (sample["format"], sample["category"]) if self.by_category else (sample["format"],)
        except KeyError as missing:
            raise ValueError(
                f"a sample lacks {missing}, by which batches are made; drop keys in collate_fn, not in transform"
            ) from None


@dataclass(slots=True)
class QueuedSample:
    """A sample that waits for its batch, and its place among all samples of this rank."""

    item: int
    number: int
    """Which sample of the item it is."""
    sample: Sample


class EpochBatches:
    """The batches that one rank gives in one epoch, from a cursor on.

    A rank that runs short because samples were rejected continues with the items of extra epochs.
    """

    def __init__(self, dataset: EpochDataset, fetcher: Fetcher, batching: Batching, start: Cursor, total: int) -> None:
        self._fetcher = fetcher
        self._batching = batching
        self._start = start
        self._total = total
        self._given = start.batches
        self._buckets: defaultdict[tuple[str, ...], list[QueuedSample]] = defaultdict(list)
        self._streak = RejectStreak(dataset.max_empty_slots)
        self._empty_items = 0
        """Number of items in a row without a sample."""
        self._positions = range(batching.rank, dataset.items, batching.world_size)
        self._groups = -(-len(self._positions) // batching.shuffle_runs)
        """Number of groups per epoch; the samples of a group of items are mixed."""

    def __iter__(self) -> Iterator[tuple[list[Sample], Cursor]]:
        """The batches that are left, each with the cursor after it."""
        return islice(self._batches(), self._total - self._start.batches)

    def _batches(self) -> Iterator[tuple[list[Sample], Cursor]]:
        self._restore()
        group, taken = self._start.group, self._start.taken
        while True:
            if group == self._groups and not taken and not self._batching.drop_last:
                for key in sorted(self._buckets):
                    yield self._batch(key, group, 0)
            # First all items of the epoch itself, then about as many extra items as a rank that runs short needs.
            stop = self._groups if group < self._groups else group + self._groups_needed(group)
            for mixed in self._mixed(range(group, stop)):
                for number, queued in enumerate(mixed[taken:], taken + 1):
                    key = self._batching.bucket(queued.sample)
                    self._buckets[key].append(queued)
                    if len(self._buckets[key]) == self._batching.batch_size:
                        yield self._batch(key, group + number // len(mixed), number % len(mixed))
                # What still waits is copied: its shared block of memory is as large as a whole item.
                for queued in chain(*self._buckets.values()):
                    if queued.item in self._items_of(group):
                        queued.sample = detached(queued.sample)
                group, taken = group + 1, 0

    def _batch(self, key: tuple[str, ...], group: int, taken: int) -> tuple[list[Sample], Cursor]:
        self._given += 1
        samples = [queued.sample for queued in self._buckets.pop(key)]
        waiting = {key: len(bucket) for key, bucket in self._buckets.items()}
        items = {queued.item for queued in chain(*self._buckets.values())} - set(self._items_of(group))
        return samples, Cursor(self._start.epoch, self._given, group, taken, waiting, tuple(sorted(items)))

    def _restore(self) -> None:
        """Make the samples again that were waiting when the state was saved: the last ones of their buckets."""
        group, taken = self._start.group, self._start.taken
        made = sorted(chain.from_iterable(self._fetched(self._start.items)), key=self._turn)
        for mixed in self._mixed(range(group, group + 1 if taken else group)):
            made += mixed[:taken]
        for key, count in self._start.waiting.items():
            self._buckets[key] = [queued for queued in made if self._batching.bucket(queued.sample) == key][-count:]
            if len(self._buckets[key]) < count:
                raise StateError("the movies or shards no longer give the samples that were waiting in this state")

    def _groups_needed(self, group: int) -> int:
        """Number of groups, at least one, that should fill the missing batches at the rate of samples so far."""
        seen = self._given * self._batching.batch_size / max(group, 1)
        missing = (self._total - self._given) * self._batching.batch_size
        return max(1, min(self._groups, int(missing / max(seen, 1))))

    def _mixed(self, groups: range) -> Iterator[list[QueuedSample]]:
        """The samples of each group, mixed."""
        fetched = self._fetched(chain.from_iterable(map(self._items_of, groups)))
        for group in groups:
            yield sorted(chain(*islice(fetched, len(self._items_of(group)))), key=self._turn)

    def _items_of(self, group: int) -> range:
        """The items of a group; extra epochs have as many items as the epoch itself."""
        extra_epoch, within = divmod(group, self._groups)
        own, runs = len(self._positions), self._batching.shuffle_runs
        return range(extra_epoch * own + within * runs, extra_epoch * own + min((within + 1) * runs, own))

    def _turn(self, queued: QueuedSample) -> tuple[int, int, float]:
        """Sorts samples by group, and at random within: by address, so that it depends on no other sample."""
        extra_epoch, within = divmod(queued.item, len(self._positions))
        u = uniform_at("shuffle", self._start.epoch, self._batching.rank, queued.item, queued.number)
        return extra_epoch, within // self._batching.shuffle_runs, u

    def _fetched(self, items: Iterable[int]) -> Iterator[list[QueuedSample]]:
        """The samples of each of this rank's items, in order, made by the workers."""
        items, own = list(items), len(self._positions)
        addresses = [
            (self._start.epoch + item // own * EXTRA_EPOCH_OFFSET, self._positions[item % own]) for item in items
        ]
        for item, outcomes in zip(items, self._fetcher.fetch(addresses), strict=True):
            for outcome in outcomes:
                self._streak.add(outcome)
            samples = list(chain.from_iterable(outcome.samples for outcome in outcomes))
            self._empty_items = 0 if samples else self._empty_items + 1
            if self._empty_items >= max(2 * own, MIN_EMPTY_ITEMS):
                raise NoSamplesError(
                    f"{self._empty_items} runs in a row gave no sample: {self._streak.tally.explain()}"
                )
            yield [QueuedSample(item, number, sample) for number, sample in enumerate(samples)]
