"""One job of an export: some runs of an epoch, exported into one shard per category in the work folder."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from ..sampling.stream import PatchStream
from ..sampling.tally import Tally
from ..shards.manifest import WORK, tally_of_sidecars
from ..shards.record import Contents, ShardWriter, counts_of
from ..storage.folder import Folder
from .processes import heartbeat

EMPTY = Contents(samples=0, bytes=0, sha256="", md5="", counts=[], first_key="", last_key="", suffixes=[], records=[])


@dataclass(frozen=True, slots=True)
class Job:
    """The unit of work and of resume: some runs of an epoch, and the categories that are still wanted."""

    index: int
    epoch: int
    positions: range
    categories: tuple[str, ...]

    def __str__(self) -> str:
        return f"job {self.index}"


class JobRecord(TypedDict):
    """The result of a job. It is also written into the work folder, for an export that resumes."""

    epoch: int
    job: dict[str, Any]
    """Tally of the job's windows, without samples and refused categories."""
    contents: dict[str, Contents]
    """By category."""
    refused: dict[str, list[list[str | int]]]
    """By category: [movie, reason, count]."""


def work(stream: PatchStream, folder: Folder, job: Job) -> JobRecord:
    """Write a job's shards into the work folder, and last the record that marks them as complete."""
    tally = Tally()
    refused: dict[str, Counter[tuple[str, str]]] = {category: Counter() for category in job.categories}
    with ExitStack() as files:
        writers: dict[str, ShardWriter] = {}
        for position in job.positions:
            run = stream.plan.run_at(job.epoch, position)
            heartbeat(f"{run.name}, slots {run.first} to {run.stop - 1} of epoch {job.epoch}")
            for outcome in stream.run(job.epoch, run, job.categories):
                heartbeat(f"{run.name}, slots {outcome.slot} to {run.stop - 1} of epoch {job.epoch}")
                tally.add(replace(outcome, samples=(), refused=()))
                for category, reason in outcome.refused:
                    refused[category][outcome.movie, reason] += 1
                for sample in outcome.samples:
                    category = sample["category"]
                    if category not in writers:
                        file = files.enter_context(folder.whole_file(staging_path(category, job.index)))
                        writers[category] = ShardWriter(file, stream.recipe.shards.codec)
                    writers[category].write(sample)
        contents = {name: writers[name].close() if name in writers else EMPTY for name in job.categories}
    record = JobRecord(
        epoch=job.epoch,
        job=tally.to_json(),
        contents=contents,
        refused={category: counts_of(counts) for category, counts in refused.items()},
    )
    folder.write_json(record_path(job.index), record)
    return record


def tally_of_job(record: JobRecord) -> Tally:
    """Everything that a job counted."""
    job = {"index": 0, "job": record["job"]}
    return tally_of_sidecars(
        {**contents, **job, "category": category, "refused": record["refused"][category]}
        for category, contents in record["contents"].items()
    )


def staging_path(category: str, index: int) -> str:
    """Where a job's shard is kept until it is committed."""
    return f"{WORK}/{category}-{index:06d}.tar"


def record_path(index: int) -> str:
    """Where a job's record is kept until the job is committed."""
    return f"{WORK}/job-{index:06d}.json"
