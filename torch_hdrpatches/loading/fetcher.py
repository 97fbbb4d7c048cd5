"""Fetches items through the workers of a ``DataLoader``, in order; names what a worker was making when it died.

The samples of an item move between processes as one block of shared memory, instead of one handle per tensor.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import re
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from ..errors import WorkerDiedError
from ..main_guard import refuse_while_imported
from ..sampling.sample import Sample, SampleDict
from ..sampling.sweep import Outcome
from .epochs import EpochDataset

Address: TypeAlias = tuple[int, int]
"""Epoch and position of an item."""

UNPICKLABLE = (
    "a worker that is spawned imports what it needs: put your transform into a module that can be imported (not into a "
    "notebook), and the code of a script that trains under `if __name__ == '__main__':`"
)

log = logging.getLogger(__name__)


class Fetcher:
    """Makes the items of a dataset that are wanted; ``options`` are those of ``DataLoader``.

    ``wanted`` may change while items are being made: more may be appended, or put first.
    """

    def __init__(
        self,
        dataset: EpochDataset,
        num_workers: int,
        persistent_workers: bool,
        worker_init_fn: Callable[[int], None] | None = None,
        **options: Any,
    ) -> None:
        self._dataset = dataset
        self._pid = os.getpid()
        self._in_progress = torch.zeros(num_workers, 3, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        """int64 (workers, 3): pid, epoch and position of the item that each worker makes; it outlives a worker."""
        self.wanted: deque[Address] = deque()
        self.items: DataLoader[Packed] = DataLoader(
            _PackedItems(dataset, self._in_progress),
            batch_size=None,
            sampler=_Popped(self.wanted),
            num_workers=num_workers,
            persistent_workers=persistent_workers and num_workers > 0,
            worker_init_fn=partial(_begin_worker, worker_init_fn),
            **options,
        )

    def fetch(self) -> Generator[tuple[Address, tuple[Outcome, ...]]]:
        """The wanted items with their outcomes, in order, until none is wanted.

        Raises:
            WorkerDiedError: if a worker died; names what it was making.
            SystemExit: as ``refuse_while_imported``.
        """
        if self.items.num_workers:
            refuse_while_imported()
        self._in_progress.zero_()
        try:
            for packed in self.items:
                yield packed.address, unpack(packed)
        except RuntimeError as error:
            if items := self._made_by(set(map(int, re.findall(r"\d+", str(error).partition("pid")[2])))):
                raise WorkerDiedError(f"{str(error).strip(' .')} while making {items}") from error
            if "exited unexpectedly" in str(error):
                raise WorkerDiedError(f"{str(error).strip(' .')} before it made anything; {UNPICKLABLE}") from error
            raise
        except GeneratorExit:
            # torch notices a death in a signal handler: its error may be raised in the middle of the caller's code.
            # Neither at exit nor in a forked process, which collects what its parent was reading.
            if not sys.is_finalizing() and os.getpid() == self._pid:
                running = {child.pid for child in multiprocessing.active_children()}
                if items := self._made_by(set(self._in_progress[:, 0].tolist()) - {0} - running):
                    log.error("a worker of the loader died while it was making %s", items)
            raise

    def _made_by(self, pids: set[int]) -> str:
        rows = self._in_progress.tolist()
        return " and ".join(self._dataset.describe(epoch, position) for pid, epoch, position in rows if pid in pids)


@dataclass(frozen=True, slots=True)
class Packed:
    """The outcomes of an item, whose tensors lie one after the other in ``block``."""

    address: Address
    block: Tensor
    """uint8 (bytes,)"""
    outcomes: tuple[Outcome, ...]
    """With a ``_Span`` in place of each tensor."""


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    stop: int
    dtype: torch.dtype
    shape: tuple[int, ...]


def pack(address: Address, outcomes: tuple[Outcome, ...]) -> Packed:
    """Copy all tensors of an item's outcomes into one block."""
    parts = [torch.empty(0, dtype=torch.uint8)]
    position = 0

    def packed(tensor: Tensor) -> _Span:
        nonlocal position
        data = tensor.contiguous().view(-1).view(torch.uint8)
        span = _Span(position, position + len(data), tensor.dtype, tuple(tensor.shape))
        # Starts are multiples of 16, so that any type may be viewed there.
        padding = -len(data) % 16
        parts.extend((data, data.new_zeros(padding)))
        position += len(data) + padding
        return span

    without_tensors = tuple(_changed(outcome, Tensor, packed) for outcome in outcomes)
    return Packed(address, torch.cat(parts), without_tensors)


def unpack(packed: Packed) -> tuple[Outcome, ...]:
    """The outcomes again; their tensors are views of the block."""

    def unpacked(span: _Span) -> Tensor:
        return packed.block[span.start : span.stop].view(span.dtype).view(span.shape)

    return tuple(_changed(outcome, _Span, unpacked) for outcome in packed.outcomes)


def detached(sample: Sample) -> Sample:
    """The sample with a copy of its tensors, so that it can wait without keeping a whole block in memory."""
    return _with(sample, Tensor, Tensor.clone)


def _changed(outcome: Outcome, kind: type, change: Callable[[Any], Any]) -> Outcome:
    return replace(outcome, samples=tuple(_with(sample, kind, change) for sample in outcome.samples))


def _with(sample: Sample, kind: type, change: Callable[[Any], Any]) -> Sample:
    fields = {name: change(value) if isinstance(value, kind) else value for name, value in sample.items()}
    return cast(Sample, SampleDict(fields))


def _begin_worker(worker_init_fn: Callable[[int], None] | None, worker: int) -> None:
    gc.freeze()  # a forked worker must not collect its parent's garbage: an old loader would try to end its workers
    if worker_init_fn is not None:
        worker_init_fn(worker)


class _Popped(Sampler[Address]):
    """Takes addresses off a queue, until it is empty."""

    def __init__(self, wanted: deque[Address]) -> None:
        self._wanted = wanted

    def __iter__(self) -> Iterator[Address]:
        while self._wanted:
            yield self._wanted.popleft()


class _PackedItems(Dataset[Packed]):
    """Items by address, as workers make them."""

    def __init__(self, dataset: EpochDataset, in_progress: Tensor) -> None:
        self._dataset = dataset
        self._in_progress = in_progress

    def __getitem__(self, address: Address) -> Packed:
        if info := get_worker_info():
            self._in_progress[info.id] = torch.tensor([os.getpid(), *address])
        try:
            return pack(address, tuple(self._dataset.outcomes(*address)))
        except Exception as error:
            error.add_note(f"This happened while making {self._dataset.describe(*address)}.")
            raise
