"""Batches in one canonical order, whatever the number of workers; equal ranks; a cursor to resume from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from ..errors import NoSamplesError, StateError
from ..sampling.fingerprint import differing, digests
from .batching import Batching, Cursor, Epoch
from .fetcher import Fetcher
from .ranks import rank_and_world
from .source import Source


class PatchLoader:
    """Batches of one format, in an order that depends on the recipe, epoch, rank and world size alone.

    Iterating gives one epoch, and the next time the next one; ``set_epoch`` chooses. Every rank gives exactly
    ``len(loader)`` batches per epoch: a rank that runs short because windows were rejected draws on.

    Args:
        dataset: an ``HDRPatchDataset``, or what ``read_shards`` returns.
        batch_size: samples per batch.
        num_workers: processes that decode; 0 decodes in this one.
        rank: of this process; found from the environment or the process group when absent.
        world_size: how many ranks there are; found likewise.
        shuffle_runs: the samples of this many runs are mixed.
        by_category: batches hold one category, too.
        drop_last: leave out the batches that are not full when an epoch's own samples end.
        steps: batches per epoch, instead of as many as its samples make.
        collate_fn: makes a batch of a list of samples; torch's default when absent.
        pin_memory, prefetch_factor, multiprocessing_context, persistent_workers: as in ``DataLoader``; workers
            persist unless told otherwise, so that movies are looked into once.

    Raises:
        ValueError: if an argument cannot mean anything, or an epoch has fewer runs than there are ranks.
        NoSamplesError: while iterating, if a whole epoch gives nothing, too many slots in a row give nothing, or an
            epoch has less than one batch.
        WorkerDiedError: while iterating, if a worker was killed; names the movie it was reading.
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
        persistent_workers: bool = True,
    ) -> None:
        rank, world_size = rank_and_world(rank, world_size)
        self.batching = Batching(batch_size, rank, world_size, shuffle_runs, by_category, drop_last, steps)
        self.batch_size = batch_size
        self.dataset = dataset
        self.collate_fn = collate_fn
        self.pin_memory = pin_memory and torch.cuda.is_available()
        self._cursor = Cursor()
        self._resuming = False
        self._iteration: object = None
        self._lengths: dict[int, int] = {}
        self._identity: dict[str, str] = {}
        self._fetcher = Fetcher(
            dataset,
            num_workers,
            persistent_workers,
            prefetch_factor=prefetch_factor,
            multiprocessing_context=multiprocessing_context,
        )

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self._cursor = Cursor(epoch)

    def __len__(self) -> int:
        """Batches per epoch, the same on every rank."""
        epoch = self._cursor.epoch
        if epoch not in self._lengths:
            self._lengths = {epoch: self.batching.batches(self.dataset, epoch)}
        return self._lengths[epoch]

    def state_dict(self) -> dict[str, Any]:
        """A small JSON-able cursor: what comes after the batches given so far."""
        self._identity = self._identity or self._digests()
        return self._cursor.to_json() | {"identity": self._identity}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where ``state_dict`` was taken; the number of workers may be another.

        Raises:
            StateError: if the state is of another recipe, batch size, rank or world size; names what differs.
        """
        cursor = Cursor.from_json(state)
        if keys := differing(state.get("identity", {}), self._digests()):
            hint = "; every rank saves and loads a state of its own" if "rank" in keys else ""
            raise StateError(f"state is of another stream; differing: {', '.join(keys)}{hint}")
        self._cursor, self._resuming = cursor, True

    def __iter__(self) -> Iterator[Any]:
        start = self._cursor if self._resuming else Cursor(self._cursor.epoch)
        self._cursor, self._resuming = start, False
        self._iteration = iteration = object()
        total = len(self)
        if total == 0:
            raise NoSamplesError(f"an epoch has less than one batch of {self.batch_size}, and drop_last leaves it out")
        epoch = Epoch(self.dataset, self._fetcher, self.batching, start, total)
        for samples, cursor in epoch.batches():
            self._cursor = cursor
            batch = self.collate_fn(samples)
            yield _pinned(batch) if self.pin_memory else batch
            if self._iteration is not iteration:
                raise RuntimeError("this loader was iterated anew; an earlier iteration of it cannot go on")
        self._cursor = Cursor(start.epoch + 1)

    def _digests(self) -> dict[str, str]:
        return digests(self.dataset.fingerprint() | asdict(self.batching))


def _pinned(batch: Any) -> Any:
    """The batch with its tensors in memory that a GPU can copy from while others compute."""
    if isinstance(batch, Tensor):
        return batch.pin_memory()
    if isinstance(batch, Mapping):
        return {name: _pinned(value) for name, value in batch.items()}
    if isinstance(batch, list):
        return [_pinned(value) for value in batch]
    return batch
