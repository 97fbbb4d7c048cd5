"""Reads the bytes of a movie for FFmpeg, so that no error of a disk or network is taken for damage of the movie."""

from __future__ import annotations

import errno
import io
import logging
import os
import stat
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from ..errors import DamagedMovieError, MovieOpenError, StorageError
from ..storage.remote import PAUSES, RangeFile, is_url

LASTING = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG)
"""Error numbers of a file that cannot be opened because of what it is; all others come from the system around it."""
REMEDIES = {
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENFILE: "allow more open files (sysctl fs.file-max)",
    errno.ENOMEM: "free some memory, or use fewer workers",
}

Answer = TypeVar("Answer")

log = logging.getLogger(__name__)
_reading: set[int] = set()
"""The threads that wait for bytes of a movie."""


class MovieFile:
    """A movie's file or URL, open for reading.

    Raises:
        MovieOpenError: it is missing, unreadable or no regular file.
        DamagedMovieError: it is empty.
        StorageError: the disk, the network or the system fails, also at a second and third try, or the file changes
            while it is read. PyAV passes this on through FFmpeg.
    """

    def __init__(self, path: str) -> None:
        self.name = path
        """Its suffix helps libavformat to recognise the format."""
        self._file, self.version = patiently(path, partial(_opened, path), final=MovieOpenError)
        """Size in bytes and time of the last change in nanoseconds; of a URL the size and 0."""
        self._size = self._file.seek(0, os.SEEK_END)
        self._position, self._reached = 0, self._size
        """Where to read next, and where the file itself stands."""
        self._is_stale = False
        """The last read failed, so the file is opened anew before the next one."""
        self._failure: StorageError | None = None
        if not self._size:
            self.close()
            raise DamagedMovieError(path, "is empty")

    def __enter__(self) -> MovieFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def tell(self) -> int:
        """The position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position; returns it."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def read(self, size: int) -> bytes:
        """The next bytes, at most ``size``; none at the end.

        None after a failure either: FFmpeg, which tries again, gives up then, and PyAV raises the failure.
        """
        if self._failure:
            return b""
        thread = threading.get_ident()
        _reading.add(thread)
        try:
            data = patiently(self.name, partial(self._read, size))
        except StorageError as failure:
            self._failure = failure
            raise
        finally:
            _reading.discard(thread)
        self._position += len(data)
        return data

    def check(self) -> None:
        """Raise what a read has failed with, because the decoder knows the bytes after it as the end of the file."""
        if self._failure:
            raise self._failure

    def _read(self, size: int) -> bytes:
        if self._is_stale:
            self._reopen()
        self._is_stale = True
        if self._reached != self._position:  # not before every read, because the call takes as long as reading a little
            self._file.seek(self._position)
        data: bytes = self._file.read(size)
        self._reached = self._position + len(data)
        if not data and self._position < self._size:
            raise OSError(errno.EIO, f"it ends at byte {self._position} of {self._size}")
        self._is_stale = False
        return data

    def _reopen(self) -> None:
        self._file.close()
        self._file, version = _opened(self.name)
        self._reached = 0
        if version != self.version:
            raise StorageError(f"{self.name}: was changed while it was read; run the same command again")


def _opened(path: str) -> tuple[io.RawIOBase, tuple[int, int]]:
    """The open file and its version. Raises OSError and MovieOpenError."""
    if is_url(path):
        remote = RangeFile(path)
        return remote, (remote.size, 0)
    try:
        file = _open_regular(path)
        status = os.fstat(file.fileno())
        return file, (status.st_size, status.st_mtime_ns)
    except MovieOpenError:
        raise
    except (OSError, ValueError) as error:  # a ValueError: the path cannot be one
        number = getattr(error, "errno", None)
        if isinstance(error, OSError) and number not in LASTING:
            raise
        remedy = "check its permissions" if number in (errno.EACCES, errno.EPERM) else ""
        raise MovieOpenError(path, f"cannot be opened ({getattr(error, 'strerror', error)})", remedy) from None


class _RegularFile(io.FileIO):
    def __del__(self) -> None:
        self.close()  # without a warning: nobody can close the file of a decoder that hangs


def _open_regular(path: str) -> io.FileIO:
    # First, because opening a FIFO waits for ever, and opening a device may do anything.
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - pathlib would change the name
        raise MovieOpenError(path, "is not a regular file")
    return _RegularFile(path)


def patiently(path: str, action: Callable[[], Answer], final: type[Exception] | tuple[()] = ()) -> Answer:
    """The result of ``action``, which is called again if the system or the storage fails.

    Errors of the class ``final`` are raised at once; an OSError or MemoryError of the last attempt is a StorageError.
    """
    pauses = iter(PAUSES)
    while True:
        try:
            return action()
        except final:
            raise
        except (OSError, MemoryError) as error:
            reason, pause = _reason(error), next(pauses, None)
            if pause is None:
                number = errno.ENOMEM if isinstance(error, MemoryError) else error.errno
                remedy = REMEDIES.get(number or 0, "see that its disk or server answers and that it may be read")
                raise StorageError(
                    f"{path}: cannot be read after {len(PAUSES) + 1} attempts ({reason}); {remedy}, then run the same "
                    "command again to resume"
                ) from error
            log.warning("%s: cannot be read (%s); next attempt in %g s", path, reason, pause)
            time.sleep(pause)


def _reason(error: OSError | MemoryError) -> str:
    if isinstance(error, MovieOpenError):
        return error.reason
    if isinstance(error, MemoryError):
        return "out of memory"
    return error.strerror or str(error)


def waits_for_bytes(thread: threading.Thread) -> bool:
    """Whether this thread waits for bytes of a movie at this moment, rather than for a decoder."""
    return thread.ident in _reading
