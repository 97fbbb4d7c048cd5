"""Batches in one canonical order, whatever the number of workers; equal ranks; a cursor to resume from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from .errors import NoSamplesError, StateError
from .identity import differing, digests
from .rng import rng_at
from .sample import Sample
from .transport import Packed, pack, unpack
from .workers import rank_and_world

STATE_VERSION = 1
LAP = 1 << 20
"""A rank that runs short of epoch e draws on from epoch e + LAP, then e + 2 LAP: samples that no epoch repeats."""

EMPTY_GROUPS = 32
"""A stream is taken for empty after this many groups without a sample, and not before a whole epoch of them."""


class Source(Protocol):
    """What a loader reads: ``HDRPatchDataset``, or the dataset that ``read_shards`` returns."""

    def fingerprint(self) -> dict[str, Any]:
        """What the stream depends on, as flat JSON-able keys."""

    def items(self, epoch: int) -> int:
        """Items of an epoch; an item is some neighbouring samples that are cheap to make together."""

    def item(self, epoch: int, position: int) -> list[Sample]:
        """The samples of one item: a pure function of its arguments."""

    def planned(self, epoch: int, positions: range) -> int:
        """Samples of these items if nothing is rejected."""

    def buckets(self) -> int:
        """Pairs of category and format that samples can have: as many batches may be left partly filled."""


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where an epoch stands: all that a resumed loader needs, and nothing that can be computed again."""

    epoch: int = 0
    batches: int = 0
    group: int = 0
    """Groups of items that are used up."""
    taken: int = 0
    """Samples taken from the group after these."""
    waiting: tuple[tuple[int, int], ...] = ()
    """(item, sample of it) of the samples whose batch is not full yet, in order."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A sample and where in this rank's sequence of items it stands."""

    item: int
    number: int
    sample: Sample


class PatchLoader:
    """Batches of one format, in an order that depends on the recipe, epoch, rank and world size alone.

    Iterating gives one epoch, and the next time the next one; ``set_epoch`` chooses. Every rank gives exactly
    ``len(loader)`` batches per epoch: a rank that runs short because windows were rejected draws on.

    Args:
        dataset: an ``HDRPatchDataset``, or what ``read_shards`` returns.
        batch_size: samples per batch.
        num_workers: processes that decode; 0 decodes in this one.
        rank, world_size: found from the environment or the process group when absent.
        shuffle_runs: the samples of this many runs are mixed.
        by_category: batches hold one category, too.
        drop_last: leave out the batches that are not full when an epoch's own samples end.
        steps: batches per epoch, instead of as many as its samples make.
        collate_fn, pin_memory, prefetch_factor, multiprocessing_context, persistent_workers: as in ``DataLoader``.

    Raises:
        ValueError: if an epoch has fewer runs than there are ranks.
        NoSamplesError: while iterating, if a whole epoch gives nothing.
    """

    def __init__(
        self,
        dataset: Source,
        batch_size: int = 1,
        *,
        num_workers: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        shuffle_runs: int = 4,
        by_category: bool = False,
        drop_last: bool = False,
        steps: int | None = None,
        collate_fn: Callable[[list[Any]], Any] = default_collate,
        pin_memory: bool = False,
        prefetch_factor: int | None = None,
        multiprocessing_context: Any = None,
        persistent_workers: bool = False,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.rank, self.world_size = rank_and_world(rank, world_size)
        self.shuffle_runs = shuffle_runs
        self.by_category = by_category
        self.drop_last = drop_last
        self.steps = steps
        self.collate_fn = collate_fn
        self._cursor = _Cursor()
        self._resuming = False
        self._addresses = _Addresses()
        self._items = DataLoader(
            _PackedItems(dataset),
            batch_size=None,
            sampler=self._addresses,
            num_workers=num_workers,
            pin_memory=pin_memory,
            prefetch_factor=prefetch_factor,
            multiprocessing_context=multiprocessing_context,
            persistent_workers=persistent_workers,
        )

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self._cursor = _Cursor(epoch)

    def __len__(self) -> int:
        """Batches per epoch, the same on every rank."""
        if self.steps is not None:
            return self.steps
        epoch, items = self._cursor.epoch, self.dataset.items(self._cursor.epoch)
        planned = [self.dataset.planned(epoch, range(rank, items, self.world_size)) for rank in range(self.world_size)]
        if self.drop_last:
            return min(planned) // self.batch_size
        # The most that can come of these samples: each bucket's last batch may be left partly filled.
        return (max(planned) + self.dataset.buckets() * (self.batch_size - 1)) // self.batch_size

    def state_dict(self) -> dict[str, Any]:
        """A small JSON-able cursor: what comes after the batches given so far."""
        cursor = self._cursor
        return {
            "version": STATE_VERSION,
            "identity": digests(self._identity()),
            "epoch": cursor.epoch,
            "batches": cursor.batches,
            "group": cursor.group,
            "taken": cursor.taken,
            "waiting": [list(pair) for pair in cursor.waiting],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state_dict`` was taken; the number of workers may be another.

        Raises:
            StateError: if the state is of another recipe, batch size, rank or world size; names what differs.
        """
        if state.get("version") != STATE_VERSION:
            raise StateError(f"state has version {state.get('version')!r}, expected {STATE_VERSION}")
        if keys := differing(state["identity"], digests(self._identity())):
            raise StateError(f"state is of another stream; differing: {', '.join(keys)}")
        waiting = tuple((item, number) for item, number in state["waiting"])
        self._cursor = _Cursor(state["epoch"], state["batches"], state["group"], state["taken"], waiting)
        self._resuming = True

    def __iter__(self) -> Iterator[Any]:
        start = self._cursor if self._resuming else _Cursor(self._cursor.epoch)
        self._cursor, self._resuming = start, False
        total, batches = len(self), start.batches
        buckets: dict[tuple[str, ...], list[_Placed]] = {}

        def batch(bucket: tuple[str, ...], group: int, taken: int) -> Any:
            nonlocal batches
            batches += 1
            samples = [one.sample for one in buckets.pop(bucket)]
            waiting = tuple((one.item, one.number) for rest in buckets.values() for one in rest)
            self._cursor = _Cursor(start.epoch, batches, group, taken, waiting)
            return self.collate_fn(samples)

        for waiting in self._waiting(start):
            buckets.setdefault(self._bucket(waiting.sample), []).append(waiting)
        for group, taken, one in self._sequence(start, total):
            if one is not None:
                bucket = self._bucket(one.sample)
                buckets.setdefault(bucket, []).append(one)
                if len(buckets[bucket]) == self.batch_size:
                    yield batch(bucket, group, taken)
            elif not self.drop_last:
                for bucket in sorted(buckets):
                    if batches < total:
                        yield batch(bucket, group, taken)
            if batches >= total:
                break
        self._cursor = _Cursor(start.epoch + 1)

    def _identity(self) -> dict[str, Any]:
        mine = {
            name: getattr(self, name)
            for name in ("batch_size", "rank", "world_size", "shuffle_runs", "by_category", "drop_last", "steps")
        }
        return self.dataset.fingerprint() | mine

    def _bucket(self, sample: Sample) -> tuple[str, ...]:
        return (sample["format"], sample["category"]) if self.by_category else (sample["format"],)

    def _sequence(self, start: _Cursor, total: int) -> Iterator[tuple[int, int, _Placed | None]]:
        """(groups used up, taken of the next, sample) in order; None where the epoch's own samples end."""
        own = self._own(start.epoch)
        groups = -(-own // self.shuffle_runs)
        group, skip = start.group, start.taken
        if start.batches >= total:
            return
        empty = 0
        while True:
            if group == groups and not skip:
                yield group, 0, None
            # The epoch's own items in one go; then, for a rank that is short, no further than needed.
            last = groups if group < groups else group + 1
            for mixed in self._groups(start.epoch, range(group, last)):
                for number, one in enumerate(mixed[skip:], skip + 1):
                    at_end = number == len(mixed)
                    yield (group + 1, 0, one) if at_end else (group, number, one)
                skip = 0
                group += 1
                empty = 0 if mixed else empty + 1
                if empty > max(groups, EMPTY_GROUPS):
                    raise NoSamplesError(f"{empty} groups of {self.shuffle_runs} runs in a row gave no sample")

    def _groups(self, epoch: int, groups: range) -> Iterator[list[_Placed]]:
        """The mixed samples of groups of items."""
        own = self._own(epoch)
        per_lap = -(-own // self.shuffle_runs)
        members = [
            [
                lap * own + number
                for number in range(within * self.shuffle_runs, min((within + 1) * self.shuffle_runs, own))
            ]
            for lap, within in (divmod(group, per_lap) for group in groups)
        ]
        fetched = self._fetch(epoch, [item for group in members for item in group])
        for group, items in zip(groups, members, strict=True):
            samples = [one for _ in items for one in next(fetched)]
            order = rng_at("shuffle", epoch, self.rank, group).permutation(len(samples))
            yield [samples[index] for index in order]

    def _waiting(self, start: _Cursor) -> list[_Placed]:
        """The samples that a loaded state says are waiting, made again."""
        items = sorted({item for item, _ in start.waiting})
        found = {(one.item, one.number): one for samples in self._fetch(start.epoch, items) for one in samples}
        return [found[pair] for pair in start.waiting]

    def _fetch(self, epoch: int, items: Iterable[int]) -> Iterator[list[_Placed]]:
        """The samples of this rank's items, in order, made by the workers."""
        own, count = self._own(epoch), self.dataset.items(epoch)
        positions = range(self.rank, count, self.world_size)
        items = list(items)
        self._addresses.next = [(epoch + item // own * LAP, positions[item % own]) for item in items]
        if items:
            for item, packed in zip(items, self._items, strict=True):
                yield [_Placed(item, number, sample) for number, sample in enumerate(unpack(packed))]

    def _own(self, epoch: int) -> int:
        """Items of an epoch that are this rank's."""
        count = self.dataset.items(epoch)
        if count < self.world_size:
            raise ValueError(f"an epoch has {count} runs for {self.world_size} ranks; give the movies more timestamps")
        return len(range(self.rank, count, self.world_size))


class _PackedItems(Dataset[Packed]):
    """Items by (epoch, position): what the workers of the loader hold."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __getitem__(self, address: tuple[int, int]) -> Packed:
        return pack(self._source.item(*address))


class _Addresses(Sampler[tuple[int, int]]):
    """The addresses that the loader fetches next; torch hands them to workers in turn and keeps their order."""

    def __init__(self) -> None:
        self.next: list[tuple[int, int]] = []

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self.next)
