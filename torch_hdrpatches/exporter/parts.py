"""An export in parts by independent processes that share only the folder: for job arrays, without a server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, Self, Unpack

from ..errors import ExportError, RecipeError
from ..recipe.recipe import Recipe
from ..sampling.sample import SampleOptions
from ..sampling.stream import PatchStream
from ..sampling.tally import Tally
from ..shards.manifest import WORK, tally_of
from ..storage.disk_errors import as_export_error
from ..storage.folder import Folder, Location
from .commit import Committer, Ledger
from .export import complete, limited
from .job import Job, JobRecord, tally_of_job, work
from .lock import begin, exclusive, is_finished, shared
from .processes import Executor, on_this_machine


@dataclass(frozen=True, slots=True)
class Part:
    """Every ``of``-th job, from job ``index`` on."""

    index: int
    """0 .. of - 1"""
    of: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.of:
            raise RecipeError(f"part {self}: expected 0/{self.of} to {self.of - 1}/{self.of}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The part written as ``0/4``.

        Raises:
            RecipeError: if the text has another form.
        """
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
    progress: Callable[[Tally], None] | None = None,
    **options: Unpack[SampleOptions],
) -> Tally:
    """Do the missing jobs of one part; ``finish_parts`` commits them. Arguments as for ``export``.

    The jobs of a later epoch are done only after all parts have done those of the epoch before.

    Returns:
        The tally of the jobs that this call has done.

    Raises:
        ExportError, WorkerDiedError: as ``export``; also if another process is doing this part.
    """
    stream = PatchStream(limited(Recipe.load(recipe), limit), **options)
    folder, tally = Folder.of(out), Tally()
    if is_finished(folder, stream):
        return tally
    engine = executor or on_this_machine(workers)
    with as_export_error(folder), shared(folder, f"part-{part.index}-of-{part.of}"):
        ledger = Ledger(folder, stream, begin(folder, stream, extend=extend))
        ledger.advance()
        with closing(engine(partial(work, stream, folder), _jobs_of(part, ledger))) as results:
            for job, record in results:
                tally += tally_of_job(record)
                ledger.done(job, record)
                if progress:
                    progress(deepcopy(tally))
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
    stream = PatchStream(limited(Recipe.load(recipe), limit), **options)
    folder = Folder.of(out)
    if is_finished(folder, stream):
        return tally_of(folder)
    with as_export_error(folder), exclusive(folder):
        committer = Committer(folder, stream, begin(folder, stream))
        committer.advance()
        if wanted := committer.wanted(committer.epoch):
            raise ExportError(f"{folder}: {_what_is_missing(folder, committer, wanted)}")
        complete(folder, stream, committer)
    return committer.tally


def _jobs_of(part: Part, ledger: Ledger) -> Iterator[Job]:
    for job in ledger.jobs():
        if job.epoch > ledger.epoch:  # whether it is needed depends on jobs that are not done
            return
        if job.index % part.of == part.index:
            yield job


def _what_is_missing(folder: Folder, ledger: Ledger, wanted: tuple[str, ...]) -> str:
    stop = (ledger.epoch + 1) * ledger.per_epoch
    missing = [job.index for job in takewhile(lambda job: job.index < stop, ledger.jobs())]
    alternative = "or `hdrpatches export` without --part and --finish does the rest alone"
    if ledger.epoch and len(missing) == ledger.per_epoch:
        short = ", ".join(f"{name} has {ledger.counts[name]} of {ledger.limit(name, 0)}" for name in wanted)
        return f"epoch {ledger.epoch} is needed ({short}); run all parts again, {alternative}"
    parts = {int(name.split("-of-")[1].split(".")[0]) for name in folder.names(f"{WORK}/part-*-of-*.lock")}
    jobs = ", ".join(map(str, missing[:10])) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
    owners = "the parts that do them"
    if len(parts) == 1:
        (of,) = parts
        owners = " and ".join(f"part {part}/{of}" for part in sorted({index % of for index in missing}))
    return f"jobs are missing: {jobs} of epoch {ledger.epoch}; run {owners} again, {alternative}"
