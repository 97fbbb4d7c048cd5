"""Makes exported samples again from their movies, and compares them."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Unpack

import torch

from ..recipe.recipe import Recipe
from ..sampling.sample import Sample, SampleOptions
from ..sampling.sweep import Outcome
from ..shards.browse import all_keys, find_samples
from ..shards.manifest import manifest_of, stream_of
from ..storage.folder import Location


def reproduce(
    folder: Location,
    keys: Collection[str],
    *,
    recipe: str | Path | Recipe | None = None,
    **options: Unpack[SampleOptions],
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Make these samples again. Yields (key, differences); there are none if all fields are equal.

    Args:
        folder: an exported folder.
        keys: keys of its samples.
        recipe: a recipe with the new paths of the movies, if they moved; the export's own when absent.
        **options: ``degrade``, ``transform`` and ``curve``, if the export was made with them.

    Raises:
        ShardError: if the folder is not an export, or has no sample with one of the keys.
        ExportError: if the export was made from another recipe, other movie files or with other callables.
    """
    stream = stream_of(folder, recipe, **options)
    then = manifest_of(folder)["versions"]
    now = {name: version(name) for name in then}
    hints = [f"made with {name} {then[name]}, now {now[name]}" for name in then if then[name] != now[name]]
    outcomes: dict[tuple[str, int, int], Outcome] = {}
    for key, sample in find_samples(folder, keys).items():
        address = movie, epoch, slot = sample["movie"], sample["epoch"], sample["slot"]
        if address not in outcomes:
            run = stream.run(epoch, stream.plan.run_of(movie, slot))
            outcomes |= {(movie, epoch, outcome.slot): outcome for outcome in run}
        made = next((made for made in outcomes[address].samples if made["key"] == key), None)
        differences = differences_between(sample, made) if made else (_not_given(outcomes[address]),)
        yield key, (*differences, *hints) if differences else ()


def random_keys(folder: Location, count: int, seed: int = 0) -> list[str]:
    """``count`` random keys of a folder's samples; all keys if there are fewer."""
    keys = all_keys(folder)
    return random.Random(seed).sample(keys, min(count, len(keys)))


def differences_between(sample: Sample, other: Sample) -> tuple[str, ...]:
    """A sentence per field that differs: tensors are compared by their codes, all other fields by value."""
    found = ((name, sample.get(name), other.get(name)) for name in sorted(sample.keys() | other.keys()))
    return tuple(filter(None, (_difference(*fields) for fields in found)))


def _difference(name: str, old: object, new: object) -> str:
    if not isinstance(old, torch.Tensor) or not isinstance(new, torch.Tensor):
        if type(old) is type(new) and old == new:
            return ""
        tensors = isinstance(old, torch.Tensor) or isinstance(new, torch.Tensor)
        return f"{name}: in one sample only" if tensors else f"{name}: {old!r} -> {new!r}"
    if old.shape != new.shape or old.dtype != new.dtype:
        return f"{name}: {old.dtype} {tuple(old.shape)} -> {new.dtype} {tuple(new.shape)}"
    if torch.equal(old, new):
        return ""
    difference = (old.int() - new.int()).abs()
    return f"{name}: {(difference > 0).float().mean():.2%} of the codes differ, by up to {int(difference.max())}"


def _not_given(outcome: Outcome) -> str:
    rejects = [*(reason for _, reason in outcome.rejects), *map(" ".join, outcome.refused)]
    why = str(outcome.failure) if outcome.failure else ", ".join(rejects) or "its category is not drawn"
    return f"its slot does not give it any more: {why}"
