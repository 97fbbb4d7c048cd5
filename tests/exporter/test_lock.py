"""Only one export at a time works in a folder, always the same one, and leftovers of killed exports are removed."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import portalocker
import pytest
from portalocker import LockException

from tests.helpers.exports import check_finished_files, differing, tree
from torch_hdrpatches import export, read_shards
from torch_hdrpatches.errors import ExportError
from torch_hdrpatches.exporter import Part, export_part
from torch_hdrpatches.exporter.lock import LOCK, exclusive
from torch_hdrpatches.shards.manifest import FORMAT_VERSION
from torch_hdrpatches.storage.folder import Folder


class Interruption(Exception):  # noqa: N818
    pass


def interrupted(recipe, out, after=2, **options):
    """Export, and raise after this many commits."""
    commits = []

    def interrupt(tally):
        commits.append(tally)
        if len(commits) == after:
            raise Interruption

    with pytest.raises(Interruption):
        export(recipe, out, progress=interrupt, **options)


def stamps(folder):
    """Modification time and inode of every shard and sidecar."""
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.glob("*/*-*")}


def test_a_second_export_at_the_same_time_is_refused_and_the_first_goes_on(three, tmp_path, three_whole):
    refusals = []

    def second(tally):
        try:
            export(three, tmp_path / "out")
        except ExportError as refusal:
            refusals.append(str(refusal))

    export(three, tmp_path / "out", progress=second)
    assert refusals
    assert all(f"process {os.getpid()}" in refusal for refusal in refusals)
    assert differing(tree(tmp_path / "out"), three_whole) == []


LOCKING = """
import sys, time
from torch_hdrpatches.exporter.lock import exclusive
from torch_hdrpatches.storage.folder import Folder
with exclusive(Folder.of(sys.argv[1])):
    print("exclusive", flush=True)
    time.sleep(100)
"""


def test_a_lock_ends_with_its_process(three, tmp_path, three_whole):
    other = subprocess.Popen([sys.executable, "-c", LOCKING, str(tmp_path / "out")], stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == b"exclusive\n"
    with pytest.raises(ExportError, match=f"process {other.pid} on"):
        export(three, tmp_path / "out")
    other.kill()
    other.communicate()
    assert (tmp_path / "out" / LOCK).exists()
    export(three, tmp_path / "out")
    assert differing(tree(tmp_path / "out"), three_whole) == []


def test_a_file_system_without_locks_is_warned_about(tmp_path, monkeypatch, caplog):
    def lock(file, flags):
        raise LockException from OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(portalocker, "lock", lock)
    with exclusive(Folder.of(tmp_path)):
        assert "this file system has no locks" in caplog.text


def test_any_other_failure_to_lock_is_the_error_of_the_disk(tmp_path, monkeypatch):
    def lock(file, flags):
        raise LockException from OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(portalocker, "lock", lock)
    with pytest.raises(OSError, match="Input/output"), exclusive(Folder.of(tmp_path)):
        pass


def test_of_many_threads_only_one_at_a_time_has_the_lock(tmp_path):
    folder, inside, most, turns = Folder.of(tmp_path), [], [], []

    def lock_again_and_again():
        while len(turns) < 300:
            try:
                with exclusive(folder):
                    inside.append(1)
                    most.append(len(inside))
                    turns.append(1)
                    inside.pop()
            except ExportError:
                pass

    threads = [threading.Thread(target=lock_again_and_again) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1


def test_leftovers_of_killed_exports_are_removed(three, tmp_path, three_whole):
    out = tmp_path / "out"
    interrupted(three, out)
    for name in (".manifest.json.12.tmp", "one/.one-000001.tar.345.tmp", ".work/.one-000001.tar.6.tmp"):
        (out / name).write_bytes(b"half a ")
    (out / ".work" / "one-000004.tar").write_bytes(b"of a job without a record")
    (out / "one" / "one-000005.tar").write_bytes(b"of a job without a sidecar")
    (out / "mine.tmp").write_bytes(b"not of an export")
    export(three, out)
    assert differing(tree(out), three_whole) == ["mine.tmp"]


def test_a_job_whose_shard_was_removed_is_done_again(three, tmp_path, three_whole):
    export_part(three, tmp_path / "out", Part(0, 1))
    for path in (tmp_path / "out" / ".work").glob("*.tar"):
        path.unlink()
    export(three, tmp_path / "out")
    assert differing(tree(tmp_path / "out"), three_whole) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda recipe: recipe.update(seed=7), r"seed \(0 -> 7\)"),
        (lambda recipe: recipe.update(tonemap={"curve": "hable"}), r"tonemap\.curve \('mobius' -> 'hable'\)"),
        (lambda recipe: recipe["movies"].pop(), "movies"),
        (
            lambda recipe: recipe["categories"]["two"].update(target=51),
            r"categories\.two\.target \(50 -> 51\).*--extend",
        ),
    ],
)
@pytest.mark.parametrize("is_finished", [True, False])
def test_another_recipe_is_refused_with_the_keys_that_differ(three, tmp_path, is_finished, change, words):
    if is_finished:
        export(three, tmp_path)
    else:
        interrupted(three, tmp_path)
    before = stamps(tmp_path)
    change(three)
    with pytest.raises(ExportError, match=words):
        export(three, tmp_path)
    assert stamps(tmp_path) == before


def test_other_options_are_refused(three, tmp_path):
    interrupted(three, tmp_path)
    with pytest.raises(ExportError, match="output"):
        export(three, tmp_path, output="hdr")


@pytest.fixture
def movie(three, tmp_path):
    """The second movie, where it may be changed."""
    movie = tmp_path / "2.mkv"
    movie.write_bytes(Path(three["movies"][1]["path"]).read_bytes())
    three["movies"][1]["path"] = str(movie)
    return movie


@pytest.mark.parametrize("change", ["mtime", "head", "size"])
def test_a_movie_file_that_has_changed_is_refused(three, tmp_path, movie, change):
    interrupted(three, tmp_path / "out")
    stat, data = movie.stat(), bytearray(movie.read_bytes())
    if change == "head":
        data[200] ^= 1
    movie.write_bytes(data + b"\0" * (change == "size"))
    os.utime(movie, ns=(stat.st_atime_ns, stat.st_mtime_ns + (change == "mtime")))
    with pytest.raises(ExportError, match=rf"movies\.second\.file\.{change}"):
        export(three, tmp_path / "out")


def test_no_manifest_is_written_if_a_movie_changes_during_the_export(three, tmp_path, movie):
    with pytest.raises(ExportError, match=r"movies\.second\.file\.mtime"):
        export(three, tmp_path / "out", progress=lambda tally: os.utime(movie, ns=(0, 0)))
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_another_version_of_the_format_is_refused(three, tmp_path):
    interrupted(three, tmp_path)
    record = tmp_path / ".work" / "export.json"
    record.write_text(record.read_text().replace(f'"format_version": {FORMAT_VERSION}', '"format_version": 99'))
    with pytest.raises(ExportError, match=f"format_version \\(99 -> {FORMAT_VERSION}\\)"):
        export(three, tmp_path)


def test_shards_without_an_export_record_are_refused(three, tmp_path):
    interrupted(three, tmp_path)
    (tmp_path / ".work" / "export.json").unlink()
    with pytest.raises(ExportError, match=r"holds shards .*neither manifest\.json nor"):
        export(three, tmp_path)


def raised(recipe):
    recipe["categories"]["two"]["target"] = 70
    recipe["categories"]["three"]["target"] = 41
    return recipe


@pytest.mark.parametrize("is_finished", [True, False])
def test_targets_can_be_raised_and_existing_shards_are_kept(three, tmp_path, is_finished):
    export(three, tmp_path) if is_finished else interrupted(three, tmp_path, after=7)
    before = stamps(tmp_path)
    tally = export(raised(three), tmp_path, extend=True)
    assert tally.by("category") == {"one": 32, "two": 70, "three": 41}
    assert {path: stamp for path, stamp in stamps(tmp_path).items() if path in before} == before
    check_finished_files(tmp_path)
    keys = [sample["key"] for sample in read_shards(tmp_path)]
    assert len(keys) == len(set(keys)) == 143
    reached = json.loads((tmp_path / "manifest.json").read_text())["milestones"]
    assert reached == ({"two": [50], "three": [30]} if is_finished else {})


def test_an_extension_is_the_same_from_any_engine_and_after_any_interruption(three, tmp_path):
    for out in ("one", "two"):
        export(three, tmp_path / out)
    raised(three)
    export(three, tmp_path / "one", extend=True)
    interrupted(three, tmp_path / "two", after=1, extend=True, workers=2)
    interrupted(three, tmp_path / "two", after=1)
    export(three, tmp_path / "two", workers=2)
    assert differing(tree(tmp_path / "two"), tree(tmp_path / "one")) == []


def test_a_trial_with_a_limit_can_be_extended_to_the_whole(three, tmp_path):
    tally = export(three, tmp_path, limit=5)
    assert tally.by("category") == {"one": 5, "two": 5, "three": 5}
    with pytest.raises(ExportError, match=r"--extend"):
        export(three, tmp_path)
    tally = export(three, tmp_path, extend=True)
    assert tally.by("category") | {"one": 0} == {"one": 0, "two": 50, "three": 30}
    assert check_finished_files(tmp_path) > 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda recipe: recipe["categories"]["two"].update(target=49), r"two\.target is 49, but there are 50 already"),
        (lambda recipe: recipe["categories"]["two"].pop("target"), r"two\.target cannot be removed"),
        (lambda recipe: recipe.update(seed=1), r"seed.*only targets can be extended"),
        (lambda recipe: recipe["movies"].append(recipe["movies"][0] | {"name": "new"}), r"movies.*new movies too"),
    ],
)
def test_an_invalid_extension_is_refused_with_the_reason(three, tmp_path, change, words):
    export(three, tmp_path)
    before = stamps(tmp_path)
    change(three)
    with pytest.raises(ExportError, match=words):
        export(three, tmp_path, extend=True)
    assert stamps(tmp_path) == before
    assert not (tmp_path / ".work").exists()
