"""The batches of one epoch: items in order, their samples mixed by groups, one bucket per format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import NoSamplesError, StateError
from ..rng import uniform_at
from ..sampling.sample import Sample
from .fetcher import Fetcher
from .packing import alone
from .source import Barren, Source

LAP = 1 << 20
"""A rank that runs short of epoch e draws on from epoch e + LAP, then e + 2 LAP: samples that no epoch repeats."""

EMPTY_ITEMS = 32
"""A source is taken for empty after this many items without a sample, and not before two epochs of them."""


@dataclass(frozen=True, slots=True)
class Batching:
    """What the sequence of batches depends on, beside the source. See ``PatchLoader``."""

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

    def batches(self, source: Source, epoch: int) -> int:
        """Batches of an epoch, the same on every rank.

        Raises:
            ValueError: if there are fewer items than ranks.
        """
        items = source.items(epoch)
        if items < self.world_size:
            raise ValueError(f"an epoch has {items} runs for {self.world_size} ranks; give the movies more timestamps")
        if self.steps is not None:
            return self.steps
        counts, size = source.buckets(self.by_category), self.batch_size
        known = [count for count in counts.values() if count is not None]
        if self.world_size == 1 and len(known) == len(counts):
            return sum(count // size if self.drop_last else -(-count // size) for count in known)
        planned = [source.planned(epoch, range(rank, items, self.world_size)) for rank in range(self.world_size)]
        if self.drop_last:
            return min(planned) // size
        # The most that can come of these samples: each bucket's last batch may be left partly filled.
        return (max(planned) + len(counts) * (size - 1)) // size

    def bucket(self, sample: Sample) -> tuple[str, ...]:
        """What the samples of one batch have in common."""
        try:
            return (sample["format"], sample["category"]) if self.by_category else (sample["format"],)
        except KeyError as missing:
            raise ValueError(
                f"a sample lacks {missing}, by which batches are made; drop keys in collate_fn, not in transform"
            ) from None


@dataclass(frozen=True, slots=True)
class Placed:
    """A sample and where in this rank's sequence of items it stands."""

    item: int
    number: int
    sample: Sample


class Epoch:
    """One iteration of a loader over one epoch, and what a rank that runs short draws after it."""

    def __init__(self, source: Source, fetcher: Fetcher, how: Batching, start: Cursor, total: int) -> None:
        self._fetcher = fetcher
        self._how = how
        self._start = start
        self._total = total
        self._given = start.batches
        self._buckets: dict[tuple[str, ...], list[Placed]] = {}
        self._barren = Barren(source.patience)
        self._empty = 0
        """Items in a row without a sample."""
        self._positions = range(how.rank, source.items(start.epoch), how.world_size)
        self._groups = -(-len(self._positions) // how.shuffle_runs)
        """Groups of items that are this rank's own in this epoch."""

    def batches(self) -> Iterator[tuple[list[Sample], Cursor]]:
        """The batches that are left, each with the place after it."""
        for one in self._waiting():
            self._bucket(one).append(one)
        group, taken = self._start.group, self._start.taken
        while self._given < self._total:
            if group == self._groups and not taken and not self._how.drop_last:
                for left in sorted(self._buckets):
                    yield self._batch(left, group, 0)
                    if self._given == self._total:
                        return
            # The epoch's own items in one go; then, for a rank that is short, about as many as it needs.
            last = self._groups if group < self._groups else group + self._needed(group)
            for mixed in self._mixed(range(group, last)):
                for number, one in enumerate(mixed[taken:], taken + 1):
                    bucket = self._bucket(one)
                    bucket.append(one)
                    if len(bucket) == self._how.batch_size:
                        yield self._batch(
                            self._how.bucket(one.sample), group + number // len(mixed), number % len(mixed)
                        )
                        if self._given == self._total:
                            return
                self._let_go_of(group)
                group, taken = group + 1, 0

    def _batch(self, key: tuple[str, ...], group: int, taken: int) -> tuple[list[Sample], Cursor]:
        self._given += 1
        samples = [one.sample for one in self._buckets.pop(key)]
        waiting = frozenset((one.item, one.number) for rest in self._buckets.values() for one in rest)
        return samples, Cursor(self._start.epoch, self._given, group, taken, waiting)

    def _bucket(self, one: Placed) -> list[Placed]:
        return self._buckets.setdefault(self._how.bucket(one.sample), [])

    def _let_go_of(self, group: int) -> None:
        """What still waits of a group gets memory of its own, because its blocks are as large as whole runs."""
        items = self._members(group)
        for bucket in self._buckets.values():
            bucket[:] = [
                Placed(one.item, one.number, alone(one.sample)) if one.item in items else one for one in bucket
            ]

    def _needed(self, group: int) -> int:
        """Groups that should fill the batches that are missing, going by those so far; at least one."""
        seen = self._given * self._how.batch_size / max(group, 1)
        missing = (self._total - self._given) * self._how.batch_size
        return max(1, min(self._groups, int(missing / max(seen, 1))))

    def _mixed(self, groups: range) -> Iterator[list[Placed]]:
        """The samples of groups of items, each group mixed."""
        members = [self._members(group) for group in groups]
        fetched = self._placed([item for items in members for item in items])
        for items in members:
            yield sorted((one for _ in items for one in next(fetched)), key=self._turn)

    def _members(self, group: int) -> range:
        """The items of a group; laps have as many items as the epoch itself."""
        lap, within = divmod(group, self._groups)
        own, runs = len(self._positions), self._how.shuffle_runs
        return range(lap * own + within * runs, lap * own + min((within + 1) * runs, own))

    def _turn(self, one: Placed) -> float:
        """Where in its group a sample comes: by address, so that one sample's turn can be told without the others."""
        return uniform_at("shuffle", self._start.epoch, self._how.rank, one.item, one.number)

    def _waiting(self) -> list[Placed]:
        """The samples that a loaded state says are waiting, made again, in the order in which they came."""
        wanted = self._start.waiting
        placed = self._placed(sorted({item for item, _ in wanted}))
        found = [one for samples in placed for one in samples if (one.item, one.number) in wanted]
        if len(found) != len(wanted):
            raise StateError("the samples that wait in this state are not those that the movies or shards give now")
        own, runs = len(self._positions), self._how.shuffle_runs
        return sorted(found, key=lambda one: (one.item // own, one.item % own // runs, self._turn(one)))

    def _placed(self, items: Iterable[int]) -> Iterator[list[Placed]]:
        """The samples of this rank's items, in order, made by the workers."""
        items, own = list(items), len(self._positions)
        addresses = [(self._start.epoch + item // own * LAP, self._positions[item % own]) for item in items]
        for item, outcomes in zip(items, self._fetcher.fetch(addresses), strict=True):
            samples: list[Sample] = []
            for outcome in outcomes:
                self._barren.add(outcome)
                samples.extend(outcome.samples)
            self._empty = 0 if samples else self._empty + 1
            if self._empty >= max(2 * own, EMPTY_ITEMS):
                raise NoSamplesError(f"{self._empty} runs in a row gave no sample: {self._barren.explain()}")
            yield [Placed(item, number, sample) for number, sample in enumerate(samples)]


STATE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between two batches."""

    epoch: int = 0
    batches: int = 0
    """Batches given."""
    group: int = 0
    """Groups of items that are used up."""
    taken: int = 0
    """Samples taken of the group after these."""
    waiting: frozenset[tuple[int, int]] = frozenset()
    """(item, sample of it) of the samples whose batch is not full yet."""

    def to_json(self) -> dict[str, Any]:
        """A small JSON-able form that ``from_json`` reads back."""
        return {
            "version": STATE_VERSION,
            "epoch": self.epoch,
            "batches": self.batches,
            "group": self.group,
            "taken": self.taken,
            "waiting": _written(self.waiting),
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Cursor:
        """The cursor that ``to_json`` wrote.

        Raises:
            StateError: if it is none.
        """
        if state.get("version") != STATE_VERSION:
            raise StateError(f"state has version {state.get('version')!r}, expected {STATE_VERSION}")
        try:
            epoch, batches, group, taken = (int(state[key]) for key in ("epoch", "batches", "group", "taken"))
            return cls(epoch, batches, group, taken, frozenset(_read(state["waiting"])))
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(f"state is not one of a PatchLoader: {error!r}") from None


def _written(waiting: Iterable[tuple[int, int]]) -> str:
    """Hexadecimal ``step:samples`` per item, by commas: steps lead from item to item, samples are bits of a number."""
    samples: dict[int, int] = {}
    for item, number in waiting:
        samples[item] = samples.get(item, 0) | 1 << number
    before, parts = 0, []
    for item, bits in sorted(samples.items()):
        parts.append(f"{item - before:x}:{bits:x}")
        before = item
    return ",".join(parts)


def _read(written: str) -> Iterable[tuple[int, int]]:
    item = 0
    for part in filter(None, written.split(",")):
        step, bits = (int(number, 16) for number in part.split(":"))
        item += step
        yield from ((item, number) for number in range(bits.bit_length()) if bits >> number & 1)
