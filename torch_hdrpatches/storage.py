"""Files that appear whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name only when the block ends without an error: written beside, fsynced, renamed."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        move(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def move(source: Path, target: Path) -> None:
    """Rename within one file system, so that the new name survives a crash once this returns."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_json(path: Path, fields: Any) -> None:
    """Write JSON in one piece: keys sorted, so that equal contents are equal bytes."""
    with whole_file(path) as file:
        file.write(json.dumps(fields, sort_keys=True, indent=1).encode() + b"\n")


def read_json(path: Path) -> Any:
    """What ``write_json`` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))
