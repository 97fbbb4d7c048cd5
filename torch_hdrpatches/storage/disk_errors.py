"""Errors of the file system during an export, as one line that says what would help."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ExportError, HDRPatchesError

REMEDIES = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some of your quota there, or have it raised",
    errno.EFBIG: "allow larger files (ulimit -f), or lower shards.runs",
    errno.EROFS: "choose another folder",
    **dict.fromkeys((errno.EACCES, errno.EPERM), "allow this user to read and write there, or choose another folder"),
    **dict.fromkeys((errno.EEXIST, errno.ENOTDIR), "a file has the name that a folder needs; choose another folder"),
    errno.EIO: "the disk or the network fails; see the system's log",
    errno.ESTALE: "the network file system was remounted",
}
"""By error number; other OSErrors do not come from the disk."""


@contextmanager
def as_export_error(folder: object) -> Iterator[None]:
    """Raise disk errors of an export into ``folder`` as ``ExportError``."""
    try:
        yield
    except HDRPatchesError:
        raise
    except OSError as error:
        if error.errno not in REMEDIES:
            raise
        what = f"{error.strerror} ({error.filename})" if error.filename else str(error.strerror)
        raise ExportError(f"{folder}: {what}; {REMEDIES[error.errno]}, then run the same command again") from error
