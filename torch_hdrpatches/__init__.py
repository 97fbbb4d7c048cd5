"""HDR movies into training patches for video super-resolution.

from torch.utils.data import DataLoader
from torch_hdrpatches import HDRPatchDataset

dataset = HDRPatchDataset("recipe.toml")
for batch in DataLoader(dataset, batch_size=8, num_workers=4):
    train(batch["lq"], batch["gt"])   # uint8 (8, 7, 3, 180, 180) and (8, 3, 540, 540), RGB
"""

from .dataset import HDRPatchDataset
from .export import export
from .loader import PatchLoader
from .reading import read_shards
from .recipe import Recipe
from .tonemap import ToneMap

__all__ = ["HDRPatchDataset", "PatchLoader", "Recipe", "ToneMap", "export", "read_shards"]
