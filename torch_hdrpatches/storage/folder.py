"""Where exports and movies lie: folders on a disk or in an object store, whose files appear whole or not at all."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import secrets
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeAlias

from ..errors import StorageError
from .remote import asked, file_system, is_url

Location: TypeAlias = "str | os.PathLike[str] | Folder"
"""A path, a URL that fsspec opens, or a folder."""


def located(location: str) -> tuple[Folder, str]:
    """The folder of a file, and its name in it."""
    if not is_url(location):
        return Folder.of(Path(location).parent), Path(location).name
    parent, _, name = location.rpartition("/")
    return Folder.of(parent), name


def expanded(url: str) -> list[str]:
    """The files whose URLs match a pattern part by part, sorted; the URL itself if it is none."""
    parts = url.split("/")
    fixed = next((number for number, part in enumerate(parts) if number > 2 and set(part) & set("*[")), len(parts))
    if fixed == len(parts):
        return [url]
    folder = Folder.of("/".join(parts[:fixed]))
    return [folder.place(name) for name in folder.names("/".join(parts[fixed:]))]


class Folder(ABC):
    """A folder. Names in it are relative, with ``/`` between their parts; a file that is missing is FileNotFoundError.

    Holds no connection, so it may be pickled and forked at any time.
    """

    @staticmethod
    def of(location: Location) -> Folder:
        """The folder at a path or URL, which need not exist.

        Raises:
            MissingExtraError: if a package for this protocol is not installed.
            StorageError: if there is no such protocol.
        """
        if isinstance(location, Folder):
            return location
        text = os.fspath(location)
        if not isinstance(location, str) and re.match(r"^[a-z][a-z0-9+.-]+:/[^/]", text):
            raise StorageError(f"{text}: a Path cannot hold a URL; give it as a str")
        if not is_url(text):
            return _LocalFolder(Path(text))
        system, path = file_system(text)
        return _LocalFolder(Path(path)) if "file" in _protocols(system) else _StoreFolder(text.rstrip("/"))

    @property
    def local(self) -> Path | None:
        """Where it is on this machine's disks; None for what only fsspec reaches."""
        return None

    @abstractmethod
    def place(self, name: str = "") -> str:
        """The path or URL of a file, or of the folder."""

    @abstractmethod
    def names(self, pattern: str) -> list[str]:
        """The files whose names match, part by part; sorted."""

    @abstractmethod
    def everything(self) -> list[str]:
        """All files, however deep; sorted."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is such a file."""

    @abstractmethod
    def size(self, name: str) -> int:
        """Bytes of a file."""

    @abstractmethod
    def open(self, name: str, ahead: int = 1 << 22) -> IO[bytes]:
        """A file for reading; it can be sought. From a store, so many bytes are read beyond those asked for."""

    @abstractmethod
    def whole_file(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """A file that takes its name only when the block ends without an error, and is safe from a crash from then."""

    @abstractmethod
    def move(self, source: str, target: str) -> None:
        """Give a file another name, which survives a crash once this returns; what had that name is replaced.

        In an object store this is a copy, so that a crash may leave both.
        """

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file if there is one."""

    @abstractmethod
    def remove_tree(self, name: str) -> None:
        """Remove a folder in this one, if there is one, with all that is in it."""

    @abstractmethod
    def sweep(self) -> None:
        """Remove what writers left beside that were killed. Only for one who works here alone."""

    def write_json(self, name: str, fields: Any) -> None:
        """Write JSON in one piece: keys sorted, so that equal contents are equal bytes."""
        with self.whole_file(name) as file:
            file.write(json.dumps(fields, sort_keys=True, indent=1).encode() + b"\n")

    def read_json(self, name: str) -> Any:
        """What ``write_json`` wrote."""
        with self.open(name) as file:
            return json.load(file)

    def __str__(self) -> str:
        return self.place()


@dataclass(frozen=True, slots=True)
class _LocalFolder(Folder):
    """A folder on a disk: files are written beside, fsynced, renamed."""

    path: Path

    @property
    def local(self) -> Path:
        return self.path

    def place(self, name: str = "") -> str:
        return str(self.path / name)

    def names(self, pattern: str) -> list[str]:
        found = (path for path in self.path.glob(pattern) if path.is_file())
        return sorted(path.relative_to(self.path).as_posix() for path in found)

    def everything(self) -> list[str]:
        return self.names("**/*")

    def exists(self, name: str) -> bool:
        return (self.path / name).is_file()

    def size(self, name: str) -> int:
        return (self.path / name).stat().st_size

    def open(self, name: str, ahead: int = 0) -> IO[bytes]:
        return (self.path / name).open("rb")

    @contextmanager
    def whole_file(self, name: str) -> Iterator[IO[bytes]]:
        path = self.path / name
        # Not the process's number: on a shared disk another machine may have one of the same, at the same job.
        beside = path.with_name(f".{path.name}.{secrets.randbelow(10**12)}.tmp")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _rename(beside, path)
        finally:
            beside.unlink(missing_ok=True)

    def move(self, source: str, target: str) -> None:
        (self.path / target).parent.mkdir(parents=True, exist_ok=True)
        _rename(self.path / source, self.path / target)

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def remove_tree(self, name: str) -> None:
        with suppress(FileNotFoundError):
            shutil.rmtree(self.path / name)

    def sweep(self) -> None:
        for path in [*self.path.glob(".*.tmp"), *self.path.glob("*/.*.tmp")]:
            if re.fullmatch(r"\..+\.[0-9]+\.tmp", path.name):
                path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _StoreFolder(Folder):
    """A prefix in an object store: an object is there whole once its upload ends."""

    url: str

    def __reduce__(self) -> tuple[Any, ...]:
        if self.url.startswith("memory://"):
            raise StorageError(f"{self.url} is in the memory of one process; export into it with one worker")
        return _StoreFolder, (self.url,)

    def place(self, name: str = "") -> str:
        return f"{self.url}/{name}" if name else self.url

    def names(self, pattern: str) -> list[str]:
        parts = pattern.split("/")
        fixed = next((number for number, part in enumerate(parts) if set(part) & set("*?[")), len(parts) - 1)
        found = map(PurePosixPath, self._below("/".join(parts[:fixed])))
        return [
            str(name)
            for name in found
            if len(name.parts) == len(parts) and all(map(fnmatch.fnmatchcase, name.parts, parts))
        ]

    def everything(self) -> list[str]:
        return self._below("")

    def _below(self, prefix: str) -> list[str]:
        def listed(system: Any, root: str) -> list[str]:
            found = system.find(f"{root.rstrip('/')}/{prefix}".rstrip("/"))
            return sorted(str(PurePosixPath(path).relative_to(root)) for path in found)

        return asked(self.url, listed)

    def exists(self, name: str) -> bool:
        return asked(self.place(name), lambda system, path: bool(system.isfile(path)))

    def size(self, name: str) -> int:
        return asked(self.place(name), lambda system, path: int(system.size(path)))

    def open(self, name: str, ahead: int = 1 << 22) -> IO[bytes]:
        how = {"block_size": ahead or 1, "cache_type": "readahead" if ahead else "none"}
        file: IO[bytes] = asked(self.place(name), lambda system, path: system.open(path, "rb", **how))
        return file

    @contextmanager
    def whole_file(self, name: str) -> Iterator[IO[bytes]]:
        if self.url.startswith("http"):
            raise StorageError(f"{self.url} can only be read")
        with tempfile.NamedTemporaryFile(prefix="hdrpatches-") as spool:
            yield spool
            spool.flush()
            asked(self.place(name), lambda system, path: system.put_file(spool.name, path))

    def move(self, source: str, target: str) -> None:
        _, to = file_system(self.place(target))
        asked(self.place(source), lambda system, path: system.cp_file(path, to))
        self.remove(source)

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            asked(self.place(name), lambda system, path: system.rm_file(path))

    def remove_tree(self, name: str) -> None:
        with suppress(FileNotFoundError):
            asked(self.place(name), lambda system, path: system.rm(path, recursive=True))

    def sweep(self) -> None:
        """An upload that was broken off left nothing here."""


def _protocols(system: Any) -> tuple[str, ...]:
    return (system.protocol,) if isinstance(system.protocol, str) else tuple(system.protocol)


def _rename(source: Path, target: Path) -> None:
    source.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
