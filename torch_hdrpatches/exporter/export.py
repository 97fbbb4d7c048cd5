"""Exports the stream of a recipe: any executor does the jobs, which are then committed in their order.

A job writes its shards into ``OUT/.work``. The committer takes finished jobs in order, cuts the shard in which a
category reaches its target, moves each shard to its final name and writes its sidecar; the manifest comes last. Every
step can be repeated after a crash, and a shard that has a sidecar is never written again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from copy import deepcopy
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, Unpack

from ..errors import ExportError, NoSamplesError
from ..recipe.recipe import Recipe
from ..sampling.sample import SampleOptions
from ..sampling.stream import PatchStream
from ..sampling.tally import Tally
from ..shards import manifest
from ..storage.disk_errors import as_export_error
from ..storage.folder import Folder, Location
from .commit import Committer
from .job import Job, JobRecord, work
from .lock import begin, exclusive, is_finished
from .processes import Executor, on_this_machine

AHEAD = 1000
"""How many jobs may be begun before an earlier one is committed."""


def export(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    out: Location,
    *,
    executor: Executor[Job, JobRecord] | None = None,
    workers: int = 1,
    limit: int | None = None,
    extend: bool = False,
    progress: Callable[[Tally], None] | None = None,
    **options: Unpack[SampleOptions],
) -> Tally:
    """Write the stream of a recipe into shards; the same call again does only what is missing.

    Args:
        recipe: a path, a mapping or a ``Recipe``.
        out: the folder that gets ``<category>/<category>-000000.tar`` and ``manifest.json``: a path, or a URL that
            fsspec writes to, e.g. ``s3://bucket/folder``.
        executor: ``serial``, ``processes(n)`` or ``on_ray(n)``; by default chosen by ``workers``.
        workers: processes, if no executor is given.
        limit: at most this many samples per category.
        extend: whether targets may be higher than those that the folder was exported with; its shards are kept.
        progress: called with the tally of what is committed, after each commit.
        **options: see ``SampleOptions``.

    Returns:
        The tally of the whole folder.

    Raises:
        RecipeError: if the recipe is invalid.
        ExportError: if the folder belongs to another export, another process is exporting into it, a target cannot be
            met, or the disk is full or cannot be written.
        WorkerDiedError: if processes died at one job again and again.
        NoSamplesError: if nothing could be exported.
    """
    stream = PatchStream(limited(Recipe.load(recipe), limit), **options)
    folder = Folder.of(out)
    if is_finished(folder, stream):
        return manifest.tally_of(folder)
    engine = executor or on_this_machine(workers)
    with as_export_error(folder), exclusive(folder):
        committer = Committer(folder, stream, begin(folder, stream, extend=extend))
        committer.advance()
        while committer.wanted(committer.epoch):
            first = committer.next
            near = takewhile(lambda job: job.index < committer.next + AHEAD, committer.jobs())
            with closing(engine(partial(work, stream, folder), near)) as results:
                for job, record in results:
                    if committer.done(job, record) and progress:
                        progress(deepcopy(committer.tally))
            if committer.next == first:
                raise ExportError(f"{folder}: the executor did not do job {first}")
        complete(folder, stream, committer)
    return committer.tally


def complete(folder: Folder, stream: PatchStream, committer: Committer) -> None:
    """Write the manifest of a folder in which nothing is missing.

    Raises:
        NoSamplesError: if there are no samples.
        ExportError: if a movie file has changed since the export began.
    """
    begin(folder, stream)  # again, so that the manifest is not written if a movie has changed
    if not committer.tally.total:
        raise NoSamplesError(f"{folder}: nothing could be exported: {committer.tally.explain()}")
    manifest.finish(folder, stream, -(-committer.next // committer.per_epoch), committer.milestones)
    folder.remove_tree(manifest.WORK)


def limited(recipe: Recipe, limit: int | None) -> Recipe:
    """The same recipe with no target above ``limit``."""
    if limit is None:
        return recipe
    categories = {
        name: category.model_copy(update={"target": min(limit, category.target or limit)})
        for name, category in recipe.categories.items()
    }
    return recipe.model_copy(update={"categories": categories})
