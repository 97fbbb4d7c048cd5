"""Damage of an exported folder is found, by file, and repaired byte for byte."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.helpers.exports import differing, tree
from torch_hdrpatches import export
from torch_hdrpatches.cli import app
from torch_hdrpatches.errors import ExportError, ShardError
from torch_hdrpatches.exporter import processes, repair, verify
from torch_hdrpatches.shards.manifest import tally_of
from torch_hdrpatches.storage.folder import Folder

SHARD = "two/two-000001.tar"
SIDECAR = "two/two-000001.json"


@pytest.fixture(scope="module")
def original(three_written: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("original") / "out"
    export(three_written, out)
    return out


@pytest.fixture
def out(original: Path, tmp_path: Path) -> Path:
    """A folder to do damage in."""
    return shutil.copytree(original, tmp_path / "out")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[700] ^= 1
    path.write_bytes(data)


def padded(path: Path) -> None:
    path.write_bytes(path.read_bytes() + bytes(512))


def another(path: Path) -> None:
    shutil.copy(path.with_name(path.name.replace("000001", "000002")), path)


def changed(**fields: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return change


def junk(path: Path) -> None:
    path.write_bytes(b"junk")


def with_another_slot(path: Path) -> None:
    """A tar as whole as before, of the same length, in which one record says that it comes from elsewhere."""
    path.write_bytes(path.read_bytes().replace(b'"slot": ', b'"slot":9', 1))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((SHARD, damage) for damage in (Path.unlink, cut, flip, padded, another, junk, with_another_slot)),
        *((SIDECAR, damage) for damage in (Path.unlink, junk, cut)),
        (SIDECAR, changed(sha256="0" * 64)),
        (SIDECAR, changed(samples=4)),
        (SIDECAR, changed(counts=[])),
        (SIDECAR, changed(category="one")),
        ("two/wids.json", Path.unlink),
        ("two/wids.json", junk),
        ("two/wids.json", changed(shardlist=[])),
        ("README.md", Path.unlink),
        ("manifest.json", changed(tally={})),
        ("manifest.json", changed(shards=[])),
    ],
)
def test_damage_is_found_by_file_and_repaired(out, original, name, damage):
    damage(out / name)
    problems = verify(out)
    # A shard and its sidecar that disagree are named as one: neither says which of them is right.
    assert name.rpartition(".")[0] in {problem.name.rpartition(".")[0] for problem in problems}
    assert repair(out, problems) == []
    assert differing(tree(out), tree(original)) == []


def test_an_intact_export_has_no_problems_on_disk_or_in_a_store_with_any_executor(original):
    assert verify(original) == verify(str(original), executor=processes(2)) == []
    memory = Folder.of("memory://verified")
    for name in Folder.of(original).names():
        with memory.whole_file(name) as file:
            file.write((original / name).read_bytes())
    assert verify(memory) == []


def test_only_damaged_shards_are_written_again(out):
    finished = {path: path.stat().st_mtime_ns for path in out.glob("*/*.tar")}
    (out / SHARD).unlink()
    other = min(out.glob("three/*.tar"))
    flip(other)
    assert repair(out, verify(out)) == []
    after = {path: path.stat().st_mtime_ns for path in out.glob("*/*.tar")}
    assert {path for path, time in after.items() if finished[path] != time} == {out / SHARD, other}


def test_foreign_files_and_keys_that_come_twice_are_found_and_left(out):
    (out / "one" / "notes.txt").write_text("mine")
    (out / "deep" / "er").mkdir(parents=True)
    (out / "deep" / "er" / "x.tar").write_bytes(b"")
    (out / ".work").mkdir()
    (out / ".work" / "job-000000.json").write_text("{}")
    shutil.copy(out / SHARD, out / "two" / "two-000099.tar")
    sidecar = json.loads((out / SIDECAR).read_text()) | {"index": 99}
    (out / "two" / "two-000099.json").write_text(json.dumps(sidecar))
    found = {problem.name: problem.text for problem in verify(out)}
    for name in ("one/notes.txt", "deep/er/x.tar", ".work/job-000000.json"):
        assert found[name] == "does not belong here"
    assert f"it is in {SHARD}" in found["two/two-000099.tar"]


def test_an_export_that_is_not_finished_says_so_and_nothing_else(three, tmp_path):
    class Break(Exception):  # noqa: N818
        pass

    def stop(tally: object) -> None:
        raise Break

    with pytest.raises(Break):
        export(three, tmp_path / "out", progress=stop)
    (problem,) = verify(tmp_path / "out")
    assert "not finished" in str(problem)
    with pytest.raises(ShardError, match="export"):
        repair(tmp_path / "out", [problem])
    with pytest.raises(ShardError, match="nothing here"):
        verify(tmp_path / "empty")


def test_an_export_of_other_movies_is_not_repaired(out, three, tmp_path):
    flip(out / SHARD)
    before = tree(out)
    problems = verify(out)
    shutil.copy(three["movies"][0]["path"], tmp_path / "second.mkv")
    three["movies"][1]["path"] = str(tmp_path / "second.mkv")
    (tmp_path / "recipe.json").write_text(json.dumps(three))
    with pytest.raises(ExportError, match=r"movies\.second\.file"):
        repair(out, problems, recipe=tmp_path / "recipe.json")
    assert differing(tree(out), before) == []


def test_the_command_lists_problems_and_repairs(out):
    run = CliRunner().invoke
    assert run(app, ["verify", str(out)]).exit_code == 0
    cut(out / SHARD)
    said = run(app, ["verify", str(out)])
    assert said.exit_code == 1
    assert SHARD in said.output
    assert run(app, ["verify", str(out), "--repair"]).exit_code == 0
    assert run(app, ["verify", str(out)]).exit_code == 0


def test_the_tally_is_there_for_programs(out):
    said = json.loads(CliRunner().invoke(app, ["tally", str(out), "--json"]).output)
    tally = tally_of(out)
    assert said["total"] == tally.total == sum(said["categories"].values()) == sum(said["formats"].values())
    assert sum(movie["samples"] for movie in said["movies"].values()) == tally.total
    assert said["rejects"] == tally.reasons()
    assert set(said["movies"]) == {"first", "second", "third"}
