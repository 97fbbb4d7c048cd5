"""What this package's code is, for caches whose contents it decides."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def package_digest() -> str:
    """sha256 of this package's sources, in hex digits."""
    digest = hashlib.sha256()
    for module in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(module.read_bytes())
    return digest.hexdigest()
