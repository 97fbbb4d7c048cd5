"""BasicSR's dataset type ``HDRPatches``, and BasicSR's own training with it.

    python -m torch_hdrpatches.loading.basicsr -opt options.yml

takes the arguments of BasicSR's ``train.py`` and runs its ``train_pipeline`` in the current folder. A training script
of your own only has to import this module before it builds its datasets.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from ..errors import MissingExtraError, NoSamplesError, RecipeError, ShardError
from ..recipe.recipe import Recipe
from ..sampling.sample import Sample
from . import adapters
from .dataset import HDRPatchDataset
from .epochs import EpochDataset
from .shard_dataset import read_shards

try:
    import torchvision.transforms.functional
    import yaml

    # BasicSR 1.4.2 imports one of these functions from a module that torchvision 0.17 has removed.
    sys.modules.setdefault("torchvision.transforms.functional_tensor", torchvision.transforms.functional)
    from basicsr.utils.options import ordered_yaml
    from basicsr.utils.registry import DATASET_REGISTRY
except ImportError as error:
    raise MissingExtraError(
        f"the dataset type HDRPatches needs BasicSR and torchvision ({error}): pip install basicsr torchvision"
    ) from error

OPTIONS = ("recipe", "shards", "category", "format", "gt", "epoch")
LOADER_OPTIONS = {
    *("name", "type", "phase", "scale", "io_backend", "num_worker_per_gpu", "batch_size_per_gpu", "use_shuffle"),
    *("dataset_enlarge_ratio", "prefetch_mode", "num_prefetch_queue", "pin_memory", "persistent_workers"),
}
"""The options of a training dataset that BasicSR itself reads, or that its own files have without effect."""
MAX_EMPTY_EPOCHS = 10
"""After this many epochs in a row in which its share gives no sample, a worker gives up."""


class HDRPatches(Dataset[dict[str, Any]]):
    """Live or exported patches as BasicSR's training datasets give them; registered under the name ``HDRPatches``.

    An item has ``lq``, float32 (T, 3, h, w), ``gt``, float32 (T, 3, H, W) or (3, H, W), both RGB in 0..1, and ``key``.

    BasicSR draws indices at random, and to get one sample of a movie its whole run has to be decoded. Therefore
    ``dataset[index]`` does not look at the index: it gives the next sample of this worker's share of the epoch, in
    which every run is decoded once. At the end of its share a worker goes on with its share of the next epoch. Ranks
    and workers have different samples. A resumed training begins with ``epoch`` again, 0 if the option is absent.

    Args:
        opt: the options of the dataset in BasicSR's file. ``recipe`` (path of a recipe) or ``shards`` (an exported
            folder, as for ``read_shards``) is required. ``category`` and ``format`` restrict both; all samples must
            have one format. ``gt`` is ``sequence`` (default), which BasicSR's recurrent networks need, or ``centre``
            for networks that give the centre frame only, such as EDVR. ``epoch`` is the first epoch. BasicSR's own
            options of loaders are allowed.

    Raises:
        RecipeError: if an option or the recipe is invalid, or samples would have several formats.
        ShardError: if there are no shards, or ``gt`` needs sequences and a shard holds centre frames only.
        NoSamplesError: on access, if this worker gets no samples.
    """

    def __init__(self, opt: Mapping[str, Any]) -> None:
        _check(opt)
        self.opt = opt
        self.dataset = _dataset(opt)
        formats = sorted(name for name, *_ in self.dataset.buckets(by_category=False))
        if len(formats) > 1:
            raise RecipeError(f"samples have the formats {', '.join(formats)}; choose one, e.g. format: {formats[0]}")
        self._sequence = opt.get("gt", "sequence") == "sequence"
        self._samples: Iterator[Sample] = iter(())
        self._process = 0

    def __len__(self) -> int:
        """Planned samples of an epoch, of all ranks and workers together."""
        return int(self.dataset.planned(self.dataset.epoch).sum())

    def __getitem__(self, index: int) -> dict[str, Any]:
        if self._process != os.getpid():  # also in a worker that was forked in the middle of an iteration
            self._samples, self._process = self._endless(), os.getpid()
        sample = next(self._samples)
        self._check_sample(sample)
        adapted = adapters.basicsr(sample)
        if not self._sequence and adapted["gt"].ndim == 4:
            adapted["gt"] = adapted["gt"][len(adapted["gt"]) // 2]
        return adapted

    def _endless(self) -> Iterator[Sample]:
        empty_epochs = 0
        while empty_epochs < MAX_EMPTY_EPOCHS:
            empty_epochs += 1
            for sample in self.dataset:
                empty_epochs = 0
                yield sample
        raise NoSamplesError(
            f"a worker got no sample in {MAX_EMPTY_EPOCHS} epochs: an epoch has {self.dataset.items} runs for all "
            "workers of all ranks; use fewer workers, or give the movies more timestamps"
        )

    def _check_sample(self, sample: Sample) -> None:
        if self._sequence and sample["gt"].ndim == 3:
            raise ShardError(
                f'record {sample["key"]} has the centre frame only as gt; export with gt="sequence", or set gt: centre '
                "if the network gives the centre frame only"
            )
        scale = sample["gt"].shape[-1] // sample["lq"].shape[-1]
        if scale != self.opt.get("scale", scale):
            raise RecipeError(
                f"format {sample['format']} has scale {scale}, the options say scale: {self.opt['scale']}"
            )

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_samples": iter(()), "_process": 0}  # a spawned worker begins its own iteration


def _check(opt: Mapping[str, Any]) -> None:
    """Raise RecipeError for options that would have no effect or no meaning."""
    if unknown := sorted(opt.keys() - {*OPTIONS, *LOADER_OPTIONS}):
        raise RecipeError(
            f"HDRPatches has no option {unknown[0]!r}, expected {', '.join(OPTIONS)} or options of loaders; the recipe "
            "decides on patches, frames and augmentation"
        )
    if ("recipe" in opt) == ("shards" in opt):
        raise RecipeError("HDRPatches needs either recipe: (a recipe file) or shards: (an exported folder)")
    if opt.get("gt", "sequence") not in ("sequence", "centre"):
        raise RecipeError(f"gt: {opt['gt']!r}, expected sequence or centre")
    if opt.get("phase", "train") != "train":
        raise RecipeError("HDRPatches is for training only; validate with VideoTestDataset on folders of frames")


def _dataset(opt: Mapping[str, Any]) -> EpochDataset:
    category, format, epoch = opt.get("category"), opt.get("format"), opt.get("epoch", 0)
    if "shards" in opt:
        return read_shards(opt["shards"], category=category, format=format, epoch=epoch)
    recipe = restricted(Recipe.load(opt["recipe"]), category, format)
    return HDRPatchDataset(recipe, gt=opt.get("gt", "sequence"), epoch=epoch)


def restricted(recipe: Recipe, category: str | None, format: str | None) -> Recipe:
    """The recipe with one category and one format only, where they are given. Raises RecipeError if nothing is left."""
    categories = {
        name: spec.model_copy(update={"formats": {format: 1.0}}) if format else spec
        for name, spec in recipe.categories.items()
        if category in (None, name) and (format is None or format in spec.formats)
    }
    movies = tuple(
        movie.model_copy(update={"categories": {name: movie.categories[name] for name in kept}})
        for movie in recipe.movies
        if (kept := [name for name in movie.categories if name in categories])
    )
    if not movies:
        known = "; ".join(f"{name} ({', '.join(spec.formats)})" for name, spec in recipe.categories.items())
        raise RecipeError(f"no movie has category: {category}, format: {format}; categories and their formats: {known}")
    return recipe.model_copy(update={"categories": categories, "movies": movies})


def check_shapes(options: Mapping[str, Any]) -> None:
    """Refuse a ``gt`` that the model cannot be compared with.

    A loss of (B, T, 3, H, W) and (B, 3, H, W) broadcasts without an error if the batch size is T or 1.

    Raises:
        RecipeError: if a recurrent model would get centre frames, or a model of one frame sequences.
    """
    model, data = str(options.get("model_type", "")), options["datasets"].get("train", {})
    if data.get("type") != HDRPatches.__name__:
        return
    gt = data.get("gt", "sequence")
    if "Recurrent" in model and gt != "sequence":
        raise RecipeError(f"model_type {model} gives all frames, but gt: {gt} is the centre frame; set gt: sequence")
    if model in ("EDVRModel", "VideoBaseModel", "VideoGANModel") and gt != "centre":
        raise RecipeError(f"model_type {model} gives the centre frame, but gt: {gt} has all frames; set gt: centre")


def main() -> None:
    """BasicSR's ``train_pipeline`` in the current folder, with the command line of its ``train.py``."""
    from basicsr.train import train_pipeline

    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-opt", type=Path, required=True)
    given, _ = parser.parse_known_args()
    check_shapes(yaml.load(given.opt.read_text(encoding="utf-8"), Loader=ordered_yaml()[0]))
    train_pipeline(str(Path.cwd()))


if HDRPatches.__name__ not in DATASET_REGISTRY:  # spawned workers run this module a second time
    DATASET_REGISTRY.register(HDRPatches)

if __name__ == "__main__":
    main()
