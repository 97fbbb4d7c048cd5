"""Shards, metadata and chosen samples of an exported folder, found without reading all of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ShardError
from ..sampling.sample import Sample
from ..storage.folder import Folder, Location, matching_files
from ..storage.paths import plain_path, unset_variables
from ..storage.remote import is_url
from .index import Record, fields_of, index_of
from .manifest import WORK, sidecars
from .record import sample_of

T = TypeVar("T")


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most ``count`` of these, evenly spaced."""
    if len(items) <= count:
        return list(items)
    return [items[(2 * number + 1) * len(items) // (2 * count)] for number in range(count)]


def is_export(source: str | Path) -> bool:
    """Whether this is the path or URL of an exported folder and not of a recipe, which is always a local file."""
    return is_url(str(source)) or Path(plain_path(source)).is_dir()


def shards_of(source: str | Path | Iterable[str | Path], category: str | None = None) -> tuple[str, ...]:
    """The tars of an exported folder, a glob, one tar, or a list of these, sorted within each; paths or URLs.

    Those in the work folder of an unfinished export are left out. Raises ShardError if there are none.
    """
    sources = list(map(plain_path, [source] if isinstance(source, (str, Path)) else source))
    found = [tar for place in sources for tar in _shards_at(place, category) if Path(tar).parent.name != WORK]
    if category:
        found = [tar for tar in found if Path(tar).name.startswith(f"{category}-")]
    if not found:
        of_category = f" of category {category!r}" if category else ""
        where = ", ".join(place + unset_variables(place) for place in sources)
        raise ShardError(f"no shards in {where}{of_category}")
    return tuple(found)


def _shards_at(place: str, category: str | None) -> list[str]:
    path = Path(place)
    if is_url(place):
        if (matches := matching_files(place)) != [place] or place.endswith(".tar"):
            return matches
    elif path.is_file():
        return [str(path)]
    elif not path.is_dir():
        return sorted(str(tar) for tar in Path(path.anchor or ".").glob(str(path.relative_to(path.anchor))))
    folder = Folder.of(place)
    if folder.local is None and folder.exists("manifest.json"):  # not every store can list its files
        names = [shard["name"] for shard in folder.read_json("manifest.json")["shards"]]
    else:
        names = folder.names(f"{category or '[!.]*'}/*.tar") or folder.names("*.tar")
    return [folder.location(name) for name in names]


def exported_samples(location: Location, count: int) -> list[Sample]:
    """About ``count`` samples, equally many of every category, spread over its shards."""
    by_category: dict[str, list[tuple[str, int]]] = {}
    for name, sidecar in sidecars(location).items():
        by_category.setdefault(sidecar["category"], []).extend((name, index) for index in range(sidecar["samples"]))
    wanted: dict[str, list[int]] = {}
    for places in by_category.values():
        for name, index in spread(places, -(-count // len(by_category))):
            wanted.setdefault(name, []).append(index)
    return list(islice(_samples_at(Folder.of(location), wanted), count))


def exported_metadata(location: Location, count: int) -> list[dict[str, Any]]:
    """The ``.json`` fields of about ``count`` records, spread over the shards; no image is read."""
    folder, by_category = Folder.of(location), dict[str, list[str]]()
    for name, sidecar in sidecars(folder).items():
        if sidecar["samples"]:
            by_category.setdefault(sidecar["category"], []).append(name)
    shards = [name for names in by_category.values() for name in spread(names, max(1, count // 100))]
    per_shard = max(1, -(-count // max(1, len(shards))))
    fields = list[dict[str, Any]]()
    for name in shards:
        with folder.open(f"{name}.tar") as file:
            chosen = spread(_index(folder, name), per_shard)
            fields += (fields_of(folder.location(f"{name}.tar"), record, file) for record in chosen)
    return fields


def find_samples(location: Location, keys: Collection[str]) -> dict[str, Sample]:
    """The samples with these keys, by key. Raises ShardError if a key is in no shard."""
    folder, wanted, found = Folder.of(location), set(keys), dict[str, Sample]()
    for name, sidecar in sidecars(folder).items():
        if sidecar["samples"] and any(f"-{sidecar['category']}-" in key for key in wanted):
            numbers = [number for number, record in enumerate(_index(folder, name)) if record.key in wanted]
            found.update((sample["key"], sample) for sample in _samples_at(folder, {name: numbers}))
    if missing := sorted(wanted - found.keys()):
        raise ShardError(f"{folder} has no sample {', '.join(missing[:5])}")
    return {key: found[key] for key in keys}


def all_keys(location: Location) -> list[str]:
    """The keys of all samples, in the order of the shards."""
    folder = Folder.of(location)
    names = [name for name, sidecar in sidecars(folder).items() if sidecar["samples"]]
    return [record.key for name in names for record in _index(folder, name)]


def _index(folder: Folder, name: str) -> tuple[Record, ...]:
    return index_of(folder.location(f"{name}.tar"))


def _samples_at(folder: Folder, wanted: Mapping[str, Collection[int]]) -> Iterator[Sample]:
    for name, numbers in wanted.items():
        with folder.open(f"{name}.tar") as file:
            for record in (_index(folder, name)[number] for number in numbers):
                yield sample_of(record.key, record.read(file))
