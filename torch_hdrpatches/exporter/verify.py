"""Whether an exported folder is what it says it is: every file, every record, every count."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from ..errors import RecipeError, ShardError
from ..recipe.recipe import Recipe
from ..shards.manifest import CLAIM, FORMAT_VERSION, SIDECARS, summary_of, wids_of
from ..shards.record import records, sample_of
from ..storage.folder import Folder, Location
from .processes import Executor, serial


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong with a file of an exported folder."""

    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


@dataclass(frozen=True, slots=True)
class Looked:
    """A shard that was read from its first byte to its last."""

    name: str
    """Without its suffix."""
    sidecar: dict[str, Any] | None
    """None where it is missing or makes no sense."""
    keys: tuple[str, ...]
    problems: tuple[Problem, ...]


def verify(location: Location, *, executor: Executor[str, Looked] = serial) -> list[Problem]:
    """Read all of an exported folder; gives what is wrong, by file, and nothing if all is well.

    Every shard has its sidecar's size, sums, records and counts; every member decodes; no key comes twice; manifest and
    indexes say what the sidecars say; no other file is there.

    Args:
        location: a path or URL.
        executor: from ``executors``; decoding all pictures takes time.

    Raises:
        ShardError: if there is nothing at all.
    """
    folder = Folder.of(location)
    files = folder.all_files()
    if not files:
        raise ShardError(f"{folder}: there is nothing here")
    manifest, problems = _manifest(folder)
    listed = {shard["name"].removesuffix(".tar") for shard in manifest.get("shards", ())}
    names = sorted({name.removesuffix(".json") for name in folder.names(SIDECARS)} | listed)
    looked = sorted((found for _, found in executor(partial(look_at, folder), names)), key=lambda one: one.name)
    sidecars = {one.name: one.sidecar for one in looked if one.sidecar is not None}
    problems += [problem for one in looked for problem in one.problems]
    problems += _repeated(looked)
    if manifest:
        problems += _disagreements(folder, manifest, sidecars)
    problems += _foreign(folder, files, sidecars, is_finished=bool(manifest) and CLAIM not in files)
    return sorted(problems)


def look_at(folder: Folder, name: str) -> Looked:
    """Read a shard, given by its name without suffix, and its sidecar."""
    try:
        sidecar = folder.read_json(f"{name}.json")
        category, _, number = name.rpartition("/")[2].rpartition("-")
        if (sidecar["category"], sidecar["index"]) != (category, int(number)):
            raise ValueError(f"it is that of {sidecar['category']}, {sidecar['index']}")
        if not sidecar["samples"]:
            return Looked(name, sidecar, (), ())
    except FileNotFoundError:
        return Looked(name, None, (), (Problem(f"{name}.json", "is missing"),))
    except (ValueError, KeyError, TypeError) as error:
        return Looked(name, None, (), (Problem(f"{name}.json", f"is no sidecar of this shard ({error!r})"),))
    shard = f"{name}.tar"
    try:
        with folder.open(shard) as file:
            found, wrong = _contents(file, folder.location(shard), category)
    except FileNotFoundError:
        return Looked(name, sidecar, (), (Problem(shard, "is missing"),))
    if not wrong:
        compared = {field: value for field, value in found.items() if field in sidecar or field != "records"}
        wrong = [
            f"{field}: its sidecar says {_short(sidecar.get(field))}, it is {_short(value)}"
            for field, value in compared.items()
            if sidecar.get(field) != value
        ]
    keys = tuple(line.partition(" ")[0] for line in found["records"])
    return Looked(name, sidecar, keys, tuple(Problem(shard, text) for text in wrong))


class _Summing(io.RawIOBase):
    """Passes reads on and sums them up, so that a shard is read once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sums = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        self.size = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.size += len(data)
        for digest in self.sums:
            digest.update(data)
        return data


def _contents(file: IO[bytes], place: str, category: str) -> tuple[dict[str, Any], list[str]]:
    """What a tar holds, as a sidecar would say it, and what is wrong with its records."""
    summing, wrong = _Summing(file), list[str]()
    lines, counts = list[str](), Counter[tuple[str, str]]()
    try:
        for key, members in records(summing, place):  # type: ignore[arg-type] # tarfile reads, and nothing else
            lines.append(" ".join([key, *(str(len(data)) for data in members.values())]))
            try:
                sample = sample_of(key, members)
            except ShardError as error:
                wrong.append(f"record {key}: {error}")
                continue
            if (sample["key"], sample["category"]) != (key, category):
                wrong.append(f"record {key} says that it is {sample['key']} of {sample['category']}")
            counts[sample["format"], sample["movie"]] += 1
    except ShardError as error:
        wrong.append(str(error).removeprefix(f"{place}: "))
    while summing.read(1 << 20):
        pass
    sha256, md5 = (digest.hexdigest() for digest in summing.sums)
    found = {
        "samples": len(lines),
        "bytes": summing.size,
        "sha256": sha256,
        "md5": md5,
        "counts": [[*names, count] for names, count in sorted(counts.items())],
        "records": lines,
    }
    return found, wrong


def _manifest(folder: Folder) -> tuple[dict[str, Any], list[Problem]]:
    try:
        manifest = folder.read_json("manifest.json")
        if manifest["schema"] > FORMAT_VERSION:
            return {}, [Problem("manifest.json", f"is of format {manifest['schema']}; this package knows it not yet")]
        Recipe.from_dict(manifest["recipe"])
    except FileNotFoundError:
        return {}, [Problem("manifest.json", "is missing: the export is not finished; the same command goes on")]
    except (ValueError, KeyError, TypeError, RecipeError) as error:
        return {}, [Problem("manifest.json", f"cannot be read ({error!r})")]
    return manifest, []


def _repeated(looked: Iterable[Looked]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for one in looked:
        for key in one.keys:
            if first.setdefault(key, one.name) != one.name or one.keys.count(key) > 1:
                yield Problem(f"{one.name}.tar", f"key {key} comes again, it is in {first[key]}.tar")


def _disagreements(
    folder: Folder, manifest: Mapping[str, Any], sidecars: Mapping[str, Mapping[str, Any]]
) -> Iterator[Problem]:
    recipe = Recipe.from_dict(manifest["recipe"])
    for name, sidecar in sidecars.items():
        if sidecar.get("recipe_hash") != manifest["recipe_hash"]:
            yield Problem(f"{name}.json", f"is of recipe {sidecar.get('recipe_hash')}, not {manifest['recipe_hash']}")
    if recipe.hash != manifest["recipe_hash"]:
        yield Problem("manifest.json", f"its recipe has the hash {recipe.hash}, it says {manifest['recipe_hash']}")
    try:
        summary = summary_of(recipe, sidecars)
    except (ValueError, KeyError, TypeError) as error:
        yield Problem("manifest.json", f"cannot be compared, a sidecar lacks something ({error!r})")
        return
    for field, value in summary.items():
        if manifest.get(field) != value:
            yield Problem("manifest.json", f"{field} is not what the sidecars say")
    for category, target in summary["targets"].items():
        if target and summary["samples"]["category"].get(category, 0) != target:
            yield Problem("manifest.json", f"{category} has not its target of {target}")
    for category in summary["samples"]["category"]:
        try:
            if folder.read_json(f"{category}/wids.json") != wids_of(category, sidecars):
                yield Problem(f"{category}/wids.json", "is not what the sidecars say")
        except (FileNotFoundError, ValueError) as error:
            yield Problem(f"{category}/wids.json", f"is missing or cannot be read ({error!r})")
    if not folder.exists("README.md"):
        yield Problem("README.md", "is missing")


def _foreign(
    folder: Folder, files: Iterable[str], sidecars: Mapping[str, Mapping[str, Any]], *, is_finished: bool
) -> Iterator[Problem]:
    ours = {"manifest.json", "README.md", *folder.names(SIDECARS), *folder.names("[!.]*/wids.json")}
    ours |= {f"{name}.tar" for name, sidecar in sidecars.items() if sidecar["samples"]}
    for name in files:
        at_work = name.startswith(".") or "/." in name or (name.endswith(".tar") and name.count("/") == 1)
        if name not in ours and (is_finished or not at_work):
            yield Problem(name, "does not belong here")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
