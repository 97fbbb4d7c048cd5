"""Files that appear complete or not at all, cache files that are checked, and a hash of this package's source code."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

SEAL_BYTES = 32  # of SHA-256


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that gets its name only if the block ends without an error, and then survives a crash.

    Until then it has a temporary name in the same folder. Missing parent folders are created.
    """
    # A random name and not the process id: two machines that share a disk may use the same id.
    temporary = path.with_name(f".{path.name}.{secrets.randbelow(10**12)}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        rename(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def keep(path: Path, data: bytes) -> None:
    """Write a cache file that ``kept`` reads. Raises OSError if it cannot be written."""
    with whole_file(path) as file:
        file.write(_seal(path, data) + data)


def kept(path: Path) -> bytes | None:
    """What ``keep`` wrote; None if there is no such file, or it is not as it was written, e.g. after a power cut."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    seal, data = content[:SEAL_BYTES], content[SEAL_BYTES:]
    return data if seal == _seal(path, data) else None


def _seal(path: Path, data: bytes) -> bytes:
    # With the name, so that a copy under another name is refused.
    return hashlib.sha256(path.name.encode() + b"\0" + data).digest()


def remove_temporary_files(folder: Path) -> None:
    """Remove what killed writers left in a folder and its subfolders; no other process may be writing there."""
    for path in folder.rglob(".*.tmp"):
        if re.fullmatch(r"\..+\.[0-9]+\.tmp", path.name):
            path.unlink(missing_ok=True)


def rename(source: Path, target: Path) -> None:
    """Rename a file, replacing ``target``; the new name survives a crash once this returns."""
    source.replace(target)
    if sys.platform != "win32":  # Windows cannot open a folder
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@cache
def package_digest() -> str:
    """SHA-256 of all source files of this package, in hex: what caches depend on besides their inputs."""
    modules = sorted(Path(__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(module.read_bytes() for module in modules)).hexdigest()
