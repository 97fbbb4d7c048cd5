"""Locks an output folder, and checks that it belongs to this export."""

from __future__ import annotations

import errno
import logging
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import portalocker
from portalocker import LockFlags

from ..errors import ExportError
from ..sampling.fingerprint import describe_differences, differing
from ..sampling.stream import PatchStream
from ..shards.manifest import EXPORT_RECORD, SIDECARS, WORK, identity, sidecars, tally_of
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

    The lock belongs to this process and ends with it. Object stores have no locks: two exports at once do all the work
    twice, and write the same bytes to the same objects.

    Raises:
        ExportError: if another export works in the folder.
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

    Raises:
        ExportError: if an exclusive export works in the folder, or another one of this name.
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
    """Write the export record of a folder, or check that the one in it is of this export.

    Args:
        folder: locked.
        stream: of the export.
        extend: whether targets may differ from those that the folder was exported with.

    Returns:
        By category, the targets that were reached before they were raised.

    Raises:
        ExportError: if the folder belongs to another export; names the differing keys.
    """
    wanted = identity(stream)
    found = next((folder.read_json(name) for name in (EXPORT_RECORD, "manifest.json") if folder.exists(name)), None)
    if found is None:
        if shards := folder.names(SIDECARS):
            raise ExportError(
                f"{folder} holds shards ({shards[0]}), but neither manifest.json nor {EXPORT_RECORD}, which tell the "
                "export that they belong to; export into another folder"
            )
        folder.write_json(EXPORT_RECORD, {"identity": wanted, "milestones": {}})
        return {}
    milestones = {name: tuple(reached) for name, reached in found.get("milestones", {}).items()}
    keys = differing(found["identity"], wanted)
    if keys and not extend:
        all_targets = all(map(_is_target, keys))
        remedy = "add --extend to raise targets" if all_targets else "export into another folder, or restore the recipe"
        raise ExportError(_refusal(folder, found["identity"], wanted, keys) + remedy)
    if keys:
        milestones = _extended(folder, found["identity"], wanted, milestones)
    if keys or not folder.exists(EXPORT_RECORD):
        folder.write_json(EXPORT_RECORD, {"identity": wanted, "milestones": milestones})
    return milestones


def _refusal(folder: Folder, found: Mapping[str, Any], wanted: Mapping[str, Any], keys: list[str]) -> str:
    return f"{folder} holds an export of another recipe; differing: {describe_differences(found, wanted, keys)}; "


def _extended(
    folder: Folder, found: Mapping[str, Any], wanted: Mapping[str, Any], milestones: dict[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """The milestones after some targets have changed.

    Raises:
        ExportError: if anything but targets differs, or a target is lower than what is there.
    """
    keys = differing(found, wanted)
    if others := [key for key in keys if not _is_target(key)]:
        raise ExportError(
            _refusal(folder, found, wanted, others) + "only targets can be extended, because all else, new movies too, "
            "changes the samples that are there; read_shards and webdataset read several folders as one"
        )
    present = tally_of(folder).by("category") if folder.names(SIDECARS) else {}
    last_epoch = {shard["category"]: shard["epoch"] for shard in sidecars(folder).values()}
    raised = dict(milestones)
    for key in keys:
        category, before, target = key.split(".")[1], found[key], wanted[key]
        count = present.get(category, 0)
        if target is not None and target < count:
            raise ExportError(
                f"{folder}: {key} is {target}, but there are {count} already; a target can only be raised"
            )
        if target is None and last_epoch.get(category, 0) > 0:
            raise ExportError(f"{folder}: {key} cannot be removed after the first epoch; set a number")
        if count == before:
            raised[category] = (*raised.get(category, ()), count)
    return raised


def _is_target(key: str) -> bool:
    return key.startswith("categories.") and key.endswith(".target")
