"""Makes exported samples again from their movies, and says whether they are the same."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Unpack

import torch

from ..errors import ExportError
from ..recipe.recipe import Recipe
from ..sampling.fingerprint import differing, identity_of
from ..sampling.sample import Sample, SampleOptions
from ..sampling.stream import PatchStream
from ..sampling.sweep import Outcome
from ..shards.browse import all_keys, find_samples
from ..shards.manifest import manifest_of, recipe_of
from ..shards.record import IMAGE_KEYS
from ..storage.folder import Location


def reproduce(
    folder: Location,
    keys: Collection[str],
    *,
    recipe: str | Path | Recipe | None = None,
    **options: Unpack[SampleOptions],
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Make these samples again; gives (key, what differs), nothing where all is equal.

    Args:
        folder: an exported folder.
        keys: of its samples.
        recipe: one that says where the movies lie now; the folder's own when absent.
        **options: ``degrade``, ``transform`` and ``curve``, if it was exported with some.

    Raises:
        ShardError: if the folder is not an export, or has no sample with one of the keys.
        ExportError: if it was made of another recipe, of other movie files or with other callables.
    """
    own_recipe, manifest = recipe_of(folder), manifest_of(folder)
    found = manifest["identity"]
    made_with: SampleOptions = {**options, "output": found["output"], "gt": found["gt"]}
    stream = PatchStream(recipe or own_recipe, **made_with)
    wanted = identity_of(stream.recipe, stream.options)
    if keys_that_differ := [key for key in differing(found, wanted) if key != "format_version"]:
        what = ", ".join(f"{key} ({found.get(key)!r} -> {wanted.get(key)!r})" for key in keys_that_differ[:5])
        raise ExportError(f"{folder} was made of something else, it cannot be made again; differing: {what}")
    hint = _other_versions(manifest["versions"])
    again: dict[tuple[str, int, int], Outcome] = {}
    for key, sample in find_samples(folder, keys).items():
        where = sample["movie"], sample["epoch"], sample["slot"]
        if where not in again:
            again |= _swept(stream, *where)
        made = next((one for one in again[where].samples if one["key"] == key), None)
        differences = differences_between(sample, made) if made else (_not_given(again[where]),)
        yield key, (*differences, *hint) if differences else ()


def random_keys(folder: Location, count: int, seed: int = 0) -> list[str]:
    """``count`` keys of a folder's samples, drawn with a seed; all of them if there are not so many."""
    keys = all_keys(folder)
    return random.Random(seed).sample(keys, min(count, len(keys)))


def differences_between(one: Sample, other: Sample) -> tuple[str, ...]:
    """What differs between two samples, pictures by their codes and everything else by value."""
    return tuple(
        _difference(name, one.get(name), other.get(name))
        for name in sorted(one.keys() | other.keys())
        if not _equal(one.get(name), other.get(name))
    )


def _equal(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)
    return type(one) is type(other) and bool(one == other)


def _difference(name: str, one: object, other: object) -> str:
    if name not in IMAGE_KEYS:
        return f"{name}: {one!r} -> {other!r}"
    if not (isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)):
        return f"{name}: only one of them has it"
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"{name}: {one.dtype} {tuple(one.shape)} -> {other.dtype} {tuple(other.shape)}"
    apart = (one.int() - other.int()).abs()
    return f"{name}: {(apart > 0).float().mean():.2%} of the codes differ, by up to {int(apart.max())}"


def _swept(stream: PatchStream, movie: str, epoch: int, slot: int) -> dict[tuple[str, int, int], Outcome]:
    run = stream.plan.run_of(movie, slot)
    return {(movie, epoch, outcome.slot): outcome for outcome in stream.run(epoch, run)}


def _not_given(outcome: Outcome) -> str:
    reasons = [*(reason for _, reason in outcome.rejects), *map(" ".join, outcome.refused)]
    why = str(outcome.failure) if outcome.failure else ", ".join(reasons)
    return f"its slot does not give it any more: {why or 'its category is not drawn'}"


def _other_versions(then: dict[str, str]) -> tuple[str, ...]:
    now = {name: version(name) for name in then}
    return tuple(f"made with {name} {then[name]}, now {now[name]}" for name in then if then[name] != now[name])
