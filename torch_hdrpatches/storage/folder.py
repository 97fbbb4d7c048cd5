"""Folders of exports and movies, on a disk or in an object store; a file appears complete or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

from fsspec.implementations.local import LocalFileSystem

from .. import files
from ..errors import StorageError
from .paths import plain_path, unset_variables
from .remote import RemoteFile, content_of, file_system, info_of, is_url, with_retries

Location: TypeAlias = "str | os.PathLike[str] | Folder"
"""A path, a URL that fsspec opens, or a folder."""


def folder_and_name(location: str) -> tuple[Folder, str]:
    """The folder of the file at a path or URL, and the file's name in it."""
    if not is_url(location):
        return Folder.of(Path(location).parent), Path(location).name
    parent, _, name = location.rpartition("/")
    return Folder.of(parent), name


def matching_files(url: str) -> list[str]:
    """The URLs of the files that match a pattern with ``*`` or ``[]``, sorted; the URL itself if it has neither."""
    match = re.fullmatch(r"([^/]+//[^/]*(?:/[^*\[]*)?)/([^/]*[*\[].*)", url)  # brackets in the host are an IPv6 address
    if match is None:
        return [url]
    folder = Folder.of(match[1])
    return [folder.location(name) for name in folder.names(match[2])]


@dataclass(frozen=True)
class Folder:
    """A folder behind a URL; ``_LocalFolder`` is one on a disk.

    Names of files are relative to it, with ``/`` between their parts. A missing file raises FileNotFoundError; that a
    store does not answer is a StorageError, and never taken for a missing file.
    It holds no connection, so it may be pickled and forked at any time.
    """

    url: str

    @staticmethod
    def of(location: Location) -> Folder:
        """The folder at a path or URL, which need not exist. Raises the errors of ``file_system``.

        Also raises StorageError if there is an environment variable in the path that is not set.
        """
        if isinstance(location, Folder):
            return location
        text = plain_path(location)
        if not is_url(text):
            if (unset := unset_variables(text)) and not Path(text).exists():
                raise StorageError(f"{text}: no such folder{unset}")
            return _LocalFolder(str(Path(text)))
        system, path = file_system(text)
        return _LocalFolder(str(Path(path))) if isinstance(system, LocalFileSystem) else Folder(text.rstrip("/"))

    @property
    def local(self) -> Path | None:
        """Its path on a disk; None if it is reached through fsspec."""
        return None

    def location(self, name: str = "") -> str:
        """The path or URL of a file, or of the folder."""
        return f"{self.url}/{name}" if name else self.url

    def names(self, pattern: str = "") -> list[str]:
        """The files whose names match a pattern, sorted, or all; a wildcard does not match ``/``.

        A store may give an old listing: a file that is missing in it may be there, and one that is listed may be gone.
        """
        plain = re.split(r"[*?\[]", pattern)[0].rpartition("/")[0]
        parts = pattern.removeprefix(plain).lstrip("/").split("/") if pattern else []
        return sorted(self._names_below(plain, parts))

    def _names_below(self, folder: str, parts: list[str]) -> Iterator[str]:
        """The files below a folder in this one, whose names match these patterns, one for each part, or all."""
        try:
            entries = self._entries(folder, links=bool(parts))
        except (FileNotFoundError, NotADirectoryError):
            return
        for name, is_folder in entries:
            if parts and not fnmatchcase(name, parts[0]):
                continue
            below = f"{folder}/{name}" if folder else name
            if is_folder and len(parts) != 1:
                yield from self._names_below(below, parts[1:])
            elif not is_folder and len(parts) <= 1:
                yield below

    def _entries(self, folder: str, *, links: bool) -> list[tuple[str, bool]]:
        """The names in a folder, and whether they are folders; ``links`` to folders count as such, or are left out.

        Unlike fsspec's ``find``, it omits nothing on errors.
        """

        def request(system: Any, path: str) -> list[tuple[str, bool]]:
            found = [
                (entry["name"].rstrip("/").rpartition("/"), entry["type"]) for entry in system.ls(path, detail=True)
            ]
            return [(name, kind == "directory") for (parent, _, name), kind in found if parent == path.rstrip("/")]

        return with_retries(self.location(folder), request)

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name; raises StorageError if the store gives no answer."""
        try:
            return bool(info_of(self.location(name))["type"] == "file")
        except FileNotFoundError:
            return False

    def holds(self, name: str, size: int) -> bool:
        """Whether there is a file of this name and size in bytes; raises StorageError if the store gives no answer."""
        try:
            return self.size(name) == size
        except FileNotFoundError:
            return False

    def size(self, name: str) -> int:
        """Size of a file in bytes."""
        url = self.location(name)
        size = info_of(url)["size"]
        if size is None:
            raise StorageError(f"{url}: its server does not tell its size; copy it to a disk")
        return int(size)

    def open(self, name: str, read_ahead: int = 1 << 22) -> IO[bytes]:
        """Open a file for reading at any position; an object store is asked for ``read_ahead`` more bytes each time."""
        cache = "readahead" if read_ahead else "none"
        return cast(IO[bytes], RemoteFile(self.location(name), self.size(name), read_ahead or 1, cache))

    @contextmanager
    def whole_file(self, name: str) -> Iterator[IO[bytes]]:
        """Write a file that gets its name only if the block ends without an error, and then survives a crash."""
        if self.url.startswith("http"):
            raise StorageError(f"{self.url} can only be read")
        with tempfile.TemporaryDirectory(prefix="hdrpatches-") as folder:
            local = Path(folder, "upload")
            with local.open("xb") as file:
                yield file
            with_retries(self.location(name), lambda system, path: system.put_file(str(local), path))

    def move(self, source: str, target: str) -> None:
        """Rename a file, replacing ``target``. A crash may leave both in an object store, as this is a copy there."""
        _, to = file_system(self.location(target))
        size = self.size(source)
        with_retries(self.location(source), lambda system, path: system.cp_file(path, to))
        if not self.holds(target, size):
            raise StorageError(f"{self.location(target)}: is not there with {size} bytes after it was written")
        self.remove(source)

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        with suppress(FileNotFoundError):
            with_retries(self.location(name), lambda system, path: system.rm_file(path))

    def remove_tree(self, name: str) -> None:
        """Remove a folder in this one and all its files, if it exists."""
        while names := list(self._names_below(name, [])):  # again, as the first listing may be old
            for file in names:
                self.remove(file)

    def remove_temporary_files(self) -> None:
        """Remove what killed writers left; no other process may be writing here. An object store keeps nothing."""

    def write_json(self, name: str, fields: Any) -> None:
        """Write a JSON file, complete or not at all; keys are sorted, so that equal contents give equal bytes."""
        with self.whole_file(name) as file:
            file.write(json.dumps(fields, sort_keys=True, indent=1).encode() + b"\n")

    def read_json(self, name: str) -> Any:
        """The contents of a JSON file."""
        return json.loads(self._content(name))

    def _content(self, name: str) -> bytes:
        return content_of(self.location(name))

    def __reduce__(self) -> tuple[Any, ...]:
        if self.url.startswith("memory://"):
            raise StorageError(f"{self.url} is in the memory of one process; export into it with one worker")
        return type(self), (self.url,)

    def __str__(self) -> str:
        return self.location()


class _LocalFolder(Folder):
    """A folder on a disk. Disk errors are raised as they are: OSError."""

    @property
    def local(self) -> Path:
        return Path(self.url)

    def location(self, name: str = "") -> str:
        return str(self.local / name)

    def _entries(self, folder: str, *, links: bool) -> list[tuple[str, bool]]:
        with os.scandir(self.local / folder) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=links), entry.is_file()) for entry in entries]
        return [(name, is_folder) for name, is_folder, is_file in found if is_folder or is_file]

    def _content(self, name: str) -> bytes:
        return (self.local / name).read_bytes()

    def exists(self, name: str) -> bool:
        return (self.local / name).is_file()

    def size(self, name: str) -> int:
        return (self.local / name).stat().st_size

    def open(self, name: str, read_ahead: int = 0) -> IO[bytes]:
        return (self.local / name).open("rb")

    @contextmanager
    def whole_file(self, name: str) -> Iterator[IO[bytes]]:
        with files.whole_file(self.local / name) as file:
            yield file

    def move(self, source: str, target: str) -> None:
        (self.local / target).parent.mkdir(parents=True, exist_ok=True)
        files.rename(self.local / source, self.local / target)

    def remove(self, name: str) -> None:
        (self.local / name).unlink(missing_ok=True)

    def remove_tree(self, name: str) -> None:
        with suppress(FileNotFoundError):
            shutil.rmtree(self.local / name)

    def remove_temporary_files(self) -> None:
        files.remove_temporary_files(self.local)
