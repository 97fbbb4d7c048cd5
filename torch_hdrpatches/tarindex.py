"""Where in a tar each record lies, so that one can be read without those before it."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

from .errors import ShardError

REMEDY = "`hdrpatches verify --repair` makes it again"


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


def index_of(path: str) -> tuple[Record, ...]:
    """The records of a tar, in order; a tar that was looked into before is not read again.

    Raises:
        ShardError: if it is truncated or damaged, or holds what no shard holds.
    """
    stat = Path(path).stat()
    return _index(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1024)
def _index(path: str, size: int, changed: int) -> tuple[Record, ...]:
    records: list[tuple[str, list[tuple[str, int, int]]]] = []
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if not member.isreg():
                    raise ShardError(f"{path}: {member.name!r} is not a plain file")
                if member.offset_data + member.size > size:
                    raise ShardError(f"{path}: ends within {member.name!r}; {REMEDY}")
                key, _, suffix = member.name.partition(".")
                if not records or records[-1][0] != key:
                    records.append((key, []))
                records[-1][1].append((suffix, member.offset_data, member.size))
    except (tarfile.TarError, EOFError) as error:
        raise ShardError(f"{path}: not a whole tar: {error}; {REMEDY}") from None
    return tuple(Record(key, tuple(members)) for key, members in records)
