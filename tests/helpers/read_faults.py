"""Lets reading a movie fail with every error number at every call by turns; samples stay the same, or the run stops.

python -m tests.helpers.read_faults /tmp/faults          # all rounds; the last line counts them
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import io
import itertools
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from torch_hdrpatches.errors import StorageError
from torch_hdrpatches.sampling import PatchStream
from torch_hdrpatches.testing import MovieSpec, write_movie
from torch_hdrpatches.video import movie_file

ERRORS = ("EIO", "ESTALE", "EMFILE", "ENFILE", "ENOMEM", "EACCES", "ENOENT", "ETIMEDOUT")
MOMENTARY, LASTING = 2, 10**9
"""How many calls fail: fewer than there are attempts, or all from one on."""


class Calls:
    """Counts the calls of opening and reading a movie, and lets some of them fail."""

    def __init__(self, number: int = 0, first: int = 0, count: int = 0) -> None:
        self.made = 0
        self._number, self._failing = number, range(first, first + count)

    def make(self) -> None:
        """Count a call, or raise its error."""
        self.made += 1
        if self.made - 1 in self._failing:
            raise OSError(self._number, os.strerror(self._number))


class FaultyFile(movie_file._RegularFile):
    """A file whose reads are counted."""

    def __init__(self, path: str, calls: Calls) -> None:
        super().__init__(path)
        self._calls = calls

    def read(self, size: int | None = -1) -> bytes | None:
        self._calls.make()
        return super().read(size)


@contextmanager
def disturbed(calls: Calls) -> Iterator[None]:
    """Movies are opened and read through ``calls``, and attempts follow each other without a pause."""
    original = movie_file._open_regular

    def opened(path: str) -> io.FileIO:
        calls.make()
        original(path).close()
        return FaultyFile(path, calls)

    with patch.object(movie_file, "_open_regular", opened), patch.object(movie_file, "PAUSES", (0.0, 0.0, 0.0)):
        yield


def recipe_for(folder: Path, suffix: str = ".mkv") -> dict[str, object]:
    """A recipe over one tiny movie, which is written into ``folder``."""
    path = folder / f"tiny{suffix}"
    if not path.exists():
        write_movie(path, MovieSpec(height=96, width=128, frames=40, keyint=12))
    return {
        "sampling": {"timestamps_per_movie": 6},
        "formats": {"a": {"gt": [48, 48]}},
        "categories": {"one": {"formats": {"a": 1.0}}},
        "movies": [{"path": str(path), "categories": ["one"]}],
    }


def digest(stream: PatchStream) -> str:
    """A hash of all outcomes of an epoch, failures and refused windows included."""
    found = hashlib.sha256()
    for run in stream.plan:
        for outcome in stream.run(0, run):
            found.update(repr((outcome.slot, outcome.rejects, outcome.refused, outcome.failure)).encode())
            for sample in outcome.samples:
                found.update(sample["lq"].numpy().tobytes() + sample["gt"].numpy().tobytes())
    return found.hexdigest()


def fresh_cache(folder: Path) -> None:
    """Facts are read anew, through an empty cache."""
    os.environ["XDG_CACHE_HOME"] = str(folder / f"cache{next(_CACHES)}")


_CACHES = itertools.count()


def call_count(recipe: dict[str, object], folder: Path) -> int:
    """How many calls an undisturbed epoch makes after the stream was made."""
    stream, calls = PatchStream(recipe), Calls()
    fresh_cache(folder)
    with disturbed(calls):
        digest(stream)
    return calls.made


def round_of(recipe: dict[str, object], folder: Path, wanted: str, name: str, first: int, count: int) -> str:
    """How a disturbed epoch ends: ``same`` or ``stopped``. Raises AssertionError if it ends in any other way.

    Also if the epoch after it, which is not disturbed and finds the same cache, differs.
    """
    stream = PatchStream(recipe)
    fresh_cache(folder)
    try:
        with disturbed(Calls(getattr(errno, name), first, count)):
            end = "same" if digest(stream) == wanted else "different"
    except StorageError as error:
        if "tiny" not in str(error):
            raise AssertionError(f"{error} does not name the movie") from error
        end = "stopped"
    assert end == ("same" if count == MOMENTARY else "stopped"), (name, first, count, end)
    assert digest(PatchStream(recipe)) == wanted, (name, first, count)
    return end


def main() -> None:
    """All rounds for MKV and MP4."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger("torch_hdrpatches").setLevel(logging.ERROR)
    rounds = 0
    for suffix in (".mkv", ".mp4"):
        recipe = recipe_for(folder, suffix)
        calls, wanted = call_count(recipe, folder), digest(PatchStream(recipe))
        for name, first, count in itertools.product(ERRORS, range(calls), (MOMENTARY, LASTING)):
            round_of(recipe, folder, wanted, name, first, count)
            rounds += 1
        print(f"{suffix}: {calls} calls, {rounds} rounds so far", flush=True)
    print(f"{rounds} rounds: samples were the same, or the run stopped with a StorageError")


if __name__ == "__main__":
    main()
