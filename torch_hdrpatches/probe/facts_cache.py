"""Keeps the facts of movies on disk, so that known movies are not probed again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from ..files import keep, kept, package_digest
from ..storage.remote import is_url, version_of
from ..video.facts import Facts, facts_of
from .movie_facts import probe

log = logging.getLogger(__name__)


def known_facts(path: str, assume: Mapping[str, str] | None = None) -> Facts:
    """The facts of a movie as from ``probe``, read from the cache if the movie was probed before.

    A cached entry is used if path, size and modification time (for a URL: what the server reports) and the code of
    this package are the same. One that a power cut or another program has damaged is made anew. Movies that cannot be
    used are not cached.

    Raises:
        MovieError: the movie cannot be used; says why, and what would help.
    """
    cached = _cache_path(path, assume or {})
    if cached is None:
        return probe(path, assume=assume)
    if known := kept(cached):
        return facts_of(json.loads(known))
    facts = probe(path, assume=assume)
    try:
        keep(cached, json.dumps(asdict(facts)).encode())
    except OSError as error:
        log.warning("the facts of %s cannot be cached: %s", path, error)
    return facts


def cache_folder() -> Path:
    """The folder of cached facts."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torch_hdrpatches" / "facts"


def _cache_path(path: str, assume: Mapping[str, str]) -> Path | None:
    """The cache file of a movie; None if the movie cannot be identified or there is no home folder."""
    try:
        if is_url(path):
            file = [path, *version_of(path)]
            if not file[-1]:
                return None
        else:
            stat = Path(path).stat()
            file = [str(Path(path).resolve()), path, stat.st_size, stat.st_mtime_ns]
        address = [*file, sorted(assume.items()), package_digest()]
        return cache_folder() / f"{hashlib.sha256(json.dumps(address).encode()).hexdigest()[:32]}.facts"
    except (OSError, RuntimeError):  # a missing file, for which probe() has the better message
        return None
