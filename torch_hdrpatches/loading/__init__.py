"""Training datasets and loaders: epochs, batches, ranks and resume.

``dataset``       ``HDRPatchDataset``: samples made from movies while training
``shard_dataset`` ``read_shards``: exported samples, chosen and shuffled
``epochs``        what both have in common: the items of an epoch, dealt to ranks and workers
``loader``        ``PatchLoader``: batches in one order for any number of workers, with resume
``batching``      which samples make a batch
``segments``      how an epoch is divided, and the place between two batches
``epoch_counter`` which epoch an iteration gives
``ranks``         which rank this process is
``fetcher``       items made by ``DataLoader`` workers, in order
``map_style``     samples by number, for trainers that need ``len`` and indices
``adapters``      samples converted for BasicSR, KAIR, mmagic and the old generator's trainer
``basicsr``       BasicSR's dataset type ``HDRPatches``; imported by nothing else, because it needs BasicSR
"""

from .dataset import HDRPatchDataset
from .loader import PatchLoader
from .shard_dataset import read_shards

__all__ = ["HDRPatchDataset", "PatchLoader", "read_shards"]
