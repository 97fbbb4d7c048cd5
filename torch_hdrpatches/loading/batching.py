"""The batches of an epoch: the samples of neighbouring items are mixed, and each format fills batches of its own."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from functools import cached_property
from itertools import chain, count, zip_longest
from operator import itemgetter
from typing import Any

from ..errors import NoSamplesError
from ..rng import uniform_at
from ..sampling.fingerprint import check_state, digests
from ..sampling.sample import Sample
from ..sampling.sweep import Outcome
from .epochs import EpochDataset, RejectStreak
from .fetcher import Address, Fetcher, detached
from .ranks import Ranks, check_start, check_unchanged, current_ranks, current_world_size
from .segments import Batching, Bucket, Cursor, Layout, Segment

ELASTIC = (
    "the state was saved by %d ranks, and now there are %d: they share out the next %d batches as they stand, so that "
    "nothing is lost or given twice; then the epoch goes on in shares for %d ranks"
)

MIN_EMPTY_ITEMS = 32
"""A dataset counts as empty after two epochs of items in a row without a sample, but not before this many items."""

log = logging.getLogger(__name__)


class Epochs:
    """The batches of all epochs as lists of samples, and the place in them: what a loader and its samplers share."""

    def __init__(
        self, dataset: EpochDataset, fetcher: Fetcher, batching: Batching, ranks: tuple[int | None, int | None]
    ) -> None:
        self.dataset = dataset
        self.batching = batching
        self._layout = Layout(dataset, batching)
        self._fetcher = fetcher
        self._given_ranks = ranks
        self._ranks: Ranks | None = None
        """The ranks of the iterations so far."""
        self._choice = dataset.epoch_choice
        self._cursor = Cursor(self._choice.epoch)
        self._begun = False
        """Whether an iteration has begun at the cursor's epoch, so that the next one gives the next epoch."""
        self._iteration: object = None

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration. The epoch of a state that was just loaded keeps its position."""
        if self._begun or epoch != self.place.epoch:
            self._cursor, self._begun = Cursor(epoch), False

    def __len__(self) -> int:
        """Batches per epoch, the same on every rank."""
        return self._layout.batches(self.place.epoch, current_world_size(self._given_ranks[1]))

    def state_dict(self) -> dict[str, Any]:
        """A small JSON-able state from which iteration continues after the batches given so far, on every rank."""
        return self.place.to_json() | {"identity": self._identity}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where the state was saved. Raises StateError if it belongs to another stream."""
        check_state(state, self.state_dict())
        self._cursor, self._begun = Cursor.from_json(state), False

    def __iter__(self) -> Iterator[list[Sample]]:
        place = self.place
        start = Cursor(place.epoch + 1) if self._begun else place
        ranks = current_ranks(*self._given_ranks)
        check_start(ranks, self._ranks)
        if self._layout.batches(start.epoch, ranks.world_size) == 0:
            size = self.batching.batch_size
            raise NoSamplesError(f"an epoch has less than one batch of {size}, which drop_last leaves out")
        if start.given and start.parts != ranks.world_size:
            segment = self._layout.segment(start.epoch, start.start, start.parts)
            left = segment.parts * segment.batches - start.given
            log.warning(ELASTIC, start.parts, ranks.world_size, left, ranks.world_size)
        self._ranks, self._cursor, self._begun = ranks, start, True
        self._iteration = iteration = object()
        for samples, cursor in EpochBatches(self.dataset, self._fetcher, self._layout, ranks).after(start):
            check_unchanged(ranks, current_ranks(*self._given_ranks))
            self._cursor, self._begun = cursor, cursor.batches > 0
            yield samples
            if self._iteration is not iteration:
                raise RuntimeError("a newer iteration of this loader has started; this one cannot continue")

    @property
    def place(self) -> Cursor:
        """The cursor, after ``set_epoch`` of the dataset if it has been called."""
        choice = self.dataset.epoch_choice
        if choice != self._choice:
            self._choice = choice
            self.set_epoch(choice.epoch)
        return self._cursor

    @cached_property
    def _identity(self) -> dict[str, str]:
        return digests(self.dataset.fingerprint() | asdict(self.batching))


class EpochBatches:
    """The batches that one rank gives in one epoch, from a cursor on."""

    def __init__(self, dataset: EpochDataset, fetcher: Fetcher, layout: Layout, ranks: Ranks) -> None:
        self._fetcher = fetcher
        self._batching = layout.batching
        self._layout = layout
        self._ranks = ranks
        self._expected: set[Address] = set()
        """The items that are still needed of those that were requested."""
        self._arrived: dict[Address, tuple[Outcome, ...]] = {}
        self._arriving = fetcher.fetch()
        self._streak = RejectStreak(dataset.max_empty_slots)
        self._empty_items = 0
        """Number of items in a row without a sample."""
        self._max_empty_items = max(2 * dataset.items // ranks.world_size, MIN_EMPTY_ITEMS)

    def after(self, cursor: Cursor) -> Iterator[tuple[list[Sample], Cursor]]:
        """The batches that are left of the cursor's epoch, each with the cursor after it."""
        self._fetcher.wanted.clear()
        try:
            yield from self._batches_after(cursor)
        finally:
            self._arriving.close()  # at once: it logs what a worker that died was making

    def _batches_after(self, cursor: Cursor) -> Iterator[tuple[list[Sample], Cursor]]:
        parts = cursor.parts or self._ranks.world_size
        segment = self._layout.segment(cursor.epoch, cursor.start, parts)
        self._request(self._addresses(segment, cursor.given))
        while True:
            following = self._following(segment)
            own = self._addresses(following, 0) if following else []
            self._request(own)
            for samples, given in self._batches_of(segment, cursor.given):
                cursor = self._moved(cursor, segment, given, is_last=following is None)
                yield samples, cursor
                if cursor.batches == 0:
                    return
            if following is None:
                return
            self._forget_all_but(set(own))
            segment = following

    def _moved(self, cursor: Cursor, segment: Segment, given: int, is_last: bool) -> Cursor:
        """The cursor after one more batch: in the segment, at the start of the next one, or of the next epoch."""
        batches, ended = cursor.batches + 1, given >= segment.parts * segment.batches
        if batches == self._batching.steps or (ended and is_last):
            return Cursor(cursor.epoch + 1)
        if ended:
            return Cursor(cursor.epoch, batches, segment.stop)
        return replace(cursor, batches=batches, parts=segment.parts, given=given)

    def _forget_all_but(self, needed: set[Address]) -> None:
        """Drop the items of a segment that its batches did without, as happens with ``drop_last``."""
        self._expected &= needed
        self._arrived = {address: made for address, made in self._arrived.items() if address in needed}
        wanted = [address for address in self._fetcher.wanted if address in needed]
        self._fetcher.wanted.clear()
        self._fetcher.wanted.extend(wanted)

    def outcomes(self, address: Address) -> tuple[Outcome, ...]:
        """The outcomes of a requested item; counts rejects, and raises NoSamplesError if nothing else comes."""
        while address not in self._arrived:
            arrived, outcomes = next(self._arriving, (None, ()))
            if arrived is None:  # all that was requested is made, or nothing was yet
                self._arriving = self._fetcher.fetch()
            elif arrived in self._expected:
                self._arrived[arrived] = outcomes
        self._expected.remove(address)
        outcomes = self._arrived.pop(address)
        for outcome in outcomes:
            self._streak.add(outcome)
        self._empty_items = 0 if any(outcome.samples for outcome in outcomes) else self._empty_items + 1
        if self._empty_items >= self._max_empty_items:
            raise NoSamplesError(f"{self._empty_items} runs in a row gave no sample: {self._streak.tally.explain()}")
        return outcomes

    def request_first(self, addresses: list[Address]) -> None:
        """Let the workers make these items before all others."""
        self._fetcher.wanted.extendleft(reversed(addresses))
        self._expected |= set(addresses)

    def _request(self, addresses: list[Address]) -> None:
        self._fetcher.wanted.extend(addresses)
        self._expected |= set(addresses)

    def _following(self, segment: Segment) -> Segment | None:
        """The next segment of the epoch; None at its end."""
        steps = self._batching.steps
        if segment.is_last and steps is None:
            return None
        following = self._layout.segment(segment.epoch, segment.stop, self._ranks.world_size)
        return following if following.batches or not following.is_last else None

    def _batches_of(self, segment: Segment, given: int) -> Iterator[tuple[list[Sample], int]]:
        """This rank's batches of a segment, each with how many all ranks together have given after it.

        The batches of all parts are numbered in turn, and the ranks take them in turn. With as many parts as ranks
        every rank keeps to its own part; after the number of ranks has changed, it may need several.
        """
        rank, world_size = self._ranks
        parts: dict[int, Part] = {}
        with ExitStack() as closed_at_the_end:
            for first in range(given, segment.parts * segment.batches, world_size):
                number, part = divmod(first + rank, segment.parts)
                if part not in parts:
                    parts[part] = Part(segment, part, self._batching, self)
                    closed_at_the_end.enter_context(closing(parts[part]))
                yield parts[part].batch(number), first + world_size

    def _addresses(self, segment: Segment, given: int) -> list[Address]:
        """This rank's items of a segment, in the order in which it will need them."""
        rank, world_size = self._ranks
        firsts = range(given, given + segment.parts * world_size, world_size)
        parts = sorted({(first + rank) % segment.parts for first in firsts})
        groups = [segment.groups(part, self._batching.shuffle_runs) for part in parts]
        in_turn = chain.from_iterable(chain.from_iterable(zip_longest(*groups, fillvalue=range(0))))
        return [segment.address(position) for position in in_turn]


class Part:
    """The batches of one part of a segment, one after the other; they depend on nothing else."""

    def __init__(self, segment: Segment, part: int, batching: Batching, source: EpochBatches) -> None:
        self._segment = segment
        self._groups = segment.groups(part, batching.shuffle_runs)
        self._batching = batching
        self._source = source
        self._waiting: defaultdict[Bucket, list[Sample]] = defaultdict(list)
        self._samples = 0
        """Number of samples made."""
        self._given = 0
        """Number of batches given."""
        self._batches = self._endless()

    def batch(self, number: int) -> list[Sample]:
        """The batch of this number; the ones before it are made, too. Numbers must grow."""
        batch: list[Sample] = []
        while self._given <= number:
            self._given += 1
            batch = next(self._batches)
        return batch

    def close(self) -> None:
        """Give up the rest. Otherwise samples and worker processes would stay until Python collects garbage."""
        self._batches.close()

    def _endless(self) -> Generator[list[Sample]]:
        for group in self._groups:
            yield from self._filled([self._segment.address(position) for position in group])
        if not self._rest_is_filled_up():
            for bucket in sorted(self._waiting):
                yield self._waiting.pop(bucket)
        for round in count(1):
            extra = [[self._segment.address(position, round) for position in group] for group in self._groups]
            while extra:
                now, extra = extra[: self._groups_needed()], extra[self._groups_needed() :]
                self._source.request_first(list(chain(*now)))
                for addresses in now:
                    yield from self._filled(addresses)

    def _rest_is_filled_up(self) -> bool:
        """Whether samples that still wait after the last item go into batches with extra samples, or are left out."""
        return self._batching.drop_last or self._segment.fills_up

    def _filled(self, addresses: list[Address]) -> Iterator[list[Sample]]:
        """The batches that become full with the samples of a group of items, which are mixed."""
        mixed: list[tuple[float, Sample]] = []
        for epoch, position in addresses:
            samples = [sample for outcome in self._source.outcomes((epoch, position)) for sample in outcome.samples]
            mixed += [(uniform_at("shuffle", epoch, position, n), sample) for n, sample in enumerate(samples)]
        self._samples += len(mixed)
        for _, sample in sorted(mixed, key=itemgetter(0)):
            bucket = self._batching.bucket(sample)
            self._waiting[bucket].append(sample)
            if len(self._waiting[bucket]) == self._batching.batch_size:
                yield self._waiting.pop(bucket)
        # What still waits is copied: its shared block of memory is as large as a whole item.
        new = {id(sample) for _, sample in mixed}
        for bucket, waiting in self._waiting.items():
            self._waiting[bucket] = [detached(sample) if id(sample) in new else sample for sample in waiting]

    def _groups_needed(self) -> int:
        """Number of groups, at least one, that should fill the missing batches at the rate of samples so far."""
        missing = (self._segment.batches - self._given) * self._batching.batch_size
        return max(1, missing * len(self._groups) // max(self._samples, 1))
