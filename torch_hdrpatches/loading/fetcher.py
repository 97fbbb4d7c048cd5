"""Items made by the workers of a ``DataLoader``, in order; a worker that dies is named with what it was making."""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from ..errors import WorkerDiedError
from ..sampling.stream import Outcome
from .packing import Packed, pack, unpack
from .source import Source

Address = tuple[int, int]
"""Epoch and position of an item."""

log = logging.getLogger(__name__)


class Fetcher:
    """Fetches items of a source; the keyword arguments are those of ``DataLoader``."""

    def __init__(self, source: Source, num_workers: int, persistent_workers: bool, **options: Any) -> None:
        self._source = source
        self._diary = _Diary(num_workers)
        self._addresses = _Addresses()
        self._items = DataLoader(
            _PackedItems(source, self._diary),
            batch_size=None,
            sampler=self._addresses,
            num_workers=num_workers,
            persistent_workers=persistent_workers and num_workers > 0,
            **options,
        )

    def fetch(self, addresses: Sequence[Address]) -> Iterator[tuple[Outcome, ...]]:
        """The outcomes of items, in order.

        Raises:
            WorkerDiedError: if a worker was killed, ran out of memory or crashed; names what it was making.
        """
        if not addresses:
            return
        self._addresses.next = addresses
        self._diary.clear()
        try:
            for packed in self._items:
                yield unpack(packed)
        except RuntimeError as error:
            if dead := self._diary.made_by(map(int, re.findall(r"\d+", str(error).partition("pid")[2]))):
                raise WorkerDiedError(f"{str(error).strip(' .')} while making {self._named(dead)}") from error
            raise
        except GeneratorExit:
            # torch notices a death in a signal handler: its error may come up in the midst of the caller's code.
            alive = {child.pid for child in multiprocessing.active_children()}
            if dead := self._diary.made_by(pid for pid in self._diary.pids() if pid not in alive):
                log.error("a worker of the loader died while it was making %s", self._named(dead))
            raise

    def _named(self, addresses: list[Address]) -> str:
        return " and ".join(self._source.where(*address) for address in addresses)


class _Diary:
    """What each worker is making, in memory that outlives it."""

    def __init__(self, workers: int) -> None:
        self._rows: Tensor = torch.zeros(workers, 3, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        """pid, epoch, position"""

    def clear(self) -> None:
        self._rows.zero_()

    def note(self, address: Address) -> None:
        info = get_worker_info()
        if info:
            self._rows[info.id] = torch.tensor([os.getpid(), *address])

    def pids(self) -> list[int]:
        return [int(pid) for pid in self._rows[:, 0] if pid]

    def made_by(self, pids: Iterator[int]) -> list[Address]:
        wanted = set(pids)
        return [(epoch, position) for pid, epoch, position in self._rows.tolist() if pid in wanted]


class _PackedItems(Dataset[Packed]):
    """Items by address: what the workers hold."""

    def __init__(self, source: Source, diary: _Diary) -> None:
        self._source = source
        self._diary = diary

    def __getitem__(self, address: Address) -> Packed:
        self._diary.note(address)
        try:
            return pack(tuple(self._source.outcomes(*address)))
        except Exception as error:
            error.add_note(f"This happened while making {self._source.where(*address)}.")
            raise


class _Addresses(Sampler[Address]):
    """The addresses that are fetched next; torch hands them to workers in turn and keeps their order."""

    def __init__(self) -> None:
        self.next: Sequence[Address] = ()

    def __iter__(self) -> Iterator[Address]:
        return iter(self.next)
