"""What caches on disk need: a name for this package's code, and files that are there whole or not at all."""

from __future__ import annotations

import hashlib
import secrets
from functools import cache
from pathlib import Path


@cache
def package_digest() -> str:
    """sha256 of this package's sources, in hex digits."""
    digest = hashlib.sha256()
    for module in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(module.read_bytes())
    return digest.hexdigest()


def keep(path: Path, data: bytes) -> None:
    """Write a file beside and put it in place; raises OSError, and then nothing is left of it."""
    # Not the process's number: on a shared disk another machine may have one of the same.
    beside = path.with_suffix(f".{secrets.randbelow(10**12)}.tmp")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
