"""One job of an export: some runs of an epoch, made into one shard per category, aside."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, replace

from ..sampling.stream import PatchStream
from ..sampling.tally import Tally
from ..shards.manifest import WORK
from ..shards.record import Contents, ShardWriter
from ..storage.folder import Folder
from .processes import alive

NOTHING = Contents(samples=0, bytes=0, sha256="", md5="", counts=[], first_key="", last_key="", suffixes=[], records=[])


@dataclass(frozen=True, slots=True)
class Job:
    """The unit of work and of resume: some runs of an epoch, and the categories that are still wanted."""

    index: int
    epoch: int
    positions: range
    categories: tuple[str, ...]

    def __str__(self) -> str:
        return f"job {self.index}"


def work(stream: PatchStream, folder: Folder, job: Job) -> None:
    """Make a job's shards aside, and last the record that says they are whole."""
    tally = Tally()
    refused: dict[str, Counter[tuple[str, str]]] = {category: Counter() for category in job.categories}
    with ExitStack() as files:
        writers: dict[str, ShardWriter] = {}
        for position in job.positions:
            run = stream.plan.run_at(job.epoch, position)
            alive(f"{run.name}, slots {run.first} to {run.stop - 1} of epoch {job.epoch}")
            for outcome in stream.run(job.epoch, run, job.categories):
                alive(f"{run.name}, slots {outcome.slot} to {run.stop - 1} of epoch {job.epoch}")
                tally.add(replace(outcome, samples=(), refused=()))
                for category, reason in outcome.refused:
                    refused[category][outcome.movie, reason] += 1
                for sample in outcome.samples:
                    category = sample["category"]
                    if category not in writers:
                        file = files.enter_context(folder.whole_file(aside(category, job.index)))
                        writers[category] = ShardWriter(file, stream.recipe.shards.codec)
                    writers[category].write(sample)
        contents = {category: writer.close() for category, writer in writers.items()}
    folder.write_json(
        record_name(job.index),
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


def aside(category: str, index: int) -> str:
    """Where a job's shard waits to be put in place."""
    return f"{WORK}/{category}-{index:06d}.tar"


def record_name(index: int) -> str:
    """Where a job says that all its shards wait."""
    return f"{WORK}/job-{index:06d}.json"
