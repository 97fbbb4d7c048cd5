"""Movies behind URLs: read by ranges, as much as is asked for and a little ahead, never as a whole."""

from __future__ import annotations

import io
from collections import deque
from pathlib import Path
from typing import IO, Any

from ..errors import MovieOpenError, StorageError
from .remote import asked, is_url

FIRST_AHEAD, MOST_AHEAD = 1 << 17, 1 << 22
"""Bytes that are fetched at once: few after a jump, then twice as many each time, for as long as reading goes on."""
KEPT = 6
"""Stretches that are kept: containers go to and fro between their index, their sound and their pictures."""
NO_RANGES = "serve it with range requests, or copy it to a disk"
MARKS = ("ETag", "etag", "md5Hash", "LastModified", "Last-Modified", "mtime", "updated", "created")
"""Under these names stores say which version of a file they hold."""


class RangeFile(io.RawIOBase):
    """A file behind a URL, for reading.

    A store that fails again and again is a ``StorageError``, which no reader takes for damage in a movie: what is
    sampled must not depend on the network.

    Raises:
        MovieOpenError: if there is no such file, it may not be read, or its server gives no ranges.
        MissingExtraError, StorageError: if the store cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self.name = url.rpartition("/")[2]
        self._url = url
        self._stretches: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self._position, self._ahead = 0, FIRST_AHEAD
        try:
            self._file, self.size = asked(url, _opened)
            self._fetch(0)
        except (FileNotFoundError, PermissionError) as error:
            raise MovieOpenError(url, f"cannot be opened ({error})") from None
        except StorageError as error:
            if isinstance(error.__cause__, ValueError):  # so fsspec says that there are no ranges
                raise MovieOpenError(url, f"is not given in ranges ({error.__cause__})", NO_RANGES) from None
            raise

    def seekable(self) -> bool:
        """It can be sought."""
        return True

    def readable(self) -> bool:
        """It can be read."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go elsewhere; nothing is fetched for it."""
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, or less at the end; says how much."""
        room = memoryview(buffer)
        wanted = min(len(room), self.size - self._position)
        done = 0
        while done < wanted:
            first, stretch = self._around(self._position)
            part = memoryview(stretch)[self._position - first :][: wanted - done]
            room[done : done + len(part)] = part
            done += len(part)
            self._position += len(part)
        return done

    def _around(self, position: int) -> tuple[int, bytes]:
        """A stretch with this byte in it."""
        for first, stretch in reversed(self._stretches):
            if first <= position < first + len(stretch):
                return first, stretch
        goes_on = any(position == first + len(stretch) for first, stretch in self._stretches)
        self._ahead = min(2 * self._ahead, MOST_AHEAD) if goes_on else FIRST_AHEAD
        return self._fetch(position)

    def _fetch(self, first: int) -> tuple[int, bytes]:
        last = min(first + self._ahead, self.size)

        def fetched(system: Any, path: str) -> bytes:
            self._file.seek(first)
            return bytes(self._file.read(last - first))

        stretch = asked(self._url, fetched)
        if len(stretch) != last - first:
            raise StorageError(f"{self._url}: gave {len(stretch)} of {last - first} bytes at {first}")
        self._stretches.append((first, stretch))
        return first, stretch


def _opened(system: Any, path: str) -> tuple[Any, int]:
    file = system.open(path, "rb", cache_type="none")
    file.seek(0, io.SEEK_END)  # a ValueError if it comes as a stream only
    return file, file.tell()


def opened(path: str) -> IO[bytes]:
    """A file or URL for reading; raises as ``RangeFile`` does."""
    return io.BufferedReader(RangeFile(path)) if is_url(path) else Path(path).open("rb")


def stamp_of(url: str) -> tuple[int, str]:
    """Bytes of a file behind a URL, and by what its store knows this version of it; empty if it does not say.

    Raises:
        MovieOpenError: if there is no such file, or it may not be read.
        MissingExtraError, StorageError: if the store cannot be reached.
    """
    try:
        info = asked(url, lambda system, path: system.info(path))
    except (FileNotFoundError, PermissionError) as error:
        raise MovieOpenError(url, f"cannot be opened ({error})") from None
    mark = next((str(info[name]) for name in MARKS if info.get(name)), "")
    return int(info["size"] or 0), mark.strip('"')
