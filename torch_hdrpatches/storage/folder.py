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
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeAlias

from fsspec.implementations.local import LocalFileSystem

from .. import files
from ..errors import StorageError
from .paths import plain_path, unset_variables
from .remote import file_system, is_url, with_retries

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

    Names of files are relative to it, with ``/`` between their parts. A missing file raises FileNotFoundError.
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
        """The files whose names match a pattern, sorted, or all; a wildcard does not match ``/``."""
        prefix = re.split(r"[*?\[]", pattern)[0].rpartition("/")[0]
        depth = pattern.count("/") + 1

        def find(system: Any, root: str) -> list[PurePosixPath]:
            found = system.find(f"{root.rstrip('/')}/{prefix}".rstrip("/"))
            return [PurePosixPath(path).relative_to(root) for path in found]

        found = with_retries(self.url, find)
        return sorted(str(name) for name in found if not pattern or (len(name.parts) == depth and name.match(pattern)))

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return with_retries(self.location(name), lambda system, path: bool(system.isfile(path)))

    def size(self, name: str) -> int:
        """Size of a file in bytes."""
        return with_retries(self.location(name), lambda system, path: int(system.size(path)))

    def open(self, name: str, read_ahead: int = 1 << 22) -> IO[bytes]:
        """Open a file for reading at any position; an object store is asked for ``read_ahead`` more bytes each time."""
        options = {"block_size": read_ahead or 1, "cache_type": "readahead" if read_ahead else "none"}
        file: IO[bytes] = with_retries(self.location(name), lambda system, path: system.open(path, "rb", **options))
        return file

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
        with_retries(self.location(source), lambda system, path: system.cp_file(path, to))
        self.remove(source)

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        with suppress(FileNotFoundError):
            with_retries(self.location(name), lambda system, path: system.rm_file(path))

    def remove_tree(self, name: str) -> None:
        """Remove a folder in this one and all its files, if it exists."""
        with suppress(FileNotFoundError):
            with_retries(self.location(name), lambda system, path: system.rm(path, recursive=True))

    def remove_temporary_files(self) -> None:
        """Remove what killed writers left; no other process may be writing here. An object store keeps nothing."""

    def write_json(self, name: str, fields: Any) -> None:
        """Write a JSON file, complete or not at all; keys are sorted, so that equal contents give equal bytes."""
        with self.whole_file(name) as file:
            file.write(json.dumps(fields, sort_keys=True, indent=1).encode() + b"\n")

    def read_json(self, name: str) -> Any:
        """The contents of a JSON file."""
        with self.open(name) as file:
            return json.load(file)

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

    def names(self, pattern: str = "") -> list[str]:
        found = (path for path in self.local.glob(pattern or "**/*") if path.is_file())
        return sorted(path.relative_to(self.local).as_posix() for path in found)

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
