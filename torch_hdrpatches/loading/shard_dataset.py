"""``read_shards``: exported samples as a training dataset, chosen without decoding and shuffled in blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..callables import checked, name_of
from ..errors import NoSamplesError, ShardError
from ..recipe.settings import Accept
from ..recipe.sources import plain
from ..rng import rng_at
from ..sampling.plan import permutation
from ..sampling.sample import Transform, transformed
from ..sampling.sweep import Outcome
from ..shards.browse import shards_of
from ..shards.index import REMEDY, fields_of, index_of, sidecar_of
from ..shards.record import sample_of
from ..state_names import state_name
from ..storage.folder import folder_and_name
from .epochs import Counts, EpochDataset

BLOCK = 8
"""Neighbouring records that are read together: few, to save memory, but enough to read disks in sequence."""

Where: TypeAlias = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class _Shard:
    """A shard and the choice of its records that is read."""

    path: str
    identity: str
    """sha256 from its sidecar, or its size in bytes if there is no sidecar."""
    records: Counts
    """int64 (records,): positions of the chosen records in the tar."""
    counts: Counter[tuple[str, str]]
    """(format, category) to number of chosen records."""


class ShardDataset(EpochDataset):
    """Samples of exported shards; made by ``read_shards``. An item is a block of up to eight records."""

    def __init__(
        self,
        shards: tuple[_Shard, ...],
        choice: Mapping[str, str],
        transform: Transform | None,
        seed: int | None,
        epoch: int,
        ranks: tuple[int | None, int | None],
    ) -> None:
        self._shards = shards
        self._choice = dict(choice)
        self._transform = transform
        self._transform_name = state_name(transform)  # as it is now, because it may fill a cache of its own
        self._seed = seed
        blocks = [
            (number, first, min(BLOCK, len(shard.records) - first))
            for number, shard in enumerate(shards)
            for first in range(0, len(shard.records), BLOCK)
        ]
        self._blocks: Counts = np.array(blocks, np.int64)
        """int64 (blocks, 3): number of the shard, the first of its chosen records, and how many."""
        # Every record gives a sample, so that an empty slot is not possible.
        super().__init__(epoch, *ranks, items=len(blocks), max_empty_slots=1)

    def __len__(self) -> int:
        """Samples that the next iteration gives on this rank, all workers together."""
        rank, world_size = self.ranks
        return int(self.planned(self.epoch)[rank::world_size].sum())

    @property
    def shards(self) -> tuple[str, ...]:
        """The paths of the shards."""
        return tuple(shard.path for shard in self._shards)

    def fingerprint(self) -> dict[str, Any]:
        # The folder of the shards is left out.
        names = [(Path(shard.path).name, shard.identity, len(shard.records)) for shard in self._shards]
        return {**self._choice, "shards": names, "seed": self._seed, "transform": self._transform_name}

    def outcomes(self, epoch: int, position: int) -> Iterator[Outcome]:
        path, numbers = self._block(epoch, position)
        index, (folder, name) = index_of(path), folder_and_name(path)
        with folder.open(name) as file:
            for number in numbers:
                if number >= len(index):
                    raise ShardError(f"{path}: has {len(index)} records, its sidecar lists more; {REMEDY}")
                record = index[number]
                sample = sample_of(record.key, record.read(file))
                movie, slot = sample["movie"], sample["slot"]  # a transform may drop them
                if self._transform:
                    rng = rng_at("transform", self._seed or 0, epoch, record.key)
                    sample = transformed(sample, self._transform, rng)
                yield Outcome(movie, epoch, slot, samples=(sample,))

    def describe(self, epoch: int, position: int) -> str:
        path, numbers = self._block(epoch, position)
        return f"shard {path}, records {numbers[0]} to {numbers[-1]}"

    def planned(self, epoch: int) -> Counts:
        counts: Counts = self._blocks[self._order(epoch), 2]
        return counts

    def buckets(self, by_category: bool) -> Mapping[tuple[str, ...], int | None]:
        counts: Counter[tuple[str, ...]] = Counter()
        for shard in self._shards:
            for pair, count in shard.counts.items():
                counts[pair if by_category else pair[:1]] += count
        return counts

    def __repr__(self) -> str:
        return f"<ShardDataset: samples={len(self)}, shards={len(self._shards)}, seed={self._seed}, epoch={self.epoch}>"

    def _repr_html_(self) -> str:
        from ..sampling.notebook import few, section, table

        facts = {"shards": few(self.shards, 3), **self._choice, "transform": name_of(self._transform)}
        return section(
            repr(self)[1:-1],
            table((), ((name, value) for name, value in facts.items() if value not in ("", "[]", "None"))),
            table(("format", "category", "samples"), ((*names, n) for names, n in sorted(self.buckets(True).items()))),
        )

    def _order(self, epoch: int) -> Counts:
        return np.arange(self.items) if self._seed is None else permutation(self._seed, epoch, self.items)

    def _block(self, epoch: int, position: int) -> tuple[str, Counts]:
        """The path of a block's shard, and the positions of its records in it."""
        number, first, count = self._blocks[self._order(epoch)[position]]
        return self._shards[number].path, self._shards[number].records[first : first + count]


def read_shards(
    source: str | Path | Iterable[str | Path],
    *,
    category: str | None = None,
    format: str | None = None,
    accept: Mapping[str, Any] | None = None,
    where: Where | None = None,
    transform: Transform | None = None,
    seed: int | None = 0,
    epoch: int = 0,
    rank: int | None = None,
    world_size: int | None = None,
) -> ShardDataset:
    """The samples of exported shards: the same dicts as live, for any ``DataLoader`` and for ``PatchLoader``.

    Blocks of eight neighbouring records come in a random order that depends on seed and epoch. ``format``, ``accept``
    and ``where`` are applied at once, to the ``.json`` of every record; no image is decoded for that.

    Args:
        source: an exported folder, one tar, a glob, or a list of these; paths, or URLs that fsspec opens.
        category, format: read samples of this category or format only.
        accept: bounds of measures as in a recipe's ``[accept]``, e.g. ``{"entropy": 3.0, "clipped": 0.1}``.
        where: ``where(fields) -> bool`` chooses by the fields of a record's ``.json``.
        transform: ``transform(sample, rng) -> sample``, with a generator that depends on seed, epoch and key.
        seed: of the order; None keeps the stored order in every epoch.
        epoch: of the order and of ``transform``; see ``set_epoch``.
        rank, world_size: this process's rank and the number of ranks; by default those of torch's process group or of
            torchrun, found when an iteration begins.

    Raises:
        ShardError: if there are no shards, or a shard is damaged.
        NoSamplesError: if no record is chosen.
        TypeError: if ``where`` or ``transform`` takes other arguments.
    """
    for kind, function in (("where", where), ("transform", transform)):
        if function is not None:
            checked(kind, function)
    bounds = Accept.model_validate(plain(accept or {})).bounds()

    def chosen(fields: Mapping[str, Any]) -> bool:
        return (
            format in (None, fields["format"])
            and all(low <= fields["measures"][name] <= high for name, (low, high) in bounds.items())
            and (where is None or where(fields))
        )

    choice = {"format": format or "", "accept": repr(sorted(bounds.items())), "where": state_name(where)}
    everything = format is None and not bounds and where is None
    paths = shards_of(source, category)
    with ThreadPoolExecutor(16) as threads:  # most of the time goes to waiting for the disk or the network
        shards = tuple(threads.map(partial(_shard, chosen=None if everything else chosen), paths))
    if not any(len(shard.records) for shard in shards):
        raise NoSamplesError(f"none of the records in {len(paths)} shards is chosen by {choice}")
    return ShardDataset(shards, choice, transform, seed, epoch, (rank, world_size))


def _shard(path: str, chosen: Where | None) -> _Shard:
    """Finds the chosen records of a shard, or all of them with ``chosen=None``."""
    folder, name = folder_and_name(path)
    sidecar, size = sidecar_of(path), folder.size(name)
    if sidecar and sidecar["bytes"] != size:
        raise ShardError(f"{path}: has {size} bytes, its sidecar says {sidecar['bytes']}; {REMEDY}")
    identity = sidecar.get("sha256", str(size))
    counts: Counter[tuple[str, str]] = Counter()
    if sidecar and chosen is None:
        for format, _, count in sidecar["counts"]:
            counts[format, sidecar["category"]] += count
        return _Shard(path, identity, np.arange(sidecar["samples"]), counts)
    numbers = []
    with folder.open(name, read_ahead=0) as file:
        for number, record in enumerate(index_of(path)):
            fields = fields_of(path, record, file)
            if chosen is None or chosen(fields):
                numbers.append(number)
                counts[fields["format"], fields["category"]] += 1
    return _Shard(path, identity, np.array(numbers, np.int64), counts)
