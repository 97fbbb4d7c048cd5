"""Locks an output folder, and checks that it belongs to this export."""

from __future__ import annotations

import errno
import logging
import os
import platform
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import portalocker
from portalocker import LockFlags

from ..errors import ExportError
from ..sampling.fingerprint import describe_differences, differing
from ..sampling.stream import PatchStream
from ..shards.manifest import EXPORT_RECORD, SIDECARS, WORK, identity, record_of, shard_name, sidecars
from ..storage.folder import Folder

LOCK = ".lock"
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS}

log = logging.getLogger(__name__)


def is_finished(folder: Folder, stream: PatchStream) -> bool:
    """Whether a folder contains this export, complete."""
    if not folder.exists("manifest.json") or folder.exists(EXPORT_RECORD) or folder.exists(LOCK):
        return False
    return not differing(folder.read_json("manifest.json")["identity"], identity(stream))


@contextmanager
def exclusive(folder: Folder) -> Iterator[None]:
    """Lock a folder for one export, and remove temporary files of exports that were killed.

    The lock belongs to this process and ends with it. Raises ExportError if another export works in the folder. Object
    stores have no locks: two exports at once do all the work twice, and write the same bytes to the same objects.
    """
    with _locked(folder, LOCK, LockFlags.EXCLUSIVE, remove=True):
        folder.remove_temporary_files()
        try:
            yield
        finally:
            folder.remove_temporary_files()


@contextmanager
def shared(folder: Folder, name: str) -> Iterator[None]:
    """Lock a folder for one of several exports at the same time, each with a name of its own.

    Raises ExportError if an exclusive export works in the folder, or another one of this name.
    """
    with _locked(folder, LOCK, LockFlags.SHARED), _locked(folder, f"{WORK}/{name}.lock", LockFlags.EXCLUSIVE):
        yield


@contextmanager
def _locked(folder: Folder, name: str, kind: LockFlags, *, remove: bool = False) -> Iterator[None]:
    if folder.local is None:
        yield
        return
    path = folder.local / name
    try:
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a+") as file:
                _lock(file, folder, kind)
                if not _is_at(path, file):
                    continue  # its last owner removed it after it was opened here
                file.truncate(0)
                file.write(f"process {os.getpid()} on {platform.node()}")
                file.flush()
                try:
                    yield
                finally:
                    if remove and os.name != "nt":
                        path.unlink(missing_ok=True)
                return
    finally:
        if remove and os.name == "nt":  # Windows removes only files that no process has open
            with suppress(OSError):
                path.unlink()


def _is_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _lock(file: IO[str], folder: Folder, kind: LockFlags) -> None:
    try:
        portalocker.lock(file, kind | LockFlags.NON_BLOCKING)
    except portalocker.AlreadyLocked:
        owner = "unknown"
        with suppress(OSError):  # Windows does not let others read what is locked
            file.seek(0)
            owner = file.read()
        raise ExportError(f"{folder}: another export is at work here ({owner}); wait for it, or stop it") from None
    except portalocker.LockException as error:
        cause = error.__cause__
        if not isinstance(cause, OSError) or cause.errno not in NO_LOCKS:
            raise (cause or error) from None
        log.warning("%s: this file system has no locks; make sure that only one export works here", folder)


def begin(folder: Folder, stream: PatchStream, *, extend: bool = False) -> dict[str, tuple[int, ...]]:
    """Write the export record of a locked folder, or check that the one in it is of this export.

    With ``extend``, targets may be higher than those that the folder was exported with. Returns, by category, the
    targets that were reached before they were raised. Raises ExportError, which names the differing keys, if the folder
    belongs to another export.
    """
    wanted = identity(stream)
    record = record_of(folder)
    if record is None:
        if shards := _shards_in(folder, stream):
            raise ExportError(
                f"{folder} holds shards ({shards[0]}), but neither manifest.json nor {EXPORT_RECORD}, which tell the "
                "export that they belong to; export into another folder"
            )
        record = {"identity": wanted}
    milestones = {category: tuple(reached) for category, reached in record.get("milestones", {}).items()}
    keys = differing(record["identity"], wanted)
    if keys:
        _check_extension(folder, record["identity"], wanted, keys, extend=extend)
        for category, reached in _reached(folder, record["identity"], wanted, keys).items():
            milestones[category] = (*milestones.get(category, ()), reached)
    if keys or not folder.exists(EXPORT_RECORD):
        folder.write_json(EXPORT_RECORD, {"identity": wanted, "milestones": milestones})
    return milestones


def _shards_in(folder: Folder, stream: PatchStream) -> list[str]:
    """The sidecars in a folder; the first ones are asked for, as a listing may be old."""
    first = (f"{shard_name(category, 0)}.json" for category in stream.recipe.categories)
    return folder.names(SIDECARS) or list(filter(folder.exists, first))


def _check_extension(
    folder: Folder, found: Mapping[str, Any], wanted: Mapping[str, Any], keys: list[str], *, extend: bool
) -> None:
    """Raise ExportError unless only targets differ, and may differ."""
    others = [key for key in keys if not (key.startswith("categories.") and key.endswith(".target"))]
    if extend and not others:
        return
    if extend:
        keys = others
        remedy = (
            "only targets can be extended, because all else, new movies too, changes the samples that are there; "
            "read_shards and webdataset read several folders as one"
        )
    else:
        remedy = "export into another folder, or restore the recipe" if others else "add --extend to raise targets"
    differences = describe_differences(found, wanted, keys)
    raise ExportError(f"{folder} holds an export of another recipe; differing: {differences}; {remedy}")


def _reached(folder: Folder, found: Mapping[str, Any], wanted: Mapping[str, Any], targets: list[str]) -> dict[str, int]:
    """By category, the old targets that were reached. Raises ExportError if a new one is lower than what is there."""
    present, last_epoch, reached = Counter[str](), Counter[str](), dict[str, int]()
    for shard in sidecars(folder).values():
        present[shard["category"]] += shard["samples"]
        last_epoch[shard["category"]] = shard["epoch"]
    for key in targets:
        category, target = key.split(".")[1], wanted[key]
        count = present[category]
        if target is not None and target < count:
            raise ExportError(
                f"{folder}: {key} is {target}, but there are {count} already; a target can only be raised"
            )
        if target is None and last_epoch[category] > 0:
            raise ExportError(f"{folder}: {key} cannot be removed after the first epoch; set a number")
        if count == found[key]:
            reached[category] = count
    return reached
