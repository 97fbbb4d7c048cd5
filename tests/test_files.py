"""Files appear complete or not at all, and the package's digest covers all of its source code."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

import torch_hdrpatches
from torch_hdrpatches.files import remove_temporary_files, whole_file

PACKAGE = Path(torch_hdrpatches.__file__).parent


def digest_of(package: Path) -> str:
    """``package_digest()`` of a copy of the package."""
    spec = importlib.util.spec_from_file_location("copied_files", package / "files.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.package_digest()


@pytest.mark.parametrize("module", ["jit.py", "video/movie.py", "color/kernel.py", "probe/__init__.py"])
def test_the_digest_changes_with_every_module_in_every_room(tmp_path, module):
    copy = shutil.copytree(PACKAGE, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    before = digest_of(copy)
    assert before == digest_of(copy)
    with (copy / module).open("a") as file:
        file.write("# changed")
    assert digest_of(copy) != before


def test_a_file_whose_writer_fails_leaves_the_old_one_and_nothing_else(tmp_path):
    path = tmp_path / "new" / "a.json"
    with whole_file(path) as file:
        file.write(b"old")
    with pytest.raises(OSError, match="full"), whole_file(path) as file:  # noqa: PT012
        file.write(b"half")
        raise OSError("the disk is full")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.rglob("*.*")) == [path]


def test_what_killed_writers_left_is_removed_and_other_files_are_not(tmp_path):
    names = ["a.tmp", ".hidden", ".a.x.tmp", "deep/a.tar", ".a.tar.123.tmp", "deep/.a.json.4.tmp"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    remove_temporary_files(tmp_path)
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert left == sorted(names[:4])
