"""Exports damaged shards of an exported folder again: the same recipe and movies give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Unpack

from ..errors import ShardError
from ..recipe.recipe import Recipe
from ..sampling.sample import SampleOptions
from ..shards.manifest import EXPORT_RECORD, FORMAT_VERSION, SIDECARS, manifest_of, stream_of
from ..storage.folder import Folder, Location
from .export import export
from .lock import exclusive
from .verify import Problem, verify


def repair(
    location: Location,
    problems: Iterable[Problem],
    *,
    recipe: str | Path | Recipe | None = None,
    workers: int = 1,
    **options: Unpack[SampleOptions],
) -> list[Problem]:
    """Export the shards again that ``verify`` found damaged, and rewrite the indexes.

    Other shards are not touched, and only the movies of damaged shards are read. Foreign files are left where they are.

    Args:
        location: a finished export; a path or URL.
        problems: from ``verify``.
        recipe: a recipe with the new paths of the movies, if they moved; the export's own when absent.
        workers: processes.
        **options: ``degrade``, ``transform`` and ``curve``, if the export was made with them.

    Returns:
        The problems that remain.

    Raises:
        ExportError: if the recipe, movie files or options are not those of the export; names what differs.
        ShardError: if the folder is not a finished export, or its manifest cannot be read.
    """
    folder = Folder.of(location)
    manifest = manifest_of(folder)
    if manifest["schema"] != FORMAT_VERSION:
        raise ShardError(f"{folder}: manifest.json has format {manifest['schema']}, expected {FORMAT_VERSION}")
    record = {"identity": manifest["identity"], "milestones": manifest.get("milestones", {})}
    before = {shard["name"]: shard["sha256"] for shard in manifest["shards"]}
    stream = stream_of(folder, recipe, **options)
    damaged = {problem.name.rpartition(".")[0] for problem in problems}
    with exclusive(folder):
        folder.write_json(EXPORT_RECORD, record)
        shards = {name.rpartition(".")[0] for name in (*folder.names(SIDECARS), *before)}
        for name in shards & damaged:
            folder.remove(f"{name}.json")  # first: a shard without it is not committed
            folder.remove(f"{name}.tar")
    export(stream.recipe, folder, workers=workers, **stream.options)
    after = {shard["name"]: shard["sha256"] for shard in manifest_of(folder)["shards"]}
    changed = [
        Problem(name, f"now has sha256 {after.get(name)}, before {sha256}; were other versions of libraries used?")
        for name, sha256 in before.items()
        if after.get(name) != sha256
    ]
    return sorted([*verify(folder), *changed])
