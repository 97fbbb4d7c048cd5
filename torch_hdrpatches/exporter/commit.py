"""From finished jobs to finished shards, in the order of the jobs, so that targets do not depend on who was faster."""

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
from .job import Job, aside, record_name

Milestones: TypeAlias = Mapping[str, tuple[int, ...]]
"""By category, the targets that were reached before they were raised: shards were cut there, and stay so."""


class Ledger:
    """How much of each category the jobs give that are done without a gap, and what is to be done. Only looks."""

    def __init__(self, folder: Folder, stream: PatchStream, milestones: Milestones) -> None:
        self.folder = folder
        self.recipe = stream.recipe
        self.milestones = milestones
        self.runs = len(stream.plan)
        self.per_epoch = -(-self.runs // self.recipe.shards.runs)
        self.next = 0
        """The first job that is not done."""
        self.counts: Counter[str] = Counter()
        self.finished = set(folder.names(SIDECARS))

    @property
    def epoch(self) -> int:
        """The epoch of the first job that is not done."""
        return self.next // self.per_epoch

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
            if not (wanted := self.wanted(epoch)):
                return
            missing = self.missing(index, wanted)
            if missing and self.record(index, missing) is None:
                first = number * self.recipe.shards.runs
                yield Job(index, epoch, range(first, min(first + self.recipe.shards.runs, self.runs)), missing)

    def missing(self, index: int, categories: tuple[str, ...]) -> tuple[str, ...]:
        """Those of some categories whose shard of this job is not in place."""
        return tuple(name for name in categories if sidecar_name(name, index) not in self.finished)

    def record(self, index: int, categories: tuple[str, ...]) -> dict[str, Any] | None:
        """What a job says that is finished and waits; None if it does not, or not with all of these categories."""
        try:
            fields: dict[str, Any] = self.folder.read_json(record_name(index))
        except FileNotFoundError:
            return None
        contents = fields["contents"]
        places = {name: (aside(name, index), f"{shard_name(name, index)}.tar") for name in categories}
        is_there = all(
            name in contents and (not contents[name]["samples"] or any(map(self.folder.exists, places[name])))
            for name in categories
        )
        return fields if is_there else None

    def advance(self) -> bool:
        """Count the finished jobs that are next in order; says whether there were any."""
        before = self.next
        while (wanted := self.wanted(self.epoch)) and self.settle(wanted):
            self.next += 1
        return self.next > before

    def settle(self, wanted: tuple[str, ...]) -> bool:
        """Count the next job if it is done."""
        missing = self.missing(self.next, wanted)
        record = self.record(self.next, missing) if missing else {}
        if record is None:
            return False
        for category in wanted:
            if category in missing:
                samples = record["contents"][category]["samples"]
                self.counts[category] = min(self.counts[category] + samples, self.limit(category, samples))
            else:
                self.counts[category] += self.folder.read_json(sidecar_name(category, self.next))["samples"]
        return True

    def limit(self, category: str, samples: int) -> int:
        """The count at which a category is cut if so many samples come next: a milestone, its target, or never."""
        goals = [*self.milestones.get(category, ()), self.recipe.categories[category].target]
        return next(
            (goal for goal in goals if goal is not None and goal > self.counts[category]),
            self.counts[category] + samples,
        )


class Committer(Ledger):
    """Puts the shards of finished jobs in place, cuts those in which a target is reached, writes their sidecars."""

    def __init__(self, folder: Folder, stream: PatchStream, milestones: Milestones) -> None:
        super().__init__(folder, stream, milestones)
        self.tally = Tally()
        """Of all that is in place."""
        self._at_epoch_start = self.counts.copy()

    def settle(self, wanted: tuple[str, ...]) -> bool:
        """Put the shards of the next job in place if it is done, and count them.

        Raises:
            ExportError: if a whole epoch brought a category no nearer to its target: it would go on for ever.
        """
        if missing := self.missing(self.next, wanted):
            record = self.record(self.next, missing)
            if record is None:
                return False
            for category in missing:
                self._commit(category, record)
            self.folder.remove(record_name(self.next))
        sidecars = [self.folder.read_json(sidecar_name(category, self.next)) for category in wanted]
        for sidecar in sidecars:
            self.counts[sidecar["category"]] += sidecar["samples"]
            self.tally += tally_of_shard(sidecar)
        self.tally += Tally.from_json(sidecars[0]["job"])
        if (self.next + 1) % self.per_epoch == 0:
            self._end_epoch()
        return True

    def _commit(self, category: str, record: dict[str, Any]) -> None:
        contents: Contents = record["contents"][category]
        waiting, shard = aside(category, self.next), f"{shard_name(category, self.next)}.tar"
        room = self.limit(category, contents["samples"]) - self.counts[category]
        if contents["samples"] > room:
            contents = _cut(self.folder, waiting, shard, room)
        elif contents["samples"] and self.folder.exists(waiting):  # else a crash came after this move
            self.folder.move(waiting, shard)
        self.folder.write_json(
            sidecar_name(category, self.next),
            {
                "format_version": FORMAT_VERSION,
                "recipe_hash": self.recipe.hash,
                "category": category,
                "index": self.next,
                "epoch": record["epoch"],
                "job": record["job"],
                "refused": record["refused"][category],
                **contents,
            },
        )
        self.finished.add(sidecar_name(category, self.next))

    def _end_epoch(self) -> None:
        for category in self.wanted(self.epoch + 1):
            if self.counts[category] == self._at_epoch_start[category]:
                raise ExportError(
                    f"{category}: a whole epoch gave nothing, its target of {self.recipe.categories[category].target} "
                    f"cannot be met (there are {self.counts[category]}): {self.tally.explain()}"
                )
        self._at_epoch_start = self.counts.copy()


def sidecar_name(category: str, index: int) -> str:
    """Where a shard's sidecar lies."""
    return f"{shard_name(category, index)}.json"


def _cut(folder: Folder, waiting: str, shard: str, samples: int) -> Contents:
    """Write the first records of a shard as the shard; says what they are."""
    with folder.open(waiting) as source, folder.whole_file(shard) as file:
        writer = ShardWriter(file)
        for key, members in islice(records(source, folder.location(waiting)), samples):
            fields = json.loads(members["json"])
            writer.write_record(key, members, fields["format"], fields["movie"])
        return writer.close()
