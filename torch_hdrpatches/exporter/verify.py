"""Checks every file, record and count of an exported folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from textwrap import shorten
from typing import IO, Any

from ..errors import ShardError
from ..recipe.recipe import Recipe
from ..shards.manifest import EXPORT_RECORD, SIDECARS, manifest_of, summary_of, wids_of
from ..shards.record import HashingFile, counts_of, listing_of, records, sample_of
from ..storage.folder import Folder, Location
from .processes import Executor, serial


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong with a file of an exported folder."""

    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


@dataclass(frozen=True, slots=True, order=True)
class ShardCheck:
    """The result of reading a whole shard."""

    name: str
    """Without its suffix."""
    sidecar: dict[str, Any] | None
    """None if it is missing or invalid."""
    problems: tuple[Problem, ...] = ()
    keys: tuple[str, ...] = ()


def verify(location: Location, *, executor: Executor[str, ShardCheck] = serial) -> list[Problem]:
    """Read all of an exported folder; returns what is wrong, sorted by file.

    Every shard must have the size, checksums, records and counts of its sidecar, and every image must decode. Keys must
    be unique. Manifest and indexes must match the sidecars. No other files may be there.

    Args:
        location: a path or URL.
        executor: ``processes(n)`` is faster, because all images are decoded.

    Raises:
        ShardError: if the folder is empty or does not exist.
    """
    folder = Folder.of(location)
    files = folder.names()
    if not files:
        raise ShardError(f"{folder}: there is nothing here")
    manifest, problems = dict[str, Any](), list[Problem]()
    try:
        manifest = manifest_of(folder)
    except ShardError as error:
        problems.append(Problem("manifest.json", str(error).removeprefix(f"{folder}: ")))
    files_of_shards = (*folder.names(SIDECARS), *(shard["name"] for shard in manifest.get("shards", ())))
    names = sorted({name.rpartition(".")[0] for name in files_of_shards})
    checks = sorted(check for _, check in executor(partial(check_shard, folder), names))
    sidecars = {check.name: check.sidecar for check in checks if check.sidecar is not None}
    problems += [problem for check in checks for problem in check.problems]
    problems += _repeated_keys(checks)
    if manifest:
        problems += _contradictions(folder, manifest, sidecars)
    problems += _foreign_files(folder, files, sidecars, is_finished=bool(manifest) and EXPORT_RECORD not in files)
    return sorted(problems)


def check_shard(folder: Folder, name: str) -> ShardCheck:
    """Read a shard and its sidecar, given their name without suffix."""
    shard, sidecar_name = f"{name}.tar", f"{name}.json"
    category, _, number = name.rpartition("/")[2].rpartition("-")
    try:
        sidecar = folder.read_json(sidecar_name)
        if (sidecar["category"], sidecar["index"]) != (category, int(number)):
            raise ValueError(f"it belongs to {sidecar['category']}, {sidecar['index']}")
        if not sidecar["samples"]:
            return ShardCheck(name, sidecar)
    except FileNotFoundError:
        return ShardCheck(name, None, (Problem(sidecar_name, "is missing"),))
    except (ValueError, KeyError, TypeError) as error:
        return ShardCheck(name, None, (Problem(sidecar_name, f"is not the sidecar of this shard ({error!r})"),))
    try:
        with folder.open(shard) as file:
            found, wrong = _contents(file, folder.location(shard), category)
    except FileNotFoundError:
        return ShardCheck(name, sidecar, (Problem(shard, "is missing"),))
    wrong = wrong or [
        f"{field}: its sidecar says {shorten(str(sidecar.get(field)), 80)}, it is {shorten(str(value), 80)}"
        for field, value in found.items()
        if sidecar.get(field) != value and (field in sidecar or field != "records")
    ]
    keys = tuple(line.partition(" ")[0] for line in found["records"])
    return ShardCheck(name, sidecar, tuple(Problem(shard, text) for text in wrong), keys)


def _contents(file: IO[bytes], location: str, category: str) -> tuple[dict[str, Any], list[str]]:
    """The contents of a tar as a sidecar lists them, and what is wrong with its records."""
    hashing, wrong = HashingFile(file), list[str]()
    lines, counts = list[str](), Counter[tuple[str, str]]()
    try:
        for key, members in records(hashing, location):  # type: ignore[arg-type] # tarfile needs no more than ``read``
            lines.append(listing_of(key, members))
            try:
                sample = sample_of(key, members)
            except ShardError as error:
                wrong.append(f"record {key}: {error}")
                continue
            if (sample["key"], sample["category"]) != (key, category):
                wrong.append(f"record {key} contains {sample['key']} of {sample['category']}")
            counts[sample["format"], sample["movie"]] += 1
    except ShardError as error:
        wrong.append(str(error).removeprefix(f"{location}: "))
    while hashing.read(1 << 20):
        pass
    return {**hashing.sums(), "samples": len(lines), "counts": counts_of(counts), "records": lines}, wrong


def _repeated_keys(checks: Iterable[ShardCheck]) -> Iterator[Problem]:
    shards: dict[str, str] = {}
    for check in checks:
        for key in check.keys:
            if key in shards:
                yield Problem(f"{check.name}.tar", f"key {key} is repeated; it is in {shards[key]}.tar")
            shards.setdefault(key, check.name)


def _contradictions(
    folder: Folder, manifest: Mapping[str, Any], sidecars: Mapping[str, Mapping[str, Any]]
) -> Iterator[Problem]:
    for name, sidecar in sidecars.items():
        if sidecar.get("recipe_hash") != manifest["recipe_hash"]:
            yield Problem(f"{name}.json", f"is of recipe {sidecar.get('recipe_hash')}, not {manifest['recipe_hash']}")
    try:
        summary = summary_of(Recipe.from_dict(manifest["recipe"]), sidecars)
    except (ValueError, KeyError, TypeError) as error:
        yield Problem("manifest.json", f"cannot be compared, because a sidecar is incomplete ({error!r})")
        return
    for field, value in summary.items():
        if manifest.get(field) != value:
            yield Problem("manifest.json", f"{field} does not follow from its recipe and the sidecars")
    samples = summary["samples"]["category"]
    for category, target in summary["targets"].items():
        if target and samples.get(category, 0) != target:
            yield Problem("manifest.json", f"{category} has {samples.get(category, 0)} samples, expected {target}")
    for category in samples:
        try:
            if folder.read_json(f"{category}/wids.json") != wids_of(category, sidecars):
                yield Problem(f"{category}/wids.json", "differs from the sidecars")
        except (FileNotFoundError, ValueError) as error:
            yield Problem(f"{category}/wids.json", f"is missing or cannot be read ({error!r})")
    if not folder.exists("README.md"):
        yield Problem("README.md", "is missing")


def _foreign_files(
    folder: Folder, files: Iterable[str], sidecars: Mapping[str, Mapping[str, Any]], *, is_finished: bool
) -> Iterator[Problem]:
    ours = {"manifest.json", "README.md", *folder.names(SIDECARS), *folder.names("[!.]*/wids.json")}
    ours |= {f"{name}.tar" for name, sidecar in sidecars.items() if sidecar["samples"]}
    for name in files:
        is_temporary = name.startswith(".") or "/." in name or (name.endswith(".tar") and name.count("/") == 1)
        if name not in ours and (is_finished or not is_temporary):
            yield Problem(name, "does not belong here")
