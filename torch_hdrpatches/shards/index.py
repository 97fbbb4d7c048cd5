"""Records in a tar: walked in order, or found by an index, so that one can be read without those before it.

Written here because neither ``tarfile`` nor ``webdataset`` reads single records of a remote tar without reading it all.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import IO, Any, Literal, TypeVar

from ..errors import ShardError
from ..storage.folder import folder_and_name

T = TypeVar("T")

REMEDY = "`hdrpatches verify --repair` exports it again"
BLOCK = 512
"""Bytes of a member's header, and of the blocks that its contents are padded to."""


@dataclass(frozen=True, slots=True)
class Record:
    """Where the members of one record lie."""

    key: str
    members: tuple[tuple[str, int, int], ...]
    """(suffix, offset, bytes)"""

    def read(self, file: IO[bytes], suffix: str = "") -> dict[str, bytes]:
        """The members by suffix, or only the one with the given suffix. Raises ShardError if the file is too short."""
        found = {}
        for name, offset, size in self.members:
            if suffix in ("", name):
                file.seek(offset)
                found[name] = file.read(size)
                if len(found[name]) != size:
                    raise ShardError(f"record {self.key}: the file ends within its {name}")
        return found


def walk(
    file: IO[bytes], name: str, mode: Literal["r|", "r:"], take: Callable[[tarfile.TarFile, tarfile.TarInfo], T]
) -> Iterator[tuple[str, dict[str, T]]]:
    """The records of a tar in order, as key and suffix -> ``take(tar, member)``. Nothing is unpacked to disk.

    With the mode ``r|`` everything is read once, with ``r:`` contents are skipped by seeking. Raises ShardError, which
    gives the tar's ``name``, if the tar is truncated or damaged, or has members that are no plain files.
    """

    def key_of(member: tarfile.TarInfo) -> str:
        if not member.isreg():
            raise ShardError(f"{name}: {member.name!r} is not a plain file")
        return member.name.partition(".")[0]

    try:
        with tarfile.open(fileobj=file, mode=mode) as tar:
            for key, members in groupby(tar, key_of):
                yield key, {member.name.partition(".")[2]: take(tar, member) for member in members}
    except (tarfile.TarError, EOFError) as error:
        raise ShardError(f"{name}: truncated or damaged tar: {error}; {REMEDY}") from None


def index_of(location: str) -> tuple[Record, ...]:
    """The records of a tar at a path or URL, in order, remembered until the file changes. Raises as ``walk``."""
    folder, name = folder_and_name(location)
    return _index(location, 0 if folder.local is None else (folder.local / name).stat().st_mtime_ns)


def fields_of(location: str, record: Record, file: IO[bytes]) -> dict[str, Any]:
    """The ``.json`` of a record in an open tar; raises ShardError if this package did not write it."""
    members = record.read(file, "json")
    try:
        fields = json.loads(members["json"])
        if {"format", "category", "measures"} <= fields.keys():
            return dict(fields)
    except (KeyError, ValueError, AttributeError):
        pass
    raise ShardError(f"{location}: record {record.key} has no .json member written by this package")


def sidecar_of(location: str) -> dict[str, Any]:
    """The sidecar of a shard at a path or URL; empty if there is none, or one of another program."""
    folder, name = folder_and_name(location)
    sidecar = f"{name.removesuffix('.tar')}.json"
    fields = folder.read_json(sidecar) if folder.exists(sidecar) else {}
    return fields if {"bytes", "samples", "sha256", "counts", "category"} <= fields.keys() else {}


@lru_cache(maxsize=1024)
def _index(location: str, modified: int) -> tuple[Record, ...]:
    folder, name = folder_and_name(location)
    size, sidecar = folder.size(name), sidecar_of(location)
    if sidecar.get("bytes") == size and "records" in sidecar:
        return tuple(_listed(sidecar))

    def place(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[int, int]:
        if member.offset_data + member.size > size:
            raise ShardError(f"{location}: ends within {member.name!r}; {REMEDY}")
        return member.offset_data, member.size

    with folder.open(name, read_ahead=1 << 16) as file:
        return tuple(
            Record(key, tuple((suffix, *where) for suffix, where in members.items()))
            for key, members in walk(file, location, "r:", place)
        )


def _listed(sidecar: Mapping[str, Any]) -> Iterator[Record]:
    offset = BLOCK
    for line in sidecar["records"]:
        key, *sizes = line.split()
        members = []
        for suffix, size in zip(sidecar["suffixes"], map(int, sizes), strict=True):
            members.append((suffix, offset, size))
            offset += BLOCK + -(-size // BLOCK) * BLOCK
        yield Record(key, tuple(members))
