"""Whose a folder is: one export at a time works in it, and always the same export."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..errors import ExportError
from ..sampling.fingerprint import differing
from ..sampling.stream import PatchStream
from ..shards.manifest import CLAIM, SIDECARS, WORK, identity, sidecars, tally_of
from ..storage.folder import Folder

LOCK = ".lock"
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS}

log = logging.getLogger(__name__)


def is_finished(folder: Folder, stream: PatchStream) -> bool:
    """Whether a folder holds all of this export."""
    if not folder.exists("manifest.json") or folder.exists(CLAIM) or folder.exists(LOCK):
        return False
    return not differing(folder.read_json("manifest.json")["identity"], identity(stream))


@contextmanager
def held(folder: Folder) -> Iterator[None]:
    """Work alone in a folder; what exports left behind that were killed is removed.

    The lock belongs to this process and ends with it. An object store has none: there, two exports at once do all the
    work twice, and put the same bytes into the same objects.

    Raises:
        ExportError: if another export works in it.
    """
    if folder.local is None:
        yield
        return
    with _locked(folder.local / LOCK, folder, fcntl.LOCK_EX):
        folder.sweep()
        try:
            yield
        finally:
            folder.sweep()
            folder.remove(LOCK)


@contextmanager
def shared(folder: Folder, name: str) -> Iterator[None]:
    """Work in a folder beside others, of which none has this name.

    Raises:
        ExportError: if another export works alone in it, or under this name.
    """
    if folder.local is None:
        yield
        return
    with (
        _locked(folder.local / LOCK, folder, fcntl.LOCK_SH),
        _locked(folder.local / WORK / f"{name}.lock", folder, fcntl.LOCK_EX),
    ):
        yield


@contextmanager
def _locked(path: Path, folder: Folder, how: int) -> Iterator[None]:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+") as file:
            _lock(file, folder, how)
            if not _is_at(path, file):
                continue  # who had it removed it just now
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}")
            file.flush()
            yield
            return


def _is_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _lock(file: IO[str], folder: Folder, how: int) -> None:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise ExportError(
            f"{folder}: another export is at work here ({file.read()}); wait for it, or stop it"
        ) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        log.warning("%s: this file system has no locks; see to it that only one export works here", folder)


def begin(folder: Folder, stream: PatchStream, *, extend: bool = False) -> dict[str, tuple[int, ...]]:
    """Claim a folder for an export, or find that it is this export's already.

    Args:
        folder: held or shared.
        stream: of the export.
        extend: whether targets may differ from those that the folder was exported with.

    Returns:
        By category, the targets that were reached before they were raised.

    Raises:
        ExportError: if it holds another export; the differing keys are named.
    """
    wanted = identity(stream)
    found = next((folder.read_json(name) for name in (CLAIM, "manifest.json") if folder.exists(name)), None)
    if found is None:
        if shards := folder.names(SIDECARS):
            raise ExportError(
                f"{folder} holds shards ({shards[0]}), but neither manifest.json nor {CLAIM} says of which export; "
                "export into another folder"
            )
        folder.write_json(CLAIM, {"identity": wanted, "milestones": {}})
        return {}
    milestones = {name: tuple(reached) for name, reached in found.get("milestones", {}).items()}
    if keys := differing(found["identity"], wanted):
        if not extend:
            raise ExportError(_refusal(folder, found["identity"], wanted, keys))
        milestones = _extended(folder, found["identity"], wanted, keys, milestones)
    if keys or not folder.exists(CLAIM):
        folder.write_json(CLAIM, {"identity": wanted, "milestones": milestones})
    return milestones


def _refusal(folder: Folder, found: Mapping[str, Any], wanted: Mapping[str, Any], keys: list[str]) -> str:
    what = ", ".join(f"{key} ({found.get(key)!r} -> {wanted.get(key)!r})" for key in keys[:5])
    what += f" and {len(keys) - 5} more" if len(keys) > 5 else ""
    if all(map(_is_target, keys)):
        remedy = "--extend goes on to the new targets"
    else:
        remedy = "export into another folder, or bring the recipe back"
    return f"{folder} holds an export of another recipe; differing: {what}; {remedy}"


def _extended(
    folder: Folder,
    found: Mapping[str, Any],
    wanted: Mapping[str, Any],
    keys: list[str],
    milestones: dict[str, tuple[int, ...]],
) -> dict[str, tuple[int, ...]]:
    """The milestones after some targets have changed.

    Raises:
        ExportError: if more than targets differs, or a target asks for less than there is.
    """
    if others := [key for key in keys if not _is_target(key)]:
        raise ExportError(
            _refusal(folder, found, wanted, others) + " (only targets can be extended: all else, new movies too, moves "
            "the samples that are there; read_shards and webdataset read several folders as one)"
        )
    there = tally_of(folder).by("category") if folder.names(SIDECARS) else {}
    last_epoch = {shard["category"]: shard["epoch"] for shard in sidecars(folder).values()}
    raised = dict(milestones)
    for key in keys:
        category, before, target = key.split(".")[1], found[key], wanted[key]
        count = there.get(category, 0)
        if target is not None and target < count:
            raise ExportError(
                f"{folder}: {key} is {target}, but there are {count} already; a target can only be raised"
            )
        if target is None and last_epoch.get(category, 0) > 0:
            raise ExportError(f"{folder}: {key} cannot be taken away: more than one epoch is there; give a number")
        if count == before:
            raised[category] = (*raised.get(category, ()), count)
    return raised


def _is_target(key: str) -> bool:
    return key.startswith("categories.") and key.endswith(".target")
