"""Fetches items through the workers of a ``DataLoader``, in order; names what a worker was making when it died."""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from ..errors import WorkerDiedError
from ..sampling.sweep import Outcome
from .epochs import EpochDataset
from .packing import Packed, pack, unpack

Address: TypeAlias = tuple[int, int]
"""Epoch and position of an item."""

log = logging.getLogger(__name__)


class Fetcher:
    """Fetches items of a dataset; ``options`` are those of ``DataLoader``."""

    def __init__(self, dataset: EpochDataset, num_workers: int, persistent_workers: bool, **options: Any) -> None:
        self._dataset = dataset
        self._in_progress = torch.zeros(num_workers, 3, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        """int64 (workers, 3): pid, epoch and position of the item that each worker makes; it outlives a worker."""
        self._addresses: list[Address] = []
        self._items = DataLoader(
            _PackedItems(dataset, self._in_progress),
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
        self._addresses[:] = addresses
        self._in_progress.zero_()
        try:
            for packed in self._items:
                yield unpack(packed)
        except RuntimeError as error:
            if items := self._made_by(map(int, re.findall(r"\d+", str(error).partition("pid")[2]))):
                raise WorkerDiedError(f"{str(error).strip(' .')} while making {items}") from error
            raise
        except GeneratorExit:
            # torch notices a death in a signal handler: its error may be raised in the middle of the caller's code.
            running = {child.pid for child in multiprocessing.active_children()}
            if items := self._made_by(set(self._in_progress[:, 0].tolist()) - {0} - running):
                log.error("a worker of the loader died while it was making %s", items)
            raise

    def _made_by(self, pids: Iterable[int]) -> str:
        """Names the items that some processes were making."""
        dead = set(pids)
        rows = self._in_progress.tolist()
        return " and ".join(self._dataset.describe(epoch, position) for pid, epoch, position in rows if pid in dead)


class _PackedItems(Dataset[Packed]):
    """Items by address, as workers make them."""

    def __init__(self, dataset: EpochDataset, in_progress: Tensor) -> None:
        self._dataset = dataset
        self._in_progress = in_progress

    def __getitem__(self, address: Address) -> Packed:
        if info := get_worker_info():
            self._in_progress[info.id] = torch.tensor([os.getpid(), *address])
        try:
            return pack(tuple(self._dataset.outcomes(*address)))
        except Exception as error:
            error.add_note(f"This happened while making {self._dataset.describe(*address)}.")
            raise
