"""Where in a tar each record lies, so that one can be read without those before it."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Any

from ..errors import ShardError
from ..storage.folder import located

REMEDY = "`hdrpatches verify --repair` makes it again"
HEADER = 512
"""Bytes before the contents of a member, which fill whole blocks of as many."""


@dataclass(frozen=True, slots=True)
class Record:
    """The members of one record."""

    key: str
    members: tuple[tuple[str, int, int], ...]
    """(suffix, offset, bytes)"""

    def read(self, file: IO[bytes], suffix: str = "") -> dict[str, bytes]:
        """The members by suffix, or only those of one suffix.

        Raises:
            ShardError: if the file ends before they do.
        """
        found = {}
        for name, offset, size in self.members:
            if suffix in ("", name):
                file.seek(offset)
                found[name] = file.read(size)
                if len(found[name]) != size:
                    raise ShardError(f"record {self.key}: the file ends within its {name}")
        return found


def index_of(location: str) -> tuple[Record, ...]:
    """The records of a tar, in order; a tar that was looked into before is not read again.

    Raises:
        ShardError: if it is truncated or damaged, or holds what no shard holds.
    """
    folder, name = located(location)
    if folder.local is None:
        return _index(location, 0)
    return _index(location, (folder.local / name).stat().st_mtime_ns)


def sidecar_of(location: str) -> dict[str, Any]:
    """What an export wrote beside a shard; empty where there is nothing of the kind."""
    folder, name = located(location)
    beside = f"{name.removesuffix('.tar')}.json"
    fields = folder.read_json(beside) if folder.exists(beside) else {}
    return fields if {"bytes", "samples", "sha256", "counts", "category"} <= fields.keys() else {}


@lru_cache(maxsize=1024)
def _index(location: str, changed: int) -> tuple[Record, ...]:
    folder, name = located(location)
    size, sidecar = folder.size(name), sidecar_of(location)
    if sidecar.get("bytes") == size and "records" in sidecar:
        return tuple(_laid_out(sidecar))
    with folder.open(name, ahead=1 << 16) as file:
        return _read_through(file, location, size)


def _laid_out(sidecar: Mapping[str, Any]) -> list[Record]:
    records, offset = [], HEADER
    for line in sidecar["records"]:
        key, *sizes = line.split()
        members = []
        for suffix, size in zip(sidecar["suffixes"], map(int, sizes), strict=True):
            members.append((suffix, offset, size))
            offset += HEADER + -(-size // HEADER) * HEADER
        records.append(Record(key, tuple(members)))
    return records


def _read_through(file: IO[bytes], location: str, size: int) -> tuple[Record, ...]:
    records: list[tuple[str, list[tuple[str, int, int]]]] = []
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                if not member.isreg():
                    raise ShardError(f"{location}: {member.name!r} is not a plain file")
                if member.offset_data + member.size > size:
                    raise ShardError(f"{location}: ends within {member.name!r}; {REMEDY}")
                key, _, suffix = member.name.partition(".")
                if not records or records[-1][0] != key:
                    records.append((key, []))
                records[-1][1].append((suffix, member.offset_data, member.size))
    except (tarfile.TarError, EOFError) as error:
        raise ShardError(f"{location}: not a whole tar: {error}; {REMEDY}") from None
    return tuple(Record(key, tuple(members)) for key, members in records)
