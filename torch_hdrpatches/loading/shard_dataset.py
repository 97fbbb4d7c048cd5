"""Shards as a training source: the samples that were exported, in an order of their own, chosen without decoding."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np

from ..errors import NoSamplesError, ShardError
from ..recipe.settings import Accept
from ..rng import rng_at
from ..sampling.sample import Transform, name_of
from ..sampling.stream import Outcome
from ..shards.index import REMEDY, Record, index_of, sidecar_of
from ..shards.record import sample_of, shards_of
from ..storage.folder import located
from .source import EpochDataset

BLOCK = 8
"""Neighbouring records read together: few enough that memory stays small, enough that disks read in sequence."""

Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Where: TypeAlias = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class _Survey:
    """What is known of a shard before it is read."""

    path: str
    identity: str
    """sha256 from its sidecar, or its size."""
    numbers: Numbers
    """int64 (records,): the records that are wanted, by their place in the tar."""
    counts: Counter[tuple[str, str]]
    """How many of these have a format and category."""


class ShardDataset(EpochDataset):
    """Samples read back from shards. Made by ``read_shards``."""

    def __init__(
        self,
        surveys: tuple[_Survey, ...],
        chosen: Mapping[str, str],
        transform: Transform | None,
        seed: int | None,
        epoch: int,
        ranks: tuple[int | None, int | None],
    ) -> None:
        super().__init__(epoch, *ranks)
        self._surveys = surveys
        self._chosen = dict(chosen)
        self._transform = transform
        self._seed = seed
        sizes = [_block_sizes(len(survey.numbers)) for survey in surveys]
        self._sizes: Numbers = np.concatenate(sizes)
        """int64 (blocks,): samples of each."""
        self._ends: Numbers = np.cumsum([len(blocks) for blocks in sizes])
        """int64 (shards,): blocks of each and of all before it."""

    def __len__(self) -> int:
        """Samples of all ranks and workers together."""
        return sum(len(survey.numbers) for survey in self._surveys)

    @property
    def shards(self) -> tuple[str, ...]:
        """The paths of the shards."""
        return tuple(survey.path for survey in self._surveys)

    @property
    def patience(self) -> int:
        """Every record gives a sample."""
        return 1

    def fingerprint(self) -> dict[str, Any]:
        """What the samples depend on; where the shards lie does not matter."""
        names = [(Path(survey.path).name, survey.identity, len(survey.numbers)) for survey in self._surveys]
        return {**self._chosen, "shards": names, "seed": self._seed, "transform": name_of(self._transform)}

    def items(self, epoch: int) -> int:
        """Blocks of neighbouring records."""
        return len(self._sizes)

    def outcomes(self, epoch: int, position: int) -> Iterator[Outcome]:
        """The samples of the block at a position of an epoch.

        Raises:
            ShardError: if the shard is damaged.
        """
        path, numbers = self._block(epoch, position)
        index = index_of(path)
        with _opened(path) as file:
            for number in numbers:
                record = _record(path, index, int(number))
                sample = sample_of(record.key, record.read(file))
                if self._transform:
                    sample = self._transform(sample, rng_at("transform", self._seed or 0, epoch, record.key))
                yield Outcome(sample["movie"], epoch, sample["slot"], samples=(sample,))

    def where(self, epoch: int, position: int) -> str:
        """A block in words."""
        path, numbers = self._block(epoch, position)
        return f"shard {path}, records {numbers[0]} to {numbers[-1]}"

    def planned(self, epoch: int, positions: range) -> int:
        """Samples of the blocks at these positions."""
        blocks = self._order(epoch)[positions.start : positions.stop : positions.step]
        return int(self._sizes[blocks].sum())

    def buckets(self, by_category: bool) -> Mapping[tuple[str, ...], int | None]:
        """Formats, or pairs of format and category, that the samples have, and how many of each there are."""
        counts: Counter[tuple[str, ...]] = Counter()
        for survey in self._surveys:
            for pair, count in survey.counts.items():
                counts[pair if by_category else pair[:1]] += count
        return counts

    def _order(self, epoch: int) -> Numbers:
        blocks = self.items(epoch)
        return np.arange(blocks) if self._seed is None else _permutation(self._seed, epoch, blocks)

    def _block(self, epoch: int, position: int) -> tuple[str, Numbers]:
        """A shard and the records of it."""
        block = int(self._order(epoch)[position])
        shard = int(np.searchsorted(self._ends, block, side="right"))
        first = (block - int(self._ends[shard - 1] if shard else 0)) * BLOCK
        survey = self._surveys[shard]
        return survey.path, survey.numbers[first : first + BLOCK]


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

    Blocks of eight neighbouring records come in an order addressed by seed and epoch. What is chosen by ``format``,
    ``accept`` or ``where`` is found here and now, from the ``.json`` of every record; no picture is decoded for it.

    Args:
        source: an exported folder, one tar, a glob, or a list of these; paths, or URLs that fsspec opens.
        category, format: only this one.
        accept: bounds of measures as in a recipe's ``[accept]``, e.g. ``{"entropy": 3.0, "clipped": 0.1}``.
        where: ``where(fields) -> bool`` on what the record's ``.json`` says.
        transform: ``transform(sample, rng) -> sample``, with a generator of its own per seed, epoch and key.
        seed: of the order; None: as they are stored, in every epoch.
        epoch: of the order and of ``transform``; see ``set_epoch``.
        rank: of this process; found from the environment or the process group when absent.
        world_size: how many ranks there are; found likewise.

    Raises:
        ShardError: if there are no shards, or one is damaged.
        NoSamplesError: if no record is wanted.
    """
    bounds = Accept.model_validate(accept or {}).bounds()

    def wanted(fields: Mapping[str, Any]) -> bool:
        return (
            format in (None, fields["format"])
            and all(low <= fields["measures"][name] <= high for name, (low, high) in bounds.items())
            and (where is None or where(fields))
        )

    chosen = {"format": format or "", "accept": repr(sorted(bounds.items())), "where": name_of(where)}
    everything = format is None and not bounds and where is None
    paths = shards_of(source, category)
    with ThreadPoolExecutor(16) as threads:  # most of it is waiting for the disk or the network
        surveys = tuple(threads.map(partial(_survey, wanted=None if everything else wanted), paths))
    if not any(len(survey.numbers) for survey in surveys):
        raise NoSamplesError(f"none of the records in {len(paths)} shards is wanted: {chosen}")
    return ShardDataset(surveys, chosen, transform, seed, epoch, (rank, world_size))


def _block_sizes(records: int) -> Numbers:
    return np.minimum(BLOCK, records - np.arange(0, records, BLOCK))


def _survey(path: str, wanted: Where | None) -> _Survey:
    folder, name = located(path)
    sidecar, size = sidecar_of(path), folder.size(name)
    if sidecar and sidecar["bytes"] != size:
        raise ShardError(f"{path}: has {size} bytes, its sidecar says {sidecar['bytes']}; {REMEDY}")
    identity = sidecar.get("sha256", str(size))
    if sidecar and wanted is None:
        counts: Counter[tuple[str, str]] = Counter()
        for format, _, count in sidecar["counts"]:
            counts[format, sidecar["category"]] += count
        return _Survey(path, identity, np.arange(sidecar["samples"]), counts)
    numbers, counts = [], Counter()
    with folder.open(name, ahead=0) as file:
        for number, record in enumerate(index_of(path)):
            fields = _fields(path, record, record.read(file, "json"))
            if wanted is None or wanted(fields):
                numbers.append(number)
                counts[fields["format"], fields["category"]] += 1
    return _Survey(path, identity, np.array(numbers, np.int64), counts)


def _opened(path: str) -> IO[bytes]:
    folder, name = located(path)
    return folder.open(name)


def _fields(path: str, record: Record, members: Mapping[str, bytes]) -> Mapping[str, Any]:
    try:
        fields = json.loads(members["json"])
        if {"format", "category", "measures"} <= fields.keys():
            return dict(fields)
    except (KeyError, ValueError, AttributeError):
        pass
    raise ShardError(f"{path}: record {record.key} has no .json member of ours")


def _record(path: str, index: tuple[Record, ...], number: int) -> Record:
    if number >= len(index):
        raise ShardError(f"{path}: holds {len(index)} records, its sidecar says more; `hdrpatches verify` says which")
    return index[number]


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, blocks: int) -> Numbers:
    return rng_at("order", seed, epoch).permutation(blocks)
