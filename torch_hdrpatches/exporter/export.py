"""The stream as shards on disk: jobs are made aside by any engine, then put in place in their order.

A job writes its shards below ``OUT/.work``. The committer takes finished jobs in their order, cuts the shard in which a
category reaches its target, moves each into place and writes its sidecar; the manifest comes last. Every step can be
done again after a crash, and a shard that has its sidecar is never written again.
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
from ..storage.disk_errors import explained
from ..storage.folder import Folder, Location
from .commit import Committer
from .job import Job, work
from .lock import begin, held, is_finished
from .processes import Executor, on_this_machine

AHEAD = 1000
"""Jobs that may be done before an earlier one is: they wait aside."""


def export(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    out: Location,
    *,
    executor: Executor[Job, None] | None = None,
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
        executor: from ``executors``; ``serial`` or ``processes(workers)`` when absent.
        workers: processes when no executor is given.
        limit: at most this many samples per category.
        extend: whether targets may be higher than those that the folder was exported with; what is there stays.
        progress: called with the tally of what is committed, after each job.
        **options: see ``SampleOptions``.

    Returns:
        The tally of the whole folder.

    Raises:
        RecipeError: if the recipe cannot mean anything.
        ExportError: if the folder holds the export of another recipe, another export is at work in it, a target
            cannot be met, or the disk is full or refuses to be written.
        WorkerDiedError: if processes died at one job again and again.
        NoSamplesError: if nothing could be exported.
    """
    stream = PatchStream(limited(Recipe.load(recipe), limit), **options)
    folder = Folder.of(out)
    if is_finished(folder, stream):
        return manifest.tally_of(folder)
    engine = executor or on_this_machine(workers)
    with explained(folder), held(folder):
        committer = Committer(folder, stream, begin(folder, stream, extend=extend))
        committer.advance()
        while committer.wanted(committer.epoch):
            first = committer.next
            near = takewhile(lambda job: job.index < committer.next + AHEAD, committer.jobs())
            with closing(engine(partial(work, stream, folder), near)) as done:
                for _ in done:
                    if committer.advance() and progress:
                        progress(deepcopy(committer.tally))
            if committer.next == first:
                raise ExportError(f"{folder}: the executor did not do job {first}")
        complete(folder, stream, committer)
    return committer.tally


def complete(folder: Folder, stream: PatchStream, committer: Committer) -> None:
    """Write the manifest of a folder in which nothing is wanted any more.

    Raises:
        NoSamplesError: if it would be one of nothing.
        ExportError: if a movie is not any more what it was when the export began.
    """
    begin(folder, stream)  # again: refuses a movie that changed meanwhile, which the manifest must not vouch for
    if not committer.tally.total:
        raise NoSamplesError(f"{folder}: nothing could be exported: {committer.tally.explain()}")
    manifest.finish(folder, stream, -(-committer.next // committer.per_epoch), committer.milestones)
    folder.remove_tree(manifest.WORK)


def limited(recipe: Recipe, limit: int | None) -> Recipe:
    """The same recipe with no target above a limit."""
    if limit is None:
        return recipe
    categories = {
        name: category.model_copy(update={"target": min(limit, category.target or limit)})
        for name, category in recipe.categories.items()
    }
    return recipe.model_copy(update={"categories": categories})
