"""The training loop: datasets, batches, ranks, resume.

``dataset``       ``HDRPatchDataset``: the stream as an ``IterableDataset``
``shard_dataset`` ``read_shards``: exported samples as an ``IterableDataset``
``source``        what both have in common: epochs dealt to ranks and workers
``loader``        ``PatchLoader``: batches in one order for any number of workers, with resume
``batching``      which samples make a batch, and the cursor to resume from
``fetcher``       items made by ``DataLoader`` workers
``packing``       the samples of an item as one block of shared memory
``ranks``         rank, world size, and this worker's share
``adapters``      samples as BasicSR, KAIR or plain float tensors want them
"""

from .dataset import HDRPatchDataset
from .loader import PatchLoader
from .shard_dataset import read_shards

__all__ = ["HDRPatchDataset", "PatchLoader", "read_shards"]
