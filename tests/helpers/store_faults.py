"""Exports into an object store that fails at every call by turns, and sees that nothing is lost or mistaken.

    python -m tests.helpers.store_faults

A round lets one call of an export fail, or as many in a row as exhaust its attempts. The export ends well, or with an
error of ours. After that the same export is made again without faults. Each time an export ends well, the folder must
have the bytes of an undisturbed one. The rounds start with an empty folder, with one in which a killed export left jobs
that are done and not committed, and with a finished one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import fsspec
from fsspec.exceptions import FSTimeoutError
from fsspec.spec import AbstractFileSystem

from torch_hdrpatches import export
from torch_hdrpatches.errors import HDRPatchesError
from torch_hdrpatches.storage import remote
from torch_hdrpatches.testing import MovieSpec, write_movie

Answer = TypeVar("Answer")

URL = "faulty://bucket/out"
FAULTS = ("503", "403", "time-out", "lost answer", "short body", "stale listing", "another export")
"""A lost answer is one to a request that was carried out; another export is made from its begin to its end."""
SPOILT = {"ls": "stale listing", "cat_file": "short body"}
"""Kind of call -> the fault that only this kind has: a wrong answer in place of an error."""
ONCE, OUTAGE = 1, len(remote.PAUSES) + 1
"""Calls that fail in a row: the next attempt succeeds, or all attempts of a request fail."""


@dataclass
class Weather:
    """Which calls of a store fail, and how; counts them."""

    fault: str = ""
    first: int = sys.maxsize
    """The first call that fails, counted from 0."""
    length: int = ONCE
    calls: list[str] = field(default_factory=list)
    """The kinds of the calls so far."""
    met: int = 0
    """Calls that were answered wrongly."""
    lock: Any = field(default_factory=threading.Lock)

    def strikes(self, kind: str) -> bool:
        """Count a call; whether it fails."""
        with self.lock:
            self.calls.append(kind)
            return self.first < len(self.calls) <= self.first + self.length


class FaultyStore(AbstractFileSystem):  # type: ignore[misc] # fsspec has no types
    """An object store in memory, whose calls fail as its weather says."""

    protocol = "faulty"
    objects: ClassVar[dict[str, bytes]] = {}
    weather: ClassVar[Weather] = Weather()
    recipe: ClassVar[dict[str, Any]] = {}
    """Of the other export, where there is one."""

    def _call(self, kind: str, do: Callable[[], Answer], spoilt: Callable[[], Answer] | None = None) -> Answer:
        weather = type(self).weather
        if not weather.strikes(kind):
            return do()
        if spoilt and weather.fault == SPOILT[kind]:
            weather.met += 1
            return spoilt()
        errors: dict[str, Exception] = {
            "503": OSError("503 SlowDown"),
            "403": PermissionError("403 Forbidden"),
            "time-out": FSTimeoutError(),
            "lost answer": OSError("connection reset by peer"),
        }
        if weather.fault == "lost answer":
            with suppress(FileNotFoundError):
                do()
        if weather.fault == "another export":
            weather.met += 1
            FaultyStore.weather = Weather()
            export(FaultyStore.recipe, URL)
            FaultyStore.weather = weather
        if weather.fault in errors:
            weather.met += 1
            raise errors[weather.fault]
        return do()

    def _content(self, path: str) -> bytes:
        try:
            return self.objects[self._strip_protocol(path)]
        except KeyError:
            raise FileNotFoundError(path) from None

    def _entries(self, path: str, objects: Iterable[str]) -> list[dict[str, Any]]:
        prefix = f"{self._strip_protocol(path)}/"
        below = [name for name in objects if name.startswith(prefix)]
        files = [name for name in below if "/" not in name.removeprefix(prefix)]
        folders = {prefix + name.removeprefix(prefix).partition("/")[0] for name in below if name not in files}
        return [
            *({"name": name, "size": 0, "type": "directory"} for name in sorted(folders)),
            *({"name": name, "size": len(self.objects[name]), "type": "file"} for name in files),
        ]

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        def listing(names: list[str]) -> list[Any]:
            if not (found := self._entries(path, names)):
                raise FileNotFoundError(path)
            return found if detail else [entry["name"] for entry in found]

        # The newest objects are at the end of the dict.
        return self._call("ls", lambda: listing(list(self.objects)), lambda: listing(list(self.objects)[:-3]))

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        def found() -> dict[str, Any]:
            name = self._strip_protocol(path)
            if name not in self.objects and self._entries(name, self.objects):
                return {"name": name, "size": 0, "type": "directory"}
            return {"name": name, "size": len(self._content(name)), "type": "file"}

        return self._call("info", found)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        def content() -> bytes:
            return self._content(path)[start:end]

        return self._call("cat_file", content, lambda: content()[: len(content()) // 2])

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        self._call("put_file", lambda: self._put(rpath, Path(lpath).read_bytes()))

    def cp_file(self, path1: str, path2: str, **options: Any) -> None:
        self._call("cp_file", lambda: self._put(path2, self._content(path1)))

    def rm_file(self, path: str) -> None:
        def remove() -> None:
            self._content(path)
            del self.objects[self._strip_protocol(path)]

        self._call("rm_file", remove)

    def _put(self, path: str, content: bytes) -> None:
        name = self._strip_protocol(path)
        self.objects.pop(name, None)  # so that it becomes the newest
        self.objects[name] = content


fsspec.register_implementation("faulty", FaultyStore, clobber=True)


def tiny_recipe(folder: Path) -> dict[str, Any]:
    """Two movies of a few slots, two categories; one has a target that cuts a shard."""
    for seed in (1, 2):
        write_movie(folder / f"{seed}.mkv", MovieSpec(height=96, width=128, frames=24, seed=seed))
    return {
        "sampling": {"timestamps_per_movie": 3, "max_attempts": 1},
        "shards": {"runs": 1},
        "formats": {"a": {"gt": [48, 48]}},
        "categories": {"one": {"formats": {"a": 1.0}}, "two": {"target": 4, "formats": {"a": 1.0}}},
        "movies": [{"path": str(folder / f"{n}.mkv"), "categories": ["one", "two"]} for n in (1, 2)],
    }


def contents() -> dict[str, bytes]:
    """Every object; the manifest without its time."""
    found = dict(FaultyStore.objects)
    manifest = json.loads(found[(name := "bucket/out/manifest.json")])
    assert manifest.pop("created")
    return found | {name: json.dumps(manifest).encode()}


@dataclass(frozen=True)
class Start:
    """What the folder holds when a round begins, and the calls that an undisturbed export makes from there."""

    name: str
    objects: dict[str, bytes]
    calls: list[str]


def starts(recipe: dict[str, Any]) -> Iterator[Start]:
    """An empty folder, one of a killed export with finished jobs that wait for an earlier one, and a finished one."""
    snapshots: list[dict[str, bytes]] = []

    def backwards(work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        first, *others = itertools.islice(items, 3)
        for item in (*others, first):
            snapshots.append(dict(FaultyStore.objects))
            yield item, work(item)

    FaultyStore.objects.clear()
    export(recipe, URL, executor=backwards)  # type: ignore[arg-type]
    for name, objects in (("empty", {}), ("resumed", snapshots[-1]), ("finished", dict(FaultyStore.objects))):
        FaultyStore.objects.clear()
        FaultyStore.objects.update(objects)
        FaultyStore.weather = Weather()
        export(recipe, URL)
        yield Start(name, objects, FaultyStore.weather.calls)


def ends(recipe: dict[str, Any], wanted: dict[str, bytes]) -> str:
    """How an export ends: ``done``, or ``stopped`` with an error of ours; ``wrong: ...`` if it should not end so."""
    try:
        export(recipe, URL)
    except HDRPatchesError as error:
        return "stopped" if str(error) else "wrong: an error without words"
    except Exception as error:  # noqa: BLE001 - it is counted, and shown
        return f"wrong: {error!r}"
    found = contents()
    differing = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    return f"wrong: done, but {differing} differ" if differing else "done"


@dataclass(frozen=True)
class Round:
    """One or more calls in a row that fail."""

    start: Start
    fault: str
    first: int
    length: int

    def __str__(self) -> str:
        return f"{self.start.name}: {self.fault}, calls {self.first} to {self.first + self.length - 1}"

    def run(self, recipe: dict[str, Any], wanted: dict[str, bytes]) -> list[str]:
        """How the export ended, and how the same export ended again; nothing if the fault was not met."""
        FaultyStore.objects.clear()
        FaultyStore.objects.update(self.start.objects)
        FaultyStore.recipe = recipe
        FaultyStore.weather = weather = Weather(self.fault, self.first, self.length)
        found = [ends(recipe, wanted)]
        FaultyStore.weather = Weather()
        again = ends(recipe, wanted)
        found.append(again if again == "done" else f"again, {again}".replace("again, wrong", "wrong: again"))
        return found if weather.met else []


def rounds(recipe: dict[str, Any]) -> list[Round]:
    """All rounds: every fault at every call, once and as often in a row as all attempts."""
    return [
        Round(start, fault, first, length)
        for start in starts(recipe)
        for fault, length in itertools.product(FAULTS, (ONCE, OUTAGE))
        if (fault, length) != ("another export", OUTAGE)
        for first, kind in enumerate(start.calls)
        if fault not in SPOILT.values() or fault == SPOILT.get(kind)
    ]


def undisturbed(recipe: dict[str, Any]) -> dict[str, bytes]:
    """What an export leaves when nothing fails."""
    FaultyStore.objects.clear()
    FaultyStore.weather = Weather()
    export(recipe, URL)
    return contents()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--every", type=int, default=1, help="run every n-th round only")
    parser.add_argument("--fault", choices=FAULTS, help="run the rounds of this fault only")
    args = parser.parse_args()
    remote.PAUSES = (0.0,) * len(remote.PAUSES)
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        recipe = tiny_recipe(Path(folder))
        wanted, counts, wrong, began = undisturbed(recipe), Counter[str](), 0, time.monotonic()
        chosen = [one for one in rounds(recipe) if args.fault in (None, one.fault)][:: args.every]
        for number, one in enumerate(chosen):
            if found := one.run(recipe, wanted):
                counts[f"{one.start.name}, {one.fault}: {found[0].partition(':')[0]}"] += 1
                if found[1] != "done" or found[0].startswith("wrong"):
                    wrong += 1
                    print(f"{one}: {found}", flush=True)
            if number % 500 == 499:
                print(f"{number + 1} rounds in {time.monotonic() - began:.0f} s, {wrong} wrong", flush=True)
    for what, count in sorted(counts.items()):
        print(f"{count:6} {what}")
    print(f"{counts.total()} rounds met their fault, {wrong} went wrong")
    sys.exit(bool(wrong or not counts))


if __name__ == "__main__":
    main()
