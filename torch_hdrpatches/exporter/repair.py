"""Makes again what is damaged in an exported folder: the same recipe and movies give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Unpack

from ..errors import ExportError, ShardError
from ..recipe.recipe import Recipe
from ..sampling.fingerprint import differing
from ..sampling.sample import SampleOptions
from ..sampling.stream import PatchStream
from ..shards.manifest import CLAIM, SIDECARS, identity, manifest_of
from ..storage.folder import Folder, Location
from .export import export
from .lock import held
from .verify import Problem, verify


def repair(
    location: Location,
    problems: Iterable[Problem],
    *,
    recipe: str | Path | Recipe | None = None,
    workers: int = 1,
    **options: Unpack[SampleOptions],
) -> list[Problem]:
    """Export again the shards that ``verify`` found bad, and write the indexes anew; gives what is wrong after that.

    Only bad shards are touched, and their movies read. Files that do not belong there are left to whom they belong.

    Args:
        location: a finished export; a path or URL.
        problems: from ``verify``.
        recipe: one that says where the movies lie now; the folder's own when absent.
        workers: processes.
        **options: ``degrade``, ``transform`` and ``curve``, if it was exported with some.

    Raises:
        ExportError: if the recipe, the movie files or callables are not those that it was made of; names what differs.
        ShardError: if the folder is not a finished export, or its manifest cannot be read.
    """
    folder = Folder.of(location)
    try:
        manifest = manifest_of(folder)
        made_of, own_recipe = manifest["identity"], Recipe.from_dict(manifest["recipe"])
    except (ValueError, KeyError, TypeError) as error:
        raise ShardError(
            f"{folder}: {error}; without a manifest nothing says what it was made of. If it was only not finished, "
            "export again; else give the same recipe another folder"
        ) from None
    options = {"output": made_of["output"], "gt": made_of["gt"], **options}
    stream = PatchStream(recipe or own_recipe, **options)
    wanted = identity(stream)
    if keys := differing(made_of, wanted):
        what = ", ".join(f"{key} ({made_of.get(key)!r} -> {wanted.get(key)!r})" for key in keys[:5])
        raise ExportError(f"{folder} was made of something else, its shards cannot be made again; differing: {what}")
    bad = {problem.name.rpartition(".")[0] for problem in problems}
    before = {shard["name"]: shard["sha256"] for shard in manifest["shards"]}
    with held(folder):
        folder.write_json(CLAIM, {"identity": made_of, "milestones": manifest.get("milestones", {})})
        for name in {*folder.names(SIDECARS), *(f"{shard.removesuffix('.tar')}.json" for shard in before)}:
            if name.removesuffix(".json") in bad:
                folder.remove(name)  # first: a shard without it is not finished
                folder.remove(f"{name.removesuffix('.json')}.tar")
    export(stream.recipe, folder, workers=workers, **options)
    after = {shard["name"]: shard["sha256"] for shard in manifest_of(folder)["shards"]}
    others = [
        Problem(name, f"was made again with other bytes, sha256 {sha256} -> {after.get(name)}: other versions made it?")
        for name, sha256 in before.items()
        if after.get(name) != sha256
    ]
    return sorted([*verify(folder), *others])
