"""Commits finished jobs in their order, so that where a target cuts does not depend on which job was done first."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import count, islice
from types import MappingProxyType
from typing import Any

from ..errors import ExportError
from ..sampling.stream import PatchStream
from ..sampling.tally import Tally
from ..shards.manifest import FORMAT_VERSION, SIDECARS, shard_name, tally_of_sidecars
from ..shards.record import Contents, ShardWriter, records
from ..storage.folder import Folder
from .job import Job, JobRecord, record_path, staging_path


class Ledger:
    """Counts the samples of finished jobs in order, and lists the jobs that are missing. Changes no file."""

    def __init__(self, folder: Folder, stream: PatchStream, milestones: Mapping[str, tuple[int, ...]]) -> None:
        self.folder = folder
        self.stream = stream
        self.categories = stream.recipe.categories
        self.milestones = milestones
        """By category, the targets that were reached before they were raised: shards were cut there, and stay so."""
        self.per_epoch = -(-len(stream.plan) // stream.recipe.shards.runs)
        """Jobs of an epoch."""
        self.next = 0
        """The first job that is not committed."""
        self.counts: Counter[str] = Counter()
        """Samples by category."""
        self.committed = set(folder.names(SIDECARS))
        """The names of sidecars that are known to be there."""
        self.records: dict[int, JobRecord] = {}
        """Of jobs that are done and not committed, as far as they were looked at."""

    @property
    def epoch(self) -> int:
        """The epoch of the first job that is not committed."""
        return self.next // self.per_epoch

    def wanted(self, epoch: int, aside: Mapping[str, int] = MappingProxyType({})) -> tuple[str, ...]:
        """The categories to export in an epoch: all in the first, then those below their targets.

        ``aside`` are samples, by category, that are not committed and count as well.
        """
        return tuple(
            name
            for name, category in self.categories.items()
            if (epoch == 0 if category.target is None else self.counts[name] + aside.get(name, 0) < category.target)
        )

    def jobs(self) -> Iterator[Job]:
        """The jobs to do, as long as samples are wanted.

        Jobs that are done count also while one before them is missing, or the loss of one would go on without end.
        """
        runs, positions = self.stream.recipe.shards.runs, range(len(self.stream.plan))
        for index in count(self.next):
            epoch, number = divmod(index, self.per_epoch)
            if not (wanted := self.wanted(epoch, self._aside(index))):
                return
            missing, record = self.state(index, wanted)
            if missing and record is None:
                yield Job(index, epoch, positions[number * runs : (number + 1) * runs], missing)

    def _aside(self, stop: int) -> Counter[str]:
        """The samples, by category, of jobs before ``stop`` that are done and not committed."""
        counts: Counter[str] = Counter()
        for index, record in self.records.items():
            if self.next <= index < stop:
                counts.update({name: contents["samples"] for name, contents in record["contents"].items()})
        return counts

    def is_committed(self, category: str, index: int) -> bool:
        """Whether the sidecar of a shard is there; the first one not listed is asked for, as listings may be old."""
        name = _sidecar(category, index)
        may_be_there = not index or _sidecar(category, index - 1) in self.committed
        if name not in self.committed and may_be_there and self.folder.exists(name):
            self.committed.add(name)
        return name in self.committed

    def state(self, index: int, wanted: tuple[str, ...]) -> tuple[tuple[str, ...], JobRecord | None]:
        """The categories whose shard of a job is not committed, and the job's record if all of these were exported."""
        missing = tuple(name for name in wanted if not self.is_committed(name, index))
        if not missing or index in self.records:
            return missing, self.records.get(index)
        try:
            record: JobRecord = self.folder.read_json(record_path(index))
        except FileNotFoundError:
            return missing, None
        for name in missing:
            contents = record["contents"].get(name)
            paths = staging_path(name, index), f"{shard_name(name, index)}.tar"
            if contents is None:
                return missing, None
            if contents["samples"] and not any(self.folder.holds(path, contents["bytes"]) for path in paths):
                return missing, None
        self.records[index] = record
        return missing, record

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

    def commit_next(self, wanted: tuple[str, ...]) -> list[dict[str, Any]]:
        """Count the next job; returns the sidecars of its shards, or none if it is not done."""
        missing, record = self.state(self.next, wanted)
        if missing and record is None:
            return []
        sidecars = [
            self.commit(name, record)
            if record and name in missing
            else self.folder.read_json(_sidecar(name, self.next))
            for name in wanted
        ]
        for name, sidecar in zip(wanted, sidecars, strict=True):
            self.counts[name] += sidecar["samples"]
        return sidecars

    def commit(self, category: str, record: JobRecord) -> dict[str, Any]:
        """As much of the sidecar of the next job's shard as a ledger needs."""
        samples = record["contents"][category]["samples"]
        return {"samples": min(samples, self.limit(category, samples) - self.counts[category])}

    def limit(self, category: str, samples: int) -> int:
        """The count at which a category is cut if ``samples`` more come: a milestone, its target, or never."""
        goals = [*self.milestones.get(category, ()), self.categories[category].target]
        count = self.counts[category]
        return min((goal for goal in goals if goal is not None and goal > count), default=count + samples)


class Committer(Ledger):
    """Moves the shards of finished jobs to their final names, cuts those that reach a target, writes their sidecars."""

    def __init__(self, folder: Folder, stream: PatchStream, milestones: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__(folder, stream, milestones)
        self.tally = Tally()
        """Of everything committed."""
        self._at_epoch_start = self.counts.copy()

    def commit_next(self, wanted: tuple[str, ...]) -> list[dict[str, Any]]:
        """Commit the next job if it is done; returns the sidecars of its shards.

        Raises ExportError if a whole epoch added nothing to a category, whose target would never be reached.
        """
        before = len(self.committed)
        sidecars = super().commit_next(wanted)
        if not sidecars:
            return []
        if len(self.committed) > before:  # else an earlier process has removed it
            self.folder.remove(record_path(self.next))
        self.tally += tally_of_sidecars(sidecars)
        if (self.next + 1) % self.per_epoch == 0:
            self._end_epoch()
        return sidecars

    def commit(self, category: str, record: JobRecord) -> dict[str, Any]:
        """Put the next job's shard in place; returns its sidecar."""
        name, staged = shard_name(category, self.next), staging_path(category, self.next)
        found = record["contents"][category]
        room = self.limit(category, found["samples"]) - self.counts[category]
        try:
            if found["samples"] > room:
                found = _cut(self.folder, staged, f"{name}.tar", room)
            elif found["samples"] and self.folder.exists(staged):  # else a crash came after this move
                self.folder.move(staged, f"{name}.tar")
        except FileNotFoundError:  # another export into the same object store was faster
            if self.is_committed(category, self.next):
                sidecar: dict[str, Any] = self.folder.read_json(f"{name}.json")
                return sidecar
        if found["samples"] and not self.folder.holds(f"{name}.tar", found["bytes"]):
            raise ExportError(
                f"{self.folder.location(name)}.tar: is not there with its {found['bytes']} bytes, and was lost after "
                f"job {self.next} had been done; run the same command again, which does this job again"
            )
        sidecar = {
            "format_version": FORMAT_VERSION,
            "recipe_hash": self.stream.recipe.hash,
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
                    f"{category}: a whole epoch gave nothing, its target of {self.categories[category].target} "
                    f"cannot be met (there are {self.counts[category]}): {self.tally.explain()}"
                )
        self._at_epoch_start = self.counts.copy()


def _sidecar(category: str, index: int) -> str:
    return f"{shard_name(category, index)}.json"


def _cut(folder: Folder, staged: str, shard: str, samples: int) -> Contents:
    """Write the first records of a staged shard as the final shard; returns its contents."""
    with folder.open(staged) as source, folder.whole_file(shard) as file:
        writer = ShardWriter(file)
        for key, members in islice(records(source, staged), samples):
            fields = json.loads(members["json"])
            writer.write_record(key, members, fields["format"], fields["movie"])
        return writer.close()
