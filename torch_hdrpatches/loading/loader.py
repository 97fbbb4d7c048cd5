"""``PatchLoader``: batches in the same order for any number of workers, equal ranks, and exact resume."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, Dataset, default_collate
from torch.utils.data.distributed import DistributedSampler

from ..sampling.sample import Sample, SampleDict
from .batching import Epochs
from .epochs import EpochDataset, agreed_ranks
from .fetcher import Fetcher
from .segments import Batching


class PatchLoader:
    """Batches of one format, in an order that does not depend on the number of workers.

    An iteration gives one epoch. It counts as begun with its first batch: the next iteration gives the next epoch, even
    if this one was broken off. Every rank gives equally many batches per epoch: a rank that runs short because of
    rejected windows continues with extra samples.

    It has the attributes of a ``DataLoader`` that trainers look for. ``sampler.set_epoch`` is that of the loader;
    ``dataset`` and ``batch_sampler`` make the same batches if a trainer builds a ``DataLoader`` of them.

    Args:
        dataset: an ``HDRPatchDataset``, or the dataset that ``read_shards`` returns. Its ``epoch``, ``rank`` and
            ``world_size`` count here, too.
        batch_size: samples per batch.
        num_workers: processes that make samples; with 0 this process makes them.
        rank, world_size: this process's rank and the number of ranks; by default those of the dataset, or of torch's
            process group, or of torchrun, found when an iteration begins.
        shuffle_runs: number of neighbouring runs whose samples are mixed.
        by_category: whether a batch holds samples of one category only.
        drop_last: leave out the batches that are not full at the end of the epoch.
        steps: batches per epoch; by default as many as the samples of the epoch fill.
        shuffle: leave it out: the order is shuffled by seed and epoch.
        collate_fn: makes a batch from a list of samples.
        pin_memory, prefetch_factor, multiprocessing_context, persistent_workers, timeout, worker_init_fn, generator: as
            in ``DataLoader``. Workers persist by default, so that each movie is probed only once. No sample depends on
            ``generator``.

    Raises:
        ValueError: if an argument is invalid or contradicts the dataset's, or an epoch has fewer runs than there are
            ranks.
        RanksError: while iterating, if the rank cannot be found, or is another one than before.
        NoSamplesError: while iterating, if the dataset gives no samples, too many slots in a row give none, or an epoch
            has less than one batch.
        WorkerDiedError: while iterating, if a worker was killed; names the movie that it was reading.
    """

    # Accelerate's marks: such a loader is taken as it is, and its state is part of the checkpoint.
    _is_accelerate_prepared = True
    use_stateful_dataloader = True

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
        shuffle: None = None,
        collate_fn: Callable[[list[Any]], Any] = default_collate,
        pin_memory: bool = False,
        prefetch_factor: int | None = None,
        multiprocessing_context: Any = None,
        persistent_workers: bool = True,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        if shuffle is not None:
            raise ValueError("the order is built in: shuffled by seed and epoch; leave out shuffle (see shuffle_runs)")
        fetcher = Fetcher(
            dataset,
            num_workers,
            persistent_workers,
            prefetch_factor=prefetch_factor,
            multiprocessing_context=multiprocessing_context,
            timeout=timeout,
            worker_init_fn=worker_init_fn,
            generator=generator,
        )
        batching = Batching(batch_size, shuffle_runs, by_category, drop_last, steps)
        self.source = dataset
        """The dataset that the loader was made with."""
        self._epochs = Epochs(dataset, fetcher, batching, agreed_ranks(dataset, rank, world_size))
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.num_workers = num_workers
        self.collate_fn = collate_fn
        self.pin_memory = pin_memory and torch.cuda.is_available()
        self.prefetch_factor = fetcher.items.prefetch_factor
        self.multiprocessing_context = fetcher.items.multiprocessing_context
        self.persistent_workers = fetcher.items.persistent_workers
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.generator = generator
        self.dataset = MadeSamples(dataset)
        self.sampler = EpochSampler(self._epochs)
        self.batch_sampler = SampleBatches(self._epochs, self.sampler)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration. The epoch of a state that was just loaded keeps its position."""
        self._epochs.set_epoch(epoch)

    def __len__(self) -> int:
        """Batches per epoch, the same on every rank."""
        return len(self._epochs)

    def state_dict(self) -> dict[str, Any]:
        """A small JSON-able state from which iteration continues after the batches given so far, on every rank."""
        return self._epochs.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where the state was saved, by whatever rank; the numbers of workers and ranks may differ.

        Raises:
            StateError: if it belongs to another recipe or batch size; names what differs.
        """
        self._epochs.load_state_dict(state)

    def __iter__(self) -> Iterator[Any]:
        for samples in self._epochs:
            batch = self.collate_fn(samples)
            yield _pinned(batch) if self.pin_memory else batch

    def __repr__(self) -> str:
        place = f"epoch={self._epochs.place.epoch}, batches_given={self._epochs.place.batches}"
        return f"<PatchLoader: batch_size={self.batch_size}, num_workers={self.num_workers}, {place}, {self.source!r}>"

    def _repr_html_(self) -> str:
        from ..sampling.notebook import section, table

        batching, place = self._epochs.batching, self._epochs.place
        facts = {
            "dataset": repr(self.source)[1:-1],
            "batch": f"{self.batch_size} samples of one format{' and category' if batching.by_category else ''}",
            "position": f"epoch {place.epoch}, {place.batches} of {len(self)} batches are given",
            "workers": self.num_workers,
        }
        return section("PatchLoader", table((), facts.items()))


class EpochSampler(DistributedSampler[Sample]):
    """The samples of a loader in their order. A ``DistributedSampler``, so that no trainer puts one in its place."""

    def __init__(self, epochs: Epochs) -> None:
        self._epochs = epochs

    def set_epoch(self, epoch: int) -> None:
        """As of the loader."""
        self._epochs.set_epoch(epoch)

    def __iter__(self) -> Iterator[Sample]:
        return chain.from_iterable(self._epochs)

    def __len__(self) -> int:
        return len(self._epochs) * self._epochs.batching.batch_size


class SampleBatches(BatchSampler):
    """The batches of a loader as lists of samples, which a ``DataLoader`` over ``MadeSamples`` takes as they are."""

    def __init__(self, epochs: Epochs, sampler: EpochSampler) -> None:
        self._epochs = epochs
        self.sampler = sampler  # type: ignore[assignment]
        self.batch_size, self.drop_last = epochs.batching.batch_size, epochs.batching.drop_last

    def __iter__(self) -> Iterator[list[Sample]]:  # type: ignore[override]
        return iter(self._epochs)

    def __len__(self) -> int:
        return len(self._epochs)


class MadeSamples(Dataset[Sample]):
    """The dataset of a ``DataLoader`` whose sampler makes the samples; otherwise like the loader's own dataset."""

    def __init__(self, source: EpochDataset) -> None:
        self.source = source

    def __getitem__(self, sample: Sample) -> Sample:
        return sample

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "source":
            raise AttributeError(name)
        return getattr(self.source, name)


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
