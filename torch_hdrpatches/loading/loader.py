"""``PatchLoader``: batches in the same order for any number of workers, equal ranks, and exact resume."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import cache, cached_property, partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from ..errors import NoSamplesError
from ..sampling.fingerprint import digests
from ..sampling.sample import SampleDict
from .batching import Batching, EpochBatches
from .cursor import Cursor, check_state
from .epochs import EpochDataset, rank_and_world
from .fetcher import Fetcher


class PatchLoader:
    """Batches of one format, in an order that does not depend on the number of workers.

    Each iteration gives one epoch, and the next iteration the next epoch; see ``set_epoch``. Every rank gives exactly
    ``len(loader)`` batches per epoch: a rank that runs short because of rejected windows continues with extra samples.

    Args:
        dataset: an ``HDRPatchDataset``, or the dataset that ``read_shards`` returns.
        batch_size: samples per batch.
        num_workers: processes that make samples; with 0 this process makes them.
        rank, world_size: this process's rank and the number of ranks; by default from the environment or process group.
        shuffle_runs: number of neighbouring runs whose samples are mixed.
        by_category: whether a batch holds samples of one category only.
        drop_last: leave out the batches that are not full at the end of the epoch.
        steps: batches per epoch; by default as many as the samples of the epoch fill.
        collate_fn: makes a batch from a list of samples.
        pin_memory, prefetch_factor, multiprocessing_context, persistent_workers: as in ``DataLoader``. Workers persist
            by default, so that each movie is probed only once.

    Raises:
        ValueError: if an argument is invalid, or an epoch has fewer runs than there are ranks.
        NoSamplesError: while iterating, if the dataset gives no samples, too many slots in a row give none, or an epoch
            has less than one batch.
        WorkerDiedError: while iterating, if a worker was killed; names the movie that it was reading.
    """

    def __init__(
        self,
        dataset: EpochDataset,
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
        self.num_workers = num_workers
        self.dataset = dataset
        self.collate_fn = collate_fn
        self.pin_memory = pin_memory and torch.cuda.is_available()
        self._cursor = Cursor()
        self._resuming = False
        self._iteration: object = None
        self._batches_of_epoch = cache(partial(self.batching.batches, dataset))
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
        return self._batches_of_epoch(self._cursor.epoch)

    def state_dict(self) -> dict[str, Any]:
        """A small JSON-able state from which iteration continues after the batches given so far."""
        return self._cursor.to_json() | {"identity": self._identity}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where the state was saved; the number of workers may differ.

        Raises:
            StateError: if it belongs to another recipe, batch size, rank or world size; names what differs.
        """
        check_state(state, self.state_dict())
        self._cursor, self._resuming = Cursor.from_json(state), True

    def __iter__(self) -> Iterator[Any]:
        start = self._cursor if self._resuming else Cursor(self._cursor.epoch)
        self._cursor, self._resuming = start, False
        self._iteration = iteration = object()
        total = len(self)
        if total == 0:
            raise NoSamplesError(f"an epoch has less than one batch of {self.batch_size}, which drop_last leaves out")
        for samples, cursor in EpochBatches(self.dataset, self._fetcher, self.batching, start, total):
            self._cursor = cursor
            batch = self.collate_fn(samples)
            yield _pinned(batch) if self.pin_memory else batch
            if self._iteration is not iteration:
                raise RuntimeError("a newer iteration of this loader has started; this one cannot continue")
        self._cursor = Cursor(start.epoch + 1)

    def __repr__(self) -> str:
        place = f"epoch={self._cursor.epoch}, batches_given={self._cursor.batches}"
        return f"<PatchLoader: batch_size={self.batch_size}, num_workers={self.num_workers}, {place}, {self.dataset!r}>"

    def _repr_html_(self) -> str:
        from ..sampling.notebook import section, table

        batching = self.batching
        facts = {
            "dataset": repr(self.dataset)[1:-1],
            "batch": f"{self.batch_size} samples of one format{' and category' if batching.by_category else ''}",
            "position": f"epoch {self._cursor.epoch}, {self._cursor.batches} of {len(self)} batches are given",
            "rank": f"{batching.rank}, world size {batching.world_size}",
            "workers": self.num_workers,
        }
        return section("PatchLoader", table((), facts.items()))

    @cached_property
    def _identity(self) -> dict[str, str]:
        return digests(self.dataset.fingerprint() | asdict(self.batching))


def _pinned(batch: Any) -> Any:
    """The batch with its tensors in pinned memory, from which a GPU copies while it computes."""
    if isinstance(batch, Tensor):
        return batch.pin_memory()
    if isinstance(batch, Mapping):
        pinned = {name: _pinned(value) for name, value in batch.items()}
        return SampleDict(pinned) if isinstance(batch, SampleDict) else pinned
    if isinstance(batch, list):
        return [_pinned(value) for value in batch]
    return batch
