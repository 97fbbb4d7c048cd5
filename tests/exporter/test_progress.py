"""The progress of an export in numbers: for watchers, and as JSON lines."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from torch_hdrpatches import Recipe, export
from torch_hdrpatches.exporter import Progress, processes, serial, watching
from torch_hdrpatches.exporter.job import Job
from torch_hdrpatches.exporter.progress import CategoryProgress, ProgressTracker, json_lines
from torch_hdrpatches.sampling import Tally


@pytest.fixture
def resolved(recipe: dict[str, Any]) -> Recipe:
    recipe["categories"]["space"]["target"] = 3
    return Recipe.from_dict(recipe).resolved()


def watched_export(recipe: Recipe, out: Path, workers: int = 1) -> list[Progress]:
    seen: list[Progress] = []
    tracker = ProgressTracker(recipe, Tally(), [seen.append])
    engine = processes(workers) if workers > 1 else serial
    export(recipe, out, executor=tracker.around(engine), progress=tracker.committed)
    return seen


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_starts_finishes_and_is_committed(resolved, tmp_path, workers):
    seen = watched_export(resolved, tmp_path / "out", workers)
    events = [progress.event for progress in seen]
    assert events.count("start") == events.count("finish") > 2
    assert "commit" in events
    assert any("pq" in progress.movies for progress in seen)
    assert seen[-1].movies == ()
    samples = [sum(category.samples for category in progress.categories) for progress in seen]
    assert samples == sorted(samples)
    assert samples[-1] > 20


def test_jobs_that_wait_for_an_earlier_job_are_counted(resolved):
    tracker = ProgressTracker(resolved, Tally(), [])

    def out_of_order(work: Any, jobs: Any) -> Iterator[tuple[Job, None]]:
        first, *others = jobs
        yield from ((job, None) for job in (*others, first))

    seen = []
    jobs = [Job(index, 0, range(1), ("master",)) for index in range(3)]
    for _ in tracker.around(out_of_order)(len, jobs):
        seen.append(tracker.now("").waiting)
    assert seen == [1, 2, 0]


def test_expected_samples_are_the_target_or_an_epoch(resolved, tmp_path):
    expected = {
        category.name: category.expected for category in watched_export(resolved, tmp_path / "out")[0].categories
    }
    assert expected == {"master": 17, "space": 3, "toon": 8}


def test_remaining_time_follows_from_the_rate_so_far():
    assert CategoryProgress("a", 30, 90, 2.0).seconds_left == 30
    assert CategoryProgress("a", 90, 90, 0.0).seconds_left == 0
    assert math.isinf(CategoryProgress("a", 0, 90, 0.0).seconds_left)


def test_the_rate_of_a_resumed_export_does_not_count_earlier_samples(resolved):
    before = Tally()
    before.samples["master", "square", "pq"] = 10
    (master, *_) = ProgressTracker(resolved, before, []).now("begin").categories
    assert (master.samples, master.per_second) == (10, 0.0)


def test_json_lines_are_one_event_each(resolved, tmp_path):
    file = io.StringIO()
    tracker = ProgressTracker(resolved, Tally(), [json_lines(file)])
    export(resolved, tmp_path / "out", executor=tracker.around(serial), progress=tracker.committed)
    events = [json.loads(text) for text in file.getvalue().splitlines()]
    assert {"start", "finish", "commit"} == {event["event"] for event in events}
    assert all(event.keys() == events[0].keys() for event in events)
    assert events[-1]["samples"]["space"] == 3
    assert [event["seconds"] for event in events] == sorted(event["seconds"] for event in events)


def test_a_watcher_is_called_at_the_beginning_and_the_end(resolved, tmp_path):
    seen: list[str] = []
    with watching(resolved, Tally(), lambda progress: seen.append(progress.event), log_json=tmp_path / "log") as found:
        found.committed(Tally())
    assert seen == ["begin", "commit", "end"]
    assert len((tmp_path / "log").read_text().splitlines()) == 3
