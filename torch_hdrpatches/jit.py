"""Loops compiled by numba, alike in every module, and kept on disk so that processes may be killed at any time."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from numba import __version__ as numba_version
from numba import njit
from numba.core.caching import FunctionCache
from numba.core.serialize import dumps

from .cache import keep, package_digest

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """``numba.njit`` without the GIL, its machine code kept on disk where there is a place to keep it.

    There is no ``fastmath``: every CPU gives the same bytes.
    """
    dispatcher = njit(nogil=True, error_model="numpy")(function)
    try:
        kept = FunctionCache(function)
    except RuntimeError:  # neither this folder nor the user's cache can be written: each process compiles anew
        return dispatcher  # type: ignore[no-any-return]
    kept._cache_file = _Files(Path(kept.cache_path), f"{function.__module__}.{function.__qualname__}")
    dispatcher._cache = kept
    return dispatcher  # type: ignore[no-any-return]


class _Files:
    """A file per specialisation, named after all that it depends on.

    In place of numba's index: processes that compile at the same time overwrite each other's entries in it, and one
    that is killed leaves an entry for a file of older code. Either would run other machine code than was meant.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name

    def load(self, key: Any) -> Any:
        try:
            return pickle.loads(self._path(key).read_bytes())
        except FileNotFoundError:
            return None

    def save(self, key: Any, data: Any) -> None:
        with suppress(OSError):  # a full disk, say: what was compiled is used all the same
            keep(self._path(key), dumps(data))

    def flush(self) -> None:
        for path in self._folder.glob(f"{self._name}.*.nbc"):
            path.unlink(missing_ok=True)

    def _path(self, key: Any) -> Path:
        digest = hashlib.sha256(f"{key!r} {numba_version} {package_digest()}".encode()).hexdigest()[:24]
        return self._folder / f"{self._name}.{digest}.nbc"
