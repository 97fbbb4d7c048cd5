"""Files behind URLs, through fsspec: requests that are repeated when they fail, and movies read in blocks of bytes."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

import fsspec
from fsspec.spec import AbstractBufferedFile

from ..errors import MissingExtraError, MovieOpenError, StorageError

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "http": "http", "https": "http"}
"""Protocol -> the extra of this package that installs what fsspec needs for it."""
PAUSES = (0.5, 2.0, 8.0)
"""Seconds between attempts of a request."""
SMALLEST_BLOCK, LARGEST_BLOCK = 1 << 18, 1 << 21
"""Bytes per request: a 64th of the file within these limits.

Measured by probing MP4, MKV and TS movies of 10 to 450 MB and reading eight windows of each: smaller blocks need many
more requests, larger ones many more bytes, and fsspec's ``readahead`` about twice as much of both for TS.
"""
VERSION_KEYS = ("ETag", "etag", "md5Hash", "LastModified", "Last-Modified", "mtime", "updated", "created")
"""Keys under which fsspec's file systems report the version of a file."""

NOT_FOUND = (404, 410)
"""Status codes by which a web server says that there is no such file."""

Answer = TypeVar("Answer")

log = logging.getLogger(__name__)


def is_url(path: str) -> bool:
    """Whether a path is a URL, which fsspec opens."""
    return re.match(r"^[a-z][a-z0-9+.-]+://", path) is not None


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, created in this process, and the path in it.

    Raises StorageError if there is no such protocol, MissingExtraError if a package for it is not installed.
    """
    protocol = url.partition("://")[0]
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(url)
        return found
    except ImportError as error:
        what = f"torch_hdrpatches[{EXTRAS[protocol]}]" if protocol in EXTRAS else f"what fsspec needs for {protocol}"
        raise MissingExtraError(f"{url}: {error}; pip install '{what}'") from None
    except ValueError as error:
        raise StorageError(f"{url}: {error}") from None


def with_retries(url: str, request: Callable[[Any, str], Answer]) -> Answer:
    """The result of ``request(file_system, path)``, which is called again if it fails.

    fsspec's cached listings are dropped first, because other processes write there too. FileNotFoundError is raised at
    once, and only if the store said that there is no such file. An invalid request, or any other error of the last
    attempt, is a StorageError.
    """
    system, path = file_system(url)
    pauses = iter(PAUSES)
    while True:
        try:
            system.invalidate_cache()
            return request(system, path)
        except ValueError as error:
            raise StorageError(f"{url}: {error}") from error
        except Exception as error:
            if isinstance(error, FileNotFoundError) and _is_an_answer(url, error):
                raise
            pause = next(pauses, None)
            if pause is None:
                raise StorageError(
                    f"{url}: request failed after {len(PAUSES) + 1} attempts ({type(error).__name__}: {error}); "
                    "run the same command again to resume"
                ) from error
            log.warning("%s: request failed (%r); next attempt in %g s", url, error, pause)
            time.sleep(pause)


def _is_an_answer(url: str, error: FileNotFoundError) -> bool:
    """Whether the store said that a file is missing; fsspec's HTTP file system says so after any error."""
    cause = error.__cause__
    if cause is None or isinstance(cause, FileNotFoundError) or not url.startswith("http"):
        return True
    return getattr(cause, "status", None) in NOT_FOUND


def info_of(url: str) -> dict[str, Any]:
    """What the store says about a file or folder: ``type``, ``size``, ... Raises as ``with_retries``."""
    info: dict[str, Any] = with_retries(url, lambda system, path: system.info(path))
    return info


def content_of(url: str) -> bytes:
    """All bytes of a file. Raises as ``with_retries``."""

    def request(system: Any, path: str) -> bytes:
        data = bytes(system.cat_file(path))
        size = system.info(path)["size"]
        if size not in (None, len(data)):
            raise OSError(f"the server sent {len(data)} of {size} bytes")
        return data

    return with_retries(url, request)


class RemoteFile(AbstractBufferedFile):  # type: ignore[misc] # fsspec has no types
    """A file behind a URL, for reading at any position; failed requests are repeated. Raises as ``with_retries``."""

    def __init__(self, url: str, size: int, block: int, cache: str, **cache_options: Any) -> None:
        super().__init__(None, url, "rb", block, cache_type=cache, cache_options=cache_options, size=size)

    def _fetch_range(self, start: int, end: int) -> bytes:
        end = min(end, self.size)

        def request(system: Any, path: str) -> bytes:
            data = self._request(system, path, start, end)
            if len(data) != end - start:
                raise OSError(f"the server sent {len(data)} of {end - start} bytes at {start}")
            return data

        return with_retries(self.path, request)

    def _request(self, system: Any, path: str, start: int, end: int) -> bytes:
        return bytes(system.cat_file(path, start=start, end=end))


class RangeFile(RemoteFile):
    """A movie behind a URL, for reading at any position through fsspec's block cache.

    A request that fails repeatedly is a StorageError, which no reader mistakes for a damaged movie: samples must not
    depend on the network. Raises MovieOpenError if the file does not exist, may not be read, or its server ignores
    byte ranges.
    """

    def __init__(self, url: str) -> None:
        self.name = url.rpartition("/")[2]  # its suffix helps libavformat to recognise the format
        try:
            self._file, size = with_retries(url, _open)
            block = min(max(size // 64, SMALLEST_BLOCK), LARGEST_BLOCK)
            # Several blocks, because a demuxer jumps between the index, the audio and the video of a movie.
            super().__init__(url, size, block, "blockcache", maxblocks=16)
            self.read(1)
            self.seek(0)
        except FileNotFoundError as error:
            raise MovieOpenError(url, f"cannot be opened ({error})") from None
        except StorageError as error:
            _raise_if_refused(url, error)
            if isinstance(error.__cause__, ValueError):  # fsspec's error for a server without byte ranges
                reason = f"cannot be read by byte ranges ({error.__cause__})"
                raise MovieOpenError(url, reason, "serve it with range requests, or copy it to a disk") from None
            raise

    def _request(self, system: Any, path: str, start: int, end: int) -> bytes:
        self._file.seek(start)
        return bytes(self._file.read(end - start))


def _raise_if_refused(url: str, error: StorageError) -> None:
    """Raise MovieOpenError if a movie may not be read."""
    if isinstance(error.__cause__, PermissionError):
        raise MovieOpenError(url, f"cannot be opened ({error.__cause__})") from None


def _open(system: Any, path: str) -> tuple[Any, int]:
    file = system.open(path, "rb", cache_type="none")
    file.seek(0, os.SEEK_END)  # a ValueError without byte ranges
    return file, file.tell()


def version_of(url: str) -> tuple[int, str]:
    """Size of a file behind a URL in bytes, and the version that its server reports, such as an ETag; may be empty.

    Raises MovieOpenError if the file does not exist or may not be read.
    """
    try:
        info = info_of(url)
    except FileNotFoundError as error:
        raise MovieOpenError(url, f"cannot be opened ({error})") from None
    except StorageError as error:
        _raise_if_refused(url, error)
        raise
    version = next((str(info[key]) for key in VERSION_KEYS if info.get(key)), "")
    return int(info["size"] or 0), version.strip('"')
