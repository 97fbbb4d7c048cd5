"""Commits finished jobs in their order, so that where a target cuts does not depend on which job was done first."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import count, islice
from typing import Any, TypeAlias

from ..errors import ExportError
from ..sampling.stream import PatchStream
from ..sampling.tally import Tally
from ..shards.manifest import FORMAT_VERSION, SIDECARS, shard_name, tally_of_shard
from ..shards.record import Contents, ShardWriter, records
from ..storage.folder import Folder
from .job import Job, JobRecord, record_path, staging_path

Milestones: TypeAlias = Mapping[str, tuple[int, ...]]
"""By category, the targets that were reached before they were raised: shards were cut there, and stay so."""


class Ledger:
    """Counts the samples of finished jobs in order, and lists the jobs that are missing. Changes no file."""

    def __init__(self, folder: Folder, stream: PatchStream, milestones: Milestones) -> None:
        self.folder = folder
        self.recipe = stream.recipe
        self.milestones = milestones
        self.runs = len(stream.plan)
        self.per_epoch = -(-self.runs // self.recipe.shards.runs)
        self.next = 0
        """The first job that is not committed."""
        self.counts: Counter[str] = Counter()
        """Samples by category."""
        self.committed = set(folder.names(SIDECARS))
        self.records: dict[int, JobRecord] = {}
        """Of jobs that were done by this process and are not committed."""

    @property
    def epoch(self) -> int:
        """The epoch of the first job that is not committed."""
        return self.next // self.per_epoch

    def wanted(self, epoch: int) -> tuple[str, ...]:
        """The categories to export in an epoch: all in the first, then those below their targets."""
        return tuple(
            name
            for name, category in self.recipe.categories.items()
            if (epoch == 0 if category.target is None else self.counts[name] < category.target)
        )

    def jobs(self) -> Iterator[Job]:
        """The jobs to do, as long as samples are wanted."""
        for index in count(self.next):
            epoch, number = divmod(index, self.per_epoch)
            if not (wanted := self.wanted(epoch)):
                return
            missing = self.missing(index, wanted)
            if missing and self.record(index, missing) is None:
                first = number * self.recipe.shards.runs
                yield Job(index, epoch, range(first, min(first + self.recipe.shards.runs, self.runs)), missing)

    def missing(self, index: int, categories: tuple[str, ...]) -> tuple[str, ...]:
        """The categories whose shard of a job is not committed."""
        return tuple(name for name in categories if f"{shard_name(name, index)}.json" not in self.committed)

    def record(self, index: int, categories: tuple[str, ...]) -> JobRecord | None:
        """The record of a finished job; None if it is not done, or shards of these categories are missing."""
        if index in self.records:
            return self.records[index]
        try:
            record: JobRecord = self.folder.read_json(record_path(index))
        except FileNotFoundError:
            return None
        for name in categories:
            contents, paths = (
                record["contents"].get(name),
                (staging_path(name, index), f"{shard_name(name, index)}.tar"),
            )
            if contents is None or (contents["samples"] and not any(map(self.folder.exists, paths))):
                return None
        return record

    def done(self, job: Job, record: JobRecord) -> bool:
        """Take the record of a job that was just done; whether jobs were committed as a result."""
        self.records[job.index] = record
        return self.advance()

    def advance(self) -> bool:
        """Commit the finished jobs that are next in order; whether there were any."""
        before = self.next
        while (wanted := self.wanted(self.epoch)) and self.commit_next(wanted):
            self.records.pop(self.next, None)
            self.next += 1
        return self.next > before

    def commit_next(self, wanted: tuple[str, ...]) -> bool:
        """Count the next job if it is done."""
        missing = self.missing(self.next, wanted)
        record = self.record(self.next, missing) if missing else None
        if missing and record is None:
            return False
        for category in wanted:
            if record and category in missing:
                samples = record["contents"][category]["samples"]
                self.counts[category] = min(self.counts[category] + samples, self.limit(category, samples))
            else:
                self.counts[category] += self.sidecar(category)["samples"]
        return True

    def sidecar(self, category: str) -> dict[str, Any]:
        """Of the next job's shard, which is committed."""
        return dict(self.folder.read_json(f"{shard_name(category, self.next)}.json"))

    def limit(self, category: str, samples: int) -> int:
        """The count at which a category is cut if ``samples`` more come: a milestone, its target, or never."""
        goals = [*self.milestones.get(category, ()), self.recipe.categories[category].target]
        return next(
            (goal for goal in goals if goal is not None and goal > self.counts[category]),
            self.counts[category] + samples,
        )


class Committer(Ledger):
    """Moves the shards of finished jobs to their final names, cuts those that reach a target, writes their sidecars."""

    def __init__(self, folder: Folder, stream: PatchStream, milestones: Milestones) -> None:
        super().__init__(folder, stream, milestones)
        self.tally = Tally()
        """Of everything committed."""
        self._at_epoch_start = self.counts.copy()

    def commit_next(self, wanted: tuple[str, ...]) -> bool:
        """Commit the next job if it is done.

        Raises:
            ExportError: if a whole epoch added nothing to a category, whose target would never be reached.
        """
        sidecars: dict[str, dict[str, Any]] = {}
        if missing := self.missing(self.next, wanted):
            record = self.record(self.next, missing)
            if record is None:
                return False
            sidecars = {category: self._commit(category, record) for category in missing}
            self.folder.remove(record_path(self.next))
        for category in wanted:
            sidecar = sidecars.get(category) or self.sidecar(category)
            self.counts[category] += sidecar["samples"]
            self.tally += tally_of_shard(sidecar)
        self.tally += Tally.from_json(sidecar["job"])
        if (self.next + 1) % self.per_epoch == 0:
            self._end_epoch()
        return True

    def _commit(self, category: str, record: JobRecord) -> dict[str, Any]:
        name, staged, contents = shard_name(category, self.next), staging_path(category, self.next), record["contents"]
        found = contents[category]
        room = self.limit(category, found["samples"]) - self.counts[category]
        if found["samples"] > room:
            found = _cut(self.folder, staged, f"{name}.tar", room)
        elif found["samples"] and self.folder.exists(staged):  # else a crash came after this move
            self.folder.move(staged, f"{name}.tar")
        sidecar = {
            "format_version": FORMAT_VERSION,
            "recipe_hash": self.recipe.hash,
            "category": category,
            "index": self.next,
            "epoch": record["epoch"],
            "job": record["job"],
            "refused": record["refused"][category],
            **found,
        }
        self.folder.write_json(f"{name}.json", sidecar)
        self.committed.add(f"{name}.json")
        return sidecar

    def _end_epoch(self) -> None:
        for category in self.wanted(self.epoch + 1):
            if self.counts[category] == self._at_epoch_start[category]:
                raise ExportError(
                    f"{category}: a whole epoch gave nothing, its target of {self.recipe.categories[category].target} "
                    f"cannot be met (there are {self.counts[category]}): {self.tally.explain()}"
                )
        self._at_epoch_start = self.counts.copy()


def _cut(folder: Folder, staged: str, shard: str, samples: int) -> Contents:
    """Write the first records of a staged shard as the final shard; returns its contents."""
    with folder.open(staged) as source, folder.whole_file(shard) as file:
        writer = ShardWriter(file)
        for key, members in islice(records(source, staged), samples):
            fields = json.loads(members["json"])
            writer.write_record(key, members, fields["format"], fields["movie"])
        return writer.close()
