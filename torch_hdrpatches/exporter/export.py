"""Exports the stream of a recipe, whole or in parts: an executor does the jobs, which are committed in their order.

A job writes its shards into ``OUT/.work``. The committer takes finished jobs in order, cuts the shard in which a
category reaches its target, moves each shard to its final name and writes its sidecar; the manifest comes last. Every
step can be repeated after a crash, and a shard that has a sidecar is never written again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, Self, Unpack

from ..errors import ExportError, NoSamplesError, RecipeError
from ..main_guard import refuse_while_imported
from ..recipe.recipe import Recipe
from ..sampling.sample import SampleOptions
from ..sampling.stream import PatchStream
from ..sampling.tally import Tally
from ..shards.manifest import EXPORT_RECORD, WORK, finish, finished_tally
from ..storage.disk_errors import as_export_error
from ..storage.folder import Folder, Location
from .commit import Committer, Ledger
from .job import Job, JobRecord, tally_of_job, work
from .lock import begin, exclusive, is_finished, shared
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
    progress: Callable[[Tally], None] | bool | None = None,
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
        progress: whether to show the progress; by default at a terminal and in a notebook. Or a function to call with
            the tally of what is committed, after each commit; then nothing is shown.
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
    refuse_while_imported()
    folder, stream = Folder.of(out), _stream(recipe, limit, options)
    if is_finished(folder, stream):
        return finished_tally(folder)
    with as_export_error(folder), exclusive(folder):
        committer = Committer(folder, stream, begin(folder, stream, extend=extend))
        committer.advance()
        with _followed(executor or on_this_machine(workers), stream, committer.tally, progress) as (engine, committed):
            while committer.wanted(committer.epoch):
                first = committer.next
                near = takewhile(lambda job: job.index < committer.next + AHEAD, committer.jobs())
                with closing(engine(partial(work, stream, folder), near)) as results:
                    for job, record in results:
                        if committer.done(job, record) and committed:
                            committed(deepcopy(committer.tally))
                if committer.next == first:
                    raise ExportError(f"{folder}: the executor did not do job {first}")
        return _complete(committer)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an export: every ``of``-th job, from job ``index`` on."""

    index: int
    """0 .. of - 1"""
    of: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.of:
            raise RecipeError(f"part {self}: expected 0/{self.of} to {self.of - 1}/{self.of}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The part written as ``0/4``. Raises RecipeError if the text has another form."""
        found = re.fullmatch(r"([0-9]+)/([1-9][0-9]*)", text)
        if not found:
            raise RecipeError(f"part {text!r}: expected I/N, e.g. 0/4, the first of four")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"


def export_part(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    out: Location,
    part: Part,
    *,
    executor: Executor[Job, JobRecord] | None = None,
    workers: int = 1,
    limit: int | None = None,
    extend: bool = False,
    progress: Callable[[Tally], None] | bool | None = None,
    **options: Unpack[SampleOptions],
) -> Tally:
    """Do the missing jobs of one part, for job arrays: independent processes that share only the folder.

    ``finish_parts`` commits the jobs. Arguments as for ``export``. The jobs of a later epoch are done only after all
    parts have done those of the epoch before.

    Returns:
        The tally of the jobs that this call has done.

    Raises:
        ExportError, WorkerDiedError: as ``export``; also if another process is doing this part.
    """
    folder, stream, tally = Folder.of(out), _stream(recipe, limit, options), Tally()
    if is_finished(folder, stream):
        return tally
    with as_export_error(folder), shared(folder, f"part-{part.index}-of-{part.of}"):
        ledger = Ledger(folder, stream, begin(folder, stream, extend=extend))
        ledger.advance()
        # Whether jobs of later epochs are needed depends on jobs that are not done.
        needed = takewhile(lambda job: job.epoch <= ledger.epoch, ledger.jobs())
        mine = (job for job in needed if job.index % part.of == part.index)
        with (
            _followed(executor or on_this_machine(workers), stream, tally, progress) as (engine, committed),
            closing(engine(partial(work, stream, folder), mine)) as results,
        ):
            for job, record in results:
                tally += tally_of_job(record)
                ledger.done(job, record)
                if committed:
                    committed(deepcopy(tally))
    return tally


def finish_parts(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    out: Location,
    *,
    limit: int | None = None,
    **options: Unpack[SampleOptions],
) -> Tally:
    """Commit the jobs of all parts, and write the manifest. Decodes nothing.

    Returns:
        The tally of the whole folder.

    Raises:
        ExportError: if jobs are missing; names them and their parts.
    """
    folder, stream = Folder.of(out), _stream(recipe, limit, options)
    if is_finished(folder, stream):
        return finished_tally(folder)
    with as_export_error(folder), exclusive(folder):
        committer = Committer(folder, stream, begin(folder, stream))
        committer.advance()
        if wanted := committer.wanted(committer.epoch):
            raise ExportError(f"{folder}: {_what_is_missing(committer, wanted)}")
        return _complete(committer)


@contextmanager
def _followed(
    engine: Executor[Job, JobRecord], stream: PatchStream, begun: Tally, progress: Callable[[Tally], None] | bool | None
) -> Iterator[tuple[Executor[Job, JobRecord], Callable[[Tally], None] | None]]:
    """The executor to use, and what to call with the tally after each commit, so that ``progress`` is done."""
    if callable(progress):
        yield engine, progress
        return
    from .display import is_watched, shown  # rich takes time to import, and training does not need it

    if progress or (progress is None and is_watched()):
        with shown(stream.recipe, deepcopy(begun)) as tracker:
            yield tracker.around(engine), tracker.committed
    else:
        yield engine, None


def _stream(recipe: str | Path | Mapping[str, Any] | Recipe, limit: int | None, options: SampleOptions) -> PatchStream:
    """The stream of a recipe with no target above ``limit``."""
    recipe = Recipe.load(recipe)
    if limit is not None:
        categories = {
            name: category.model_copy(update={"target": min(limit, category.target or limit)})
            for name, category in recipe.categories.items()
        }
        recipe = recipe.model_copy(update={"categories": categories})
    return PatchStream(recipe, **options)


def _complete(committer: Committer) -> Tally:
    """Write the manifest of a folder in which nothing is missing; returns the tally of the folder."""
    folder, stream, tally = committer.folder, committer.stream, committer.tally
    begin(folder, stream)  # again, so that the manifest is not written if a movie has changed
    if not tally.total:
        raise NoSamplesError(f"{folder}: nothing could be exported: {tally.explain()}")
    epochs = -(-committer.next // committer.per_epoch)
    finish(folder, stream, committer.committed, epochs, committer.milestones)
    for name in folder.names(f"{WORK}/*"):
        if name != EXPORT_RECORD:  # last: a folder without it counts as finished
            folder.remove(name)
    folder.remove_tree(WORK)
    return tally


def _what_is_missing(ledger: Ledger, wanted: tuple[str, ...]) -> str:
    missing = [job.index for job in takewhile(lambda job: job.epoch == ledger.epoch, ledger.jobs())]
    alternative = "or `hdrpatches export` without --part and --finish does the rest alone"
    if ledger.epoch and len(missing) == ledger.per_epoch:
        short = ", ".join(f"{name} has {ledger.counts[name]} of {ledger.limit(name, 0)}" for name in wanted)
        return f"epoch {ledger.epoch} is needed ({short}); run all parts again, {alternative}"
    jobs = ", ".join(map(str, missing[:10])) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
    owners = "the parts that do them"
    locks = ledger.folder.names(f"{WORK}/part-*-of-*.lock")
    if len(numbers := {int(name.split("-of-")[1].split(".")[0]) for name in locks}) == 1:
        (of,) = numbers
        owners = " and ".join(f"part {part}/{of}" for part in sorted({index % of for index in missing}))
    return f"jobs are missing: {jobs} of epoch {ledger.epoch}; run {owners} again, {alternative}"
