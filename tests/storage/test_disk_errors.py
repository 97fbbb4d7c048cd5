"""A full or read-only disk is an error of one line; finished files stay, and the rerun gives the same export."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.exports import check_finished_files, differing, tree
from torch_hdrpatches import export
from torch_hdrpatches.errors import ExportError


class Disk:
    """Counts writing requests to the file system, and refuses all of them from a given one on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.folder = str(folder)
        self.requests: list[str] = []
        self.refuse_from: int | None = None
        self.number = errno.ENOSPC
        self._real = {name: getattr(Path, name) for name in ("open", "mkdir", "replace")}
        for name in self._real:
            monkeypatch.setattr(Path, name, self._counted(name))

    def request(self, what: str) -> None:
        self.requests.append(what)
        if self.refuse_from is not None and len(self.requests) > self.refuse_from:
            raise OSError(self.number, os.strerror(self.number))

    def _counted(self, name: str) -> Any:
        real = self._real[name]

        def method(path: Path, *arguments: Any, **options: Any) -> Any:
            is_write = name != "open" or (arguments and set(arguments[0]) & set("wax"))
            if not is_write or not str(path).startswith(self.folder):
                return real(path, *arguments, **options)
            self.request(f"{name} {path.name}")
            made = real(path, *arguments, **options)
            return _File(self, made, path.name) if name == "open" and "b" in arguments[0] else made

        return method


class _File:
    """A file that counts every write and fsync as a request."""

    def __init__(self, disk: Disk, file: Any, name: str) -> None:
        self._disk, self._file, self._name = disk, file, name

    def write(self, data: Any) -> int:
        self._disk.request(f"write {self._name}")
        return int(self._file.write(data))

    def fileno(self) -> int:
        self._disk.request(f"fsync {self._name}")
        return int(self._file.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Disk:
    return Disk(monkeypatch, tmp_path / "out")


@pytest.mark.parametrize("third", range(3))
def test_a_disk_that_is_full_at_any_write_raises_one_error_and_loses_nothing(three, tmp_path, disk, third):
    three["sampling"]["timestamps_per_movie"] = 8
    three["categories"]["two"]["target"] = 7
    three["categories"]["three"]["target"] = 4
    export(three, tmp_path / "out")
    whole = tree(tmp_path / "out")
    requests = tuple(disk.requests)
    for at in range(third, len(requests), 3):
        out = tmp_path / "out" / str(at)
        disk.requests.clear()
        disk.refuse_from = at
        with pytest.raises(ExportError, match=r"No space left on device; free some space there, then run the same"):
            export(three, out)
        check_finished_files(out)
        disk.refuse_from = None
        export(three, out)
        assert differing(tree(out), whole) == [], requests[at]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "Read-only file system; choose another folder"),
        (errno.EACCES, "Permission denied; allow this user"),
        (errno.EIO, "Input/output error; the disk or the network fails"),
    ],
)
@pytest.mark.parametrize("at", [0, 60])
def test_other_disk_errors_say_what_would_help(three, tmp_path, three_whole, disk, number, words, at):
    disk.refuse_from, disk.number = at, number
    with pytest.raises(ExportError, match=words):
        export(three, tmp_path / "out")
    disk.refuse_from = None
    export(three, tmp_path / "out")
    assert differing(tree(tmp_path / "out"), three_whole) == []


def test_a_file_where_the_folder_should_be_is_an_error(three, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ExportError, match="a file has the name that a folder needs"):
        export(three, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


def hdrpatches(three: dict[str, Any], folder: Path, workers: int, prefix: str) -> subprocess.CompletedProcess[str]:
    """Export into ``folder / "out"`` from a shell command, in which ``{export}`` is the export."""
    (folder / "recipe.json").write_text(json.dumps(three))
    command = f"{sys.executable} -m torch_hdrpatches.cli export recipe.json out --workers {workers}"
    return subprocess.run(
        ["sh", "-c", prefix.format(export=command)], cwd=folder, capture_output=True, text=True, timeout=240
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_a_limit_on_the_size_of_files_is_one_line_and_exit_code_1(three, tmp_path, three_whole, workers):
    ended = hdrpatches(three, tmp_path, workers, "ulimit -f 20; exec {export}")
    assert ended.returncode == 1, ended.stderr
    assert [line for line in ended.stderr.splitlines() if "left" not in line] == [
        "out: File too large; allow larger files (ulimit -f), or lower shards.runs, then run the same command again"
    ]
    export(three, tmp_path / "out")
    assert differing(tree(tmp_path / "out"), three_whole) == []


def test_an_export_resumes_on_a_full_disk_that_was_enlarged(three, tmp_path, three_whole):
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("this user may not mount anything")
    (tmp_path / "out").mkdir()
    mounts = (
        "mount -t tmpfs -o size=300k none out && {export}; echo exit $?;"
        "mount -o remount,size=50m out && {export} && cp -r out copy"
    )
    ended = hdrpatches(three, tmp_path, 2, f"exec unshare -rm sh -c '{mounts}'")
    assert ended.returncode == 0, ended.stderr
    assert "exit 1" in ended.stdout
    assert "out: No space left on device; free some space there, then run the same command again" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert differing(tree(tmp_path / "copy"), three_whole) == []
