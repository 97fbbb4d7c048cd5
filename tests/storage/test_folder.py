"""A folder behaves the same on a disk and in an object store: files appear complete or not at all."""

from __future__ import annotations

import pickle
import uuid
from pathlib import Path

import pytest

from torch_hdrpatches import export
from torch_hdrpatches.errors import MissingExtraError, StorageError
from torch_hdrpatches.storage import remote
from torch_hdrpatches.storage.folder import Folder, matching_files
from torch_hdrpatches.storage.remote import with_retries


@pytest.fixture(params=["path", "file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """An empty folder of each kind."""
    if request.param == "path":
        return Folder.of(tmp_path / "new")
    return Folder.of(f"file://{tmp_path}/new" if request.param == "file" else f"memory://{uuid.uuid4().hex}/new")


def put(folder: Folder, name: str, content: bytes) -> None:
    with folder.whole_file(name) as file:
        file.write(content)


def get(folder: Folder, name: str) -> bytes:
    with folder.open(name) as file:
        return file.read()


def test_files_are_read_as_they_were_written(folder):
    put(folder, "a/b.tar", b"0123456789")
    folder.write_json("a/b.json", {"y": 1, "x": [2]})
    assert folder.read_json("a/b.json") == {"x": [2], "y": 1}
    assert get(folder, "a/b.json") == b'{\n "x": [\n  2\n ],\n "y": 1\n}\n'
    assert folder.exists("a/b.tar")
    assert folder.size("a/b.tar") == 10
    with folder.open("a/b.tar") as file:
        file.seek(7)
        assert file.read(2) == b"78"


def test_a_file_appears_complete_or_not_at_all(folder):
    put(folder, "a.json", b"old")

    def write_half(name: str) -> None:
        with folder.whole_file(name) as file:
            file.write(b"half")
            assert not folder.exists("b.json")
            raise OSError("the disk is full")

    for name in ("a.json", "b.json"):
        with pytest.raises(OSError, match="full"):
            write_half(name)
    assert get(folder, "a.json") == b"old"
    assert folder.names("*") == ["a.json"], "nothing is left beside it"


def test_files_are_moved_and_removed(folder):
    put(folder, ".work/one", b"1")
    put(folder, "other", b"2")
    folder.move(".work/one", "other")
    assert get(folder, "other") == b"1"
    assert not folder.exists(".work/one")
    put(folder, ".work/deep/two", b"2")
    for _ in range(2):
        folder.remove_tree(".work")
        folder.remove("other")
    assert folder.names("*") == folder.names(".work/deep/*") == []


def test_a_wildcard_does_not_match_a_slash(folder):
    for name in ("master/master-000001.json", "master/master-000000.json", ".work/job-000000.json", "m.json"):
        put(folder, name, b"{}")
    put(folder, "master/wids.json", b"{}")
    assert folder.names("[!.]*/*-[0-9]*.json") == ["master/master-000000.json", "master/master-000001.json"]
    assert folder.names("*.json") == ["m.json"]
    assert folder.names(".work/*") == [".work/job-000000.json"]


def test_a_missing_file_raises_file_not_found(folder):
    assert not folder.exists("a")
    assert folder.names("*/*") == []
    for method in (folder.open, folder.size, folder.read_json):
        with pytest.raises(FileNotFoundError):
            method("a/b")


def test_locations_are_paths_or_urls(tmp_path):
    assert Folder.of(tmp_path).local == Folder.of(f"file://{tmp_path}").local == tmp_path
    assert Folder.of(tmp_path).location("a/b") == str(tmp_path / "a" / "b")
    assert Folder.of("memory://x/").location("a/b") == "memory://x/a/b"
    assert Folder.of("memory://x").local is None
    assert pickle.loads(pickle.dumps(Folder.of(tmp_path))) == Folder.of(tmp_path)
    assert pickle.loads(pickle.dumps(Folder.of("s3://bucket/x"))) == Folder.of("s3://bucket/x/")


def test_an_unknown_or_missing_protocol_is_an_error_that_says_what_would_help(monkeypatch):
    with pytest.raises(StorageError, match="nowhere"):
        Folder.of("nowhere://x")
    with pytest.raises(StorageError, match="as a str"):
        Folder.of(Path("s3://bucket/x"))
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    with pytest.raises(MissingExtraError, match=r"torch_hdrpatches\[gcs\]"):
        Folder.of("gs://bucket/x")


def test_a_failed_request_is_repeated_and_then_an_error(monkeypatch):
    monkeypatch.setattr(remote, "PAUSES", (0.0, 0.0))
    times = []

    def third_time(system: object, path: str) -> str:
        times.append(path)
        if len(times) < 3:
            raise TimeoutError("no answer")
        return path

    assert with_retries("memory://x/y", third_time) == "/x/y"
    assert len(times) == 3

    def never(system: object, path: str) -> str:
        raise RuntimeError("no credentials")

    with pytest.raises(StorageError, match=r"memory://x/y.*no credentials.*run the same command again to resume"):
        with_retries("memory://x/y", never)
    with pytest.raises(StorageError, match="can only be read"), Folder.of("http://localhost/x").whole_file("y"):
        pass


def test_an_export_into_memory_equals_one_on_disk(small, tmp_path):
    place = f"memory://{uuid.uuid4().hex}"
    assert export(small, tmp_path) == export(small, place)
    disk, memory = Folder.of(tmp_path), Folder.of(place)
    for pattern in ("*.md", "*/*", ".work/*"):
        assert disk.names(pattern) == memory.names(pattern)
        for name in disk.names(pattern):
            assert get(disk, name) == get(memory, name), name
    before, after = disk.read_json("manifest.json"), memory.read_json("manifest.json")
    assert before | {"created": ""} == after | {"created": ""}


def test_an_export_into_memory_takes_one_worker(small):
    with pytest.raises(StorageError, match="one worker"):
        export(small, f"memory://{uuid.uuid4().hex}", workers=2)


@pytest.mark.parametrize("root", ["memory://{}", "file://{}/x[1]"])
def test_matching_files_of_a_url(tmp_path, root):
    url = root.format(tmp_path if root.startswith("file") else uuid.uuid4().hex)
    for name in ("a/1.mkv", "a/2.mkv", "b/3.mkv", "b/3.txt"):
        put(Folder.of(url), name, b"")
    if root.startswith("file"):
        assert matching_files(f"file://{tmp_path}/x*/a/*.mkv") == [f"{tmp_path}/x[1]/a/{n}.mkv" for n in (1, 2)]
    else:
        assert matching_files(f"{url}/*/*.mkv") == [f"{url}/{name}.mkv" for name in ("a/1", "a/2", "b/3")]
        assert matching_files(f"{url}/a/[2-9].mkv") == [f"{url}/a/2.mkv"]
    assert matching_files("http://[::1]:80/a.mkv?x") == ["http://[::1]:80/a.mkv?x"]
