"""An export holds what the live stream gives, byte for byte the same from any engine and after any interruption."""

from __future__ import annotations

import json
import tarfile
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.exports import differing, tree
from tests.helpers.samples import signatures
from torch_hdrpatches import HDRPatchDataset, export, read_shards
from torch_hdrpatches.errors import ExportError, NoSamplesError, ShardError, WorkerDiedError
from torch_hdrpatches.exporter import Part, export_part
from torch_hdrpatches.shards.manifest import tally_of


@pytest.fixture
def whole(recipe: dict[str, Any], tmp_path: Path) -> dict[str, bytes]:
    """The tree of an uninterrupted serial export."""
    export(recipe, tmp_path / "whole")
    return tree(tmp_path / "whole")


def test_shards_hold_what_the_live_stream_gives(recipe, tmp_path):
    export(recipe, tmp_path)
    live = {sample["key"]: sample for sample in HDRPatchDataset(recipe)}
    read = {sample["key"]: sample for sample in read_shards(tmp_path)}
    assert signatures(live[key] for key in sorted(live)) == signatures(read[key] for key in sorted(read))
    for key, sample in live.items():
        assert {name: type(value) for name, value in sample.items()} == {n: type(v) for n, v in read[key].items()}
        for name in sample.keys() - {"gt", "lq"}:
            assert sample[name] == read[key][name], name


def test_processes_write_the_same_bytes(recipe, tmp_path, whole):
    export(recipe, tmp_path / "two", workers=2)
    assert tree(tmp_path / "two") == whole


def test_the_same_export_again_touches_nothing(recipe, tmp_path, whole):
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "whole").rglob("*")}
    tally = export(recipe, tmp_path / "whole")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "whole").rglob("*")} == before
    assert tally == tally_of(tmp_path / "whole")


@pytest.mark.parametrize("shards", [1, 2, 3])
def test_an_interrupted_export_goes_on_and_ends_the_same(recipe, tmp_path, whole, shards):
    class Interruption(Exception):  # noqa: N818
        pass

    done = []

    def interrupt(tally):
        done.append(tally)
        if len(done) == shards:
            raise Interruption

    with pytest.raises(Interruption):
        export(recipe, tmp_path / "out", progress=interrupt)
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/*.tar")}
    assert not (tmp_path / "out" / "manifest.json").exists()
    export(recipe, tmp_path / "out", workers=2)
    assert tree(tmp_path / "out") == whole
    assert {path: path.stat().st_mtime_ns for path in finished} == finished, "finished shards are not written again"


@pytest.mark.parametrize("workers", [1, 2])
def test_targets_are_met_exactly_over_as_many_epochs_as_it_takes(recipe, tmp_path, workers):
    recipe["categories"]["space"]["target"] = 13
    recipe["categories"]["toon"]["target"] = 5
    tally = export(recipe, tmp_path, workers=workers)
    assert tally.by("category") == {"master": 17, "space": 13, "toon": 5}
    keys = [sample["key"] for sample in read_shards(tmp_path)]
    assert len(keys) == len(set(keys)) == 35
    assert json.loads((tmp_path / "manifest.json").read_text())["epochs"] == 3


def test_a_lost_job_costs_no_further_jobs_than_the_targets_need(three, tmp_path):
    made = []

    def without_the_first(work, items):
        """An executor that loses a job, as one whose workers die at it; it has two jobs at work."""
        for job in items:
            if job.index:
                made.append(job.index)
                yield job, work(job)
        raise WorkerDiedError("job 0 could not be made")

    with pytest.raises(WorkerDiedError, match="job 0"):
        export(three, tmp_path / "lost", executor=without_the_first)
    export(three, tmp_path / "whole")
    needed = {int(path.stem.rpartition("-")[2]) for path in (tmp_path / "whole").glob("*/*-[0-9]*.json")}
    assert len(made) <= len(needed) + 3, "what the lost job would have given takes up to one epoch more"
    export(three, tmp_path / "lost")
    assert differing(tree(tmp_path / "lost"), tree(tmp_path / "whole")) == []


def test_a_target_that_cannot_be_met_is_an_error_that_says_why(recipe, tmp_path):
    recipe["formats"]["tall"] = {"gt": [330, 90]}
    recipe["categories"]["space"] = {"target": 5, "formats": {"tall": 1.0}}
    with pytest.raises(ExportError, match=r"space: a whole epoch gave nothing.*no_format_fits"):
        export(recipe, tmp_path)


def test_an_export_of_nothing_is_an_error(recipe, tmp_path):
    recipe["sampling"] |= {"stability": "first_to_last", "max_scene_change": 1e-9, "max_attempts": 1}
    with pytest.raises(NoSamplesError, match="unstable"):
        export(recipe, tmp_path)


def test_the_manifest_names_movies_that_failed(recipe, tmp_path):
    (tmp_path / "bad.mkv").write_bytes(b"nothing")
    recipe["movies"].append({"path": str(tmp_path / "bad.mkv"), "categories": ["master"]})
    tally = export(recipe, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert set(tally.failures) == {"bad"}
    assert "bad.mkv" in manifest["movies"]["bad"]["failure"]
    assert manifest["movies"]["pq"]["failure"] == ""
    assert manifest["movies"]["pq"]["facts"]["max_cll"] == 1000


def test_the_limit_cuts_every_category(recipe, tmp_path):
    assert export(recipe, tmp_path, limit=4).by("category") == {"master": 4, "space": 4, "toon": 4}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves files open
def test_plain_webdataset_reads_the_shards(recipe, tmp_path):
    webdataset = pytest.importorskip("webdataset")
    export(recipe, tmp_path)
    shards = sorted(map(str, tmp_path.glob("master/*.tar")))
    read = list(webdataset.WebDataset(shards, shardshuffle=False, empty_check=False).decode("rgb8"))
    assert {sample["__key__"] for sample in read} == {s["key"] for s in read_shards(tmp_path, category="master")}
    for sample, ours in zip(read, read_shards(tmp_path, category="master"), strict=True):
        assert (sample["gt.png"] == ours["gt"].permute(1, 2, 0).numpy()).all()
        assert (sample["lq.png"] == ours["lq"].permute(0, 2, 3, 1).flatten(0, 1).numpy()).all()
        assert sample["json"]["movie"] == ours["movie"]


def test_sixteen_bit_and_sequence_shards_read_back_the_same(recipe, tmp_path):
    making = {"output": "both", "gt": "sequence"}
    export(recipe, tmp_path, **making)
    live = {sample["key"]: sample for sample in HDRPatchDataset(recipe, **making)}
    for sample in read_shards(tmp_path):
        for name in ("gt", "lq", "gt_hdr", "lq_hdr"):
            assert sample[name].dtype == live[sample["key"]][name].dtype
            assert (sample[name] == live[sample["key"]][name]).all()
        assert sample["gt_hdr"].shape[0] == 7


def test_members_carry_nothing_of_this_machine(recipe, tmp_path):
    export(recipe, tmp_path)
    for path in tmp_path.glob("*/*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                assert (member.mtime, member.uid, member.gid, member.uname, member.mode) == (0, 0, 0, "", 0o644)
                assert len(member.name) <= 100


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_shard_is_an_error_that_names_it(recipe, tmp_path, damage):
    export(recipe, tmp_path)
    shard = next(tmp_path.glob("master/*.tar"))
    data = bytearray(shard.read_bytes())
    if damage == "flip":
        data[5000:5010] = b"\0" * 10
    shard.write_bytes({"cut": bytes(data[: len(data) // 2]), "flip": bytes(data), "empty": b""}[damage])
    with pytest.raises(ShardError):
        list(read_shards(shard))


def test_the_shards_of_jobs_that_are_not_finished_are_not_read(three, tmp_path):
    class Interruption(Exception):  # noqa: N818
        pass

    def last_first(work, items):
        _, *others = islice(items, 3)
        for job in others:
            yield job, work(job)
        raise Interruption

    export_part(three, tmp_path, Part(0, 4))
    with pytest.raises(Interruption):
        export(three, tmp_path, executor=last_first)
    waiting = sorted((tmp_path / ".work").glob("*.tar"))
    finished = {str(path) for path in tmp_path.glob("[!.]*/*.tar")}
    assert waiting
    assert finished
    for source in (tmp_path, f"{tmp_path}/*/*.tar", f"{tmp_path}/**/*.tar", f"file://{tmp_path}/*/*.tar"):
        assert set(read_shards(source).shards) == finished
    with pytest.raises(ShardError, match="no shards"):
        read_shards(waiting)


def test_no_shards_is_an_error(tmp_path):
    with pytest.raises(ShardError, match="no shards"):
        read_shards(tmp_path)
