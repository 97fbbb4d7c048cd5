"""HDR movies into training patches for video super-resolution.

from torch.utils.data import DataLoader
from torch_hdrpatches import HDRPatchDataset

dataset = HDRPatchDataset("recipe.toml")
for batch in DataLoader(dataset, batch_size=8, num_workers=4):
    train(batch["lq"], batch["gt"])   # uint8 (8, 7, 3, 180, 180) and (8, 3, 540, 540), RGB
"""

from .color.tone_map import ToneMap
from .exporter.export import export
from .loading.dataset import HDRPatchDataset
from .loading.loader import PatchLoader
from .loading.shard_dataset import read_shards
from .recipe.recipe import Recipe

__all__ = ["HDRPatchDataset", "PatchLoader", "Recipe", "ToneMap", "export", "read_shards"]
