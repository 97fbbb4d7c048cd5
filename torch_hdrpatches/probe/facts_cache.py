"""What is known of movies that were looked at before, so that a hundred of them are planned in a second."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from ..cache import keep, package_digest
from ..storage.range_file import stamp_of
from ..storage.remote import is_url
from ..video.facts import Facts, facts_of
from .probe import probe

log = logging.getLogger(__name__)


def known_facts(path: str, assume: Mapping[str, str] | None = None) -> Facts:
    """The facts of a movie: ``facts.probe``, or what it said of the same file before.

    A file is the same if path, size and time of change are (of a URL, what its store says), and if this package's
    code is. Lies below ``$XDG_CACHE_HOME/torch_hdrpatches``; a movie that gives nothing is looked at anew every time.

    Raises:
        MovieError: the movie gives nothing; why, and what would help.
    """
    place = _place(path, assume or {})
    if place is None:
        return probe(path, assume=assume)
    try:
        return facts_of(json.loads(place.read_text(encoding="utf-8")))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("%s cannot be used, %s is looked at anew: %s", place, path, error)
    facts = probe(path, assume=assume)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        keep(place, json.dumps(asdict(facts)).encode())
    except OSError as error:
        log.warning("what %s is cannot be kept for next time: %s", path, error)
    return facts


def cache_folder() -> Path:
    """Where facts are kept between runs."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "torch_hdrpatches" / "facts"


def _place(path: str, assume: Mapping[str, str]) -> Path | None:
    try:
        if is_url(path):
            size, mark = stamp_of(path)
            if not mark:
                return None
            file = [path, size, mark]
        else:
            stat = Path(path).stat()
            file = [str(Path(path).resolve()), path, stat.st_size, stat.st_mtime_ns]
        address = [*file, sorted(assume.items()), package_digest()]
        return cache_folder() / f"{hashlib.sha256(json.dumps(address).encode()).hexdigest()[:32]}.json"
    except (OSError, RuntimeError):  # no such file, which the probe will say better; or no home
        return None
