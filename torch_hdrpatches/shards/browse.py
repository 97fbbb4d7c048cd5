"""Looking into an exported folder without reading all of it: chosen samples, and what records say of themselves."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ShardError
from ..sampling.sample import Sample
from ..storage.folder import Folder, Location
from ..storage.remote import is_url
from .index import Record, index_of
from .manifest import sidecars
from .record import sample_of

T = TypeVar("T")


def spread(things: Sequence[T], count: int) -> list[T]:
    """At most ``count`` of these, at even distances."""
    if len(things) <= count:
        return list(things)
    return [things[(2 * number + 1) * len(things) // (2 * count)] for number in range(count)]


def is_export(source: str | Path) -> bool:
    """Whether this names an exported folder, not a recipe: recipes are local files."""
    return is_url(str(source)) or Path(source).is_dir()


def exported_samples(location: Location, count: int) -> list[Sample]:
    """About ``count`` samples, the same share of every category, spread over its shards."""
    by_category: dict[str, list[tuple[str, int]]] = {}
    for name, sidecar in sidecars(location).items():
        by_category.setdefault(sidecar["category"], []).extend((name, index) for index in range(sidecar["samples"]))
    wanted: dict[str, list[int]] = {}
    for places in by_category.values():
        for name, index in spread(places, -(-count // len(by_category))):
            wanted.setdefault(name, []).append(index)
    return list(islice(_samples_at(Folder.of(location), wanted), count))


def exported_metadata(location: Location, count: int) -> list[dict[str, Any]]:
    """What about ``count`` records say in their JSON, of shards spread over all; no picture is read."""
    folder, found = Folder.of(location), dict[str, list[str]]()
    for name, sidecar in sidecars(folder).items():
        if sidecar["samples"]:
            found.setdefault(sidecar["category"], []).append(name)
    shards = [name for names in found.values() for name in spread(names, max(1, count // 100))]
    most = max(1, -(-count // max(1, len(shards))))
    return [fields for name in shards for fields in _metadata(folder, name, most)]


def find_samples(location: Location, keys: Collection[str]) -> dict[str, Sample]:
    """The samples with these keys.

    Raises:
        ShardError: if there is one that no shard has.
    """
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
    return index_of(folder.place(f"{name}.tar"))


def _samples_at(folder: Folder, wanted: Mapping[str, Collection[int]]) -> Iterator[Sample]:
    for name, numbers in wanted.items():
        with folder.open(f"{name}.tar") as file:
            for record in (_index(folder, name)[number] for number in numbers):
                yield sample_of(record.key, record.read(file))


def _metadata(folder: Folder, name: str, count: int) -> Iterator[dict[str, Any]]:
    with folder.open(f"{name}.tar") as file:
        for record in spread(_index(folder, name), count):
            yield json.loads(record.read(file, "json")["json"])
