"""What a file system refuses, said in one line with what would help."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ExportError, HDRPatchesError

REMEDIES = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some of your quota there, or have it raised",
    errno.EFBIG: "allow larger files (ulimit -f), or lower shards.runs",
    errno.EROFS: "it can only be read; choose another folder",
    errno.EACCES: "allow this user to read and write there, or choose another folder",
    errno.EPERM: "allow this user to read and write there, or choose another folder",
    errno.EEXIST: "a file has the name that a folder needs; choose another folder",
    errno.ENOTDIR: "a file has the name that a folder needs; choose another folder",
    errno.EIO: "the disk or the network fails; look into the system's log",
    errno.ESTALE: "the network file system was remounted",
}
"""By error number. Others are no matter of disks."""


@contextmanager
def explained(place: object) -> Iterator[None]:
    """Make an ``ExportError`` of what the file system refuses to an export into this place."""
    try:
        yield
    except HDRPatchesError:
        raise
    except OSError as error:
        if error.errno not in REMEDIES:
            raise
        what = f"{error.strerror} ({error.filename})" if error.filename else str(error.strerror)
        raise ExportError(f"{place}: {what}; {REMEDIES[error.errno]}, then run the same export again") from error
