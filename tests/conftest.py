"""Small generated movies, shared by all tests, and the folder of real clips."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.exports import three_movies, tree
from tests.helpers.torchvision_stub import write_stub
from torch_hdrpatches import export
from torch_hdrpatches.testing import MovieSpec, write_movie


@pytest.fixture(scope="session")
def movies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two movies of three seconds: ``pq.mkv`` with two cuts and black bars, ``hlg.mp4`` without."""
    folder = tmp_path_factory.mktemp("movies")
    write_movie(folder / "pq.mkv", MovieSpec(frames=72, cuts=(25, 50), bars=(30, 30, 0, 0)))
    write_movie(folder / "hlg.mp4", MovieSpec(frames=72, transfer="hlg", seed=3))
    return folder


@pytest.fixture
def recipe(movies: Path) -> dict[str, Any]:
    """Three categories, two formats, two movies of nine and eight slots."""
    return {
        "sampling": {"timestamps_per_movie": 9, "retry_skip": 0.3},
        "shards": {"runs": 1},
        "formats": {"square": {"gt": [180, 180]}, "wide": {"gt": [162, 240]}},
        "categories": {
            "master": {"formats": {"square": 0.5, "wide": 0.5}},
            "space": {"formats": {"square": 1.0}},
            "toon": {"formats": {"wide": 1.0}},
        },
        "movies": [
            {"path": str(movies / "pq.mkv"), "categories": {"master": 1.0, "space": 0.6}},
            {"path": str(movies / "hlg.mp4"), "categories": ["master", "toon"], "timestamps": 8},
        ],
    }


@pytest.fixture(scope="session")
def small_movies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two movies of 96x128 and less than three seconds, ``1.mkv`` and ``2.mkv``, with a cut each."""
    folder = tmp_path_factory.mktemp("small")
    for seed in (1, 2):
        write_movie(folder / f"{seed}.mkv", MovieSpec(height=96, width=128, frames=64, cuts=(30,), seed=seed))
    return folder


@pytest.fixture
def small(small_movies: Path) -> dict[str, Any]:
    """Forty slots of small movies, two categories, three formats; an epoch takes a tenth of a second."""
    return {
        "sampling": {"timestamps_per_movie": 20, "retry_skip": 0.3, "jitter": 1.0},
        "shards": {"runs": 2},
        "formats": {"a": {"gt": [48, 48]}, "b": {"gt": [36, 60]}, "c": {"gt": [60, 36]}},
        "categories": {"one": {"formats": {"a": 0.6, "b": 0.4}}, "two": {"formats": {"a": 0.5, "c": 0.5}}},
        "movies": [
            {"path": str(small_movies / "1.mkv"), "name": "first", "categories": {"one": 1.0, "two": 0.5}},
            {"path": str(small_movies / "2.mkv"), "name": "second", "categories": ["one", "two"]},
        ],
    }


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``hdrpatches demo demo``, in the folder that is given; painted once for all processes of a test run."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if os.environ.get("PYTEST_XDIST_WORKER") else folder) / "demo-of-all"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "demo" / "contact-sheet.png").exists():
            command = [sys.executable, "-m", "torch_hdrpatches.cli", "demo", "demo"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=240)
    return folder


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real clips, where there is one."""
    folder = os.environ.get("HDRPATCHES_CLIPS")
    if not folder:
        pytest.skip("HDRPATCHES_CLIPS does not name the folder of clips")
    return Path(folder)


@pytest.fixture(scope="session")
def three_written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The recipe of ``exports.three_movies``, its movies written; ``three`` gives a copy."""
    return three_movies(tmp_path_factory.mktemp("three"))


@pytest.fixture
def three(three_written: dict[str, Any]) -> dict[str, Any]:
    """Three small movies, three categories of which two have targets that need several epochs."""
    return deepcopy(three_written)


@pytest.fixture(scope="session")
def three_whole(three_written: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed serial export of ``three`` leaves."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    export(three_written, folder)
    return tree(folder)


@pytest.fixture(scope="module")
def basicsr_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A folder in Python's path that makes BasicSR importable, also where torchvision is missing."""
    if not importlib.util.find_spec("basicsr"):
        pytest.skip("needs BasicSR")
    folder = tmp_path_factory.mktemp("stub")
    if not importlib.util.find_spec("torchvision"):
        write_stub(folder)
    sys.path.insert(0, str(folder))
    importlib.import_module("torch_hdrpatches.loading.basicsr")  # BasicSR cannot be imported before it
    yield str(folder)
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] in ("torchvision", "basicsr")]:
        del sys.modules[name]  # other libraries take the stub for the real one
    sys.modules.pop("torch_hdrpatches.loading.basicsr", None)
