"""The stream as shards on disk: one job = one list of runs = one shard per category, committed in order.

A job writes its shards aside, below ``OUT/.work``. The committer takes finished jobs in their order, cuts the shard in
which a category reaches its target, moves each into place and writes its sidecar; the manifest comes last. Every
step can be done again after a crash, and a shard that has its sidecar is never written again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

from . import manifest
from .errors import ExportError, NoSamplesError
from .executors import Executor, processes, serial
from .manifest import WORK, shard_name
from .recipe import Recipe
from .shards import FORMAT_VERSION, Contents, ShardWriter, records
from .storage import Folder, Location
from .stream import PatchStream
from .tally import Tally


@dataclass(frozen=True, slots=True)
class Job:
    """The unit of work and of resume: some runs of an epoch, and the categories that are still wanted."""

    index: int
    epoch: int
    positions: range
    categories: tuple[str, ...]


def export(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    out: Location,
    *,
    executor: Executor[Job, None] | None = None,
    workers: int = 1,
    limit: int | None = None,
    progress: Callable[[Tally], None] | None = None,
    **making: Any,
) -> Tally:
    """Write the stream of a recipe into shards; the same call again does only what is missing.

    Args:
        recipe: a path, a mapping or a ``Recipe``.
        out: the folder that gets ``<category>/<category>-000000.tar`` and ``manifest.json``: a path, or a URL that
            fsspec writes to, e.g. ``s3://bucket/folder``.
        executor: from ``executors``; ``serial`` or ``processes(workers)`` when absent.
        workers: processes when no executor is given.
        limit: at most this many samples per category.
        progress: called with the tally of what is committed, after each job.
        **making: ``output``, ``gt``, ``degrade``, ``transform`` as for ``HDRPatchDataset``.

    Returns:
        The tally of the whole folder.

    Raises:
        RecipeError: if the recipe cannot mean anything.
        ExportError: if the folder holds the export of another recipe, or a target cannot be met.
        NoSamplesError: if nothing could be exported.
    """
    stream = PatchStream(_limited(Recipe.load(recipe), limit), **making)
    folder = Folder.of(out)
    manifest.begin(folder, stream)
    if folder.exists("manifest.json"):
        return manifest.tally_of(folder)
    committer = _Committer(folder, stream)
    engine = executor or (serial if workers <= 1 else processes(workers))
    committer.advance()
    for _ in engine(partial(work, stream, folder), committer.jobs()):
        if committer.advance() and progress:
            progress(deepcopy(committer.tally))
    if not committer.tally.total:
        raise NoSamplesError(f"{folder}: nothing could be exported: {committer.tally.explain()}")
    manifest.finish(folder, stream, committer.epochs)
    folder.remove_tree(WORK)
    return committer.tally


def work(stream: PatchStream, folder: Folder, job: Job) -> None:
    """Make a job's shards aside, and last the record that says they are whole."""
    order = stream.plan.order(job.epoch)
    tally = Tally()
    refused: dict[str, Counter[tuple[str, str]]] = {category: Counter() for category in job.categories}
    with ExitStack() as files:
        writers: dict[str, ShardWriter] = {}
        for position in job.positions:
            for outcome in stream.run(job.epoch, stream.plan.runs[order[position]], job.categories):
                tally.add(replace(outcome, samples=(), refused=()))
                for category, reason in outcome.refused:
                    refused[category][outcome.movie, reason] += 1
                for sample in outcome.samples:
                    category = sample["category"]
                    if category not in writers:
                        file = files.enter_context(folder.whole_file(_aside(category, job.index)))
                        writers[category] = ShardWriter(file, stream.recipe.shards.codec)
                    writers[category].write(sample)
        contents = {category: writer.close() for category, writer in writers.items()}
    folder.write_json(
        _record(job.index),
        {
            "epoch": job.epoch,
            "job": tally.to_json(),
            "contents": {category: contents.get(category, NOTHING) for category in job.categories},
            "refused": {
                category: [[*names, count] for names, count in sorted(counts.items())]
                for category, counts in refused.items()
            },
        },
    )


class _Committer:
    """Puts finished jobs in place, in their order; knows how much of each category there is."""

    def __init__(self, folder: Folder, stream: PatchStream) -> None:
        self.folder = folder
        self.recipe = stream.recipe
        self.per_epoch = -(-len(stream.plan) // self.recipe.shards.runs)
        self.runs = len(stream.plan)
        self.counts: Counter[str] = Counter()
        self.tally = Tally()
        """Of all that is in place."""
        self.next = 0
        self._at_epoch_start = self.counts.copy()

    @property
    def epochs(self) -> int:
        """Epochs begun so far."""
        return -(-self.next // self.per_epoch)

    def wanted(self, epoch: int) -> tuple[str, ...]:
        """The categories that an epoch still has to give: all in the first, then those short of their targets."""
        return tuple(
            name
            for name, category in self.recipe.categories.items()
            if (epoch == 0 if category.target is None else self.counts[name] < category.target)
        )

    def jobs(self) -> Iterator[Job]:
        """The jobs that are not done, for as long as something is wanted."""
        for index in count(self.next):
            epoch, number = divmod(index, self.per_epoch)
            categories = self.wanted(epoch)
            if not categories:
                return
            if not self.folder.exists(_record(index)):
                first = number * self.recipe.shards.runs
                yield Job(index, epoch, range(first, min(first + self.recipe.shards.runs, self.runs)), categories)

    def advance(self) -> bool:
        """Commit the finished jobs that are next in order; says whether there were any."""
        before = self.next
        while categories := self.wanted(self.next // self.per_epoch):
            done = {category: f"{shard_name(category, self.next)}.json" for category in categories}
            record = _record(self.next)
            if self.folder.exists(record):
                fields = self.folder.read_json(record)
                for category, sidecar in done.items():
                    if not self.folder.exists(sidecar):
                        self._commit(category, sidecar, fields)
                self.folder.remove(record)
            elif not all(map(self.folder.exists, done.values())):
                break
            written = [self.folder.read_json(sidecar) for sidecar in done.values()]
            for sidecar in written:
                self.counts[sidecar["category"]] += sidecar["samples"]
                self.tally += manifest.tally_of_shard(sidecar)
            self.tally += Tally.from_json(written[0]["job"])
            self.next += 1
            if self.next % self.per_epoch == 0:
                self._check_progress()
        return self.next > before

    def _commit(self, category: str, sidecar: str, fields: dict[str, Any]) -> None:
        contents, target = fields["contents"][category], self.recipe.categories[category].target
        aside, shard = _aside(category, self.next), f"{shard_name(category, self.next)}.tar"
        if target is not None and self.counts[category] + contents["samples"] > target:
            contents = _cut(self.folder, aside, shard, target - self.counts[category])
        elif contents["samples"] and self.folder.exists(aside):  # else a crash came after this move
            self.folder.move(aside, shard)
        self.folder.write_json(
            sidecar,
            {
                "format_version": FORMAT_VERSION,
                "recipe_hash": self.recipe.hash,
                "category": category,
                "index": self.next,
                "epoch": fields["epoch"],
                "job": fields["job"],
                "refused": fields["refused"][category],
                **contents,
            },
        )

    def _check_progress(self) -> None:
        for category in self.wanted(self.epochs):
            if self.counts[category] == self._at_epoch_start[category]:
                raise ExportError(
                    f"{category}: a whole epoch gave nothing, its target of {self.recipe.categories[category].target} "
                    f"cannot be met (there are {self.counts[category]}): {self.tally.explain()}"
                )
        self._at_epoch_start = self.counts.copy()


NOTHING = Contents(samples=0, bytes=0, sha256="", md5="", counts=[], first_key="", last_key="")


def _cut(folder: Folder, aside: str, shard: str, samples: int) -> Contents:
    """Write the first records of a shard as the shard; says what they are."""
    with folder.open(aside) as source, folder.whole_file(shard) as file:
        writer = ShardWriter(file)
        for key, members in islice(records(source, folder.place(aside)), samples):
            fields = json.loads(members["json"])
            writer.write_record(key, members, fields["format"], fields["movie"])
        return writer.close()


def _aside(category: str, index: int) -> str:
    return f"{WORK}/{category}-{index:06d}.tar"


def _record(index: int) -> str:
    return f"{WORK}/job-{index:06d}.json"


def _limited(recipe: Recipe, limit: int | None) -> Recipe:
    if limit is None:
        return recipe
    categories = {
        name: category.model_copy(update={"target": min(limit, category.target or limit)})
        for name, category in recipe.categories.items()
    }
    return recipe.model_copy(update={"categories": categories})
