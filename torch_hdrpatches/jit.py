"""Compiles loops with numba, and caches the machine code so that processes may run in parallel or be killed."""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from numba import __version__ as numba_version
from numba import njit
from numba.core.caching import FunctionCache
from numba.core.serialize import dumps

from .files import keep, kept, package_digest

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """``numba.njit`` without the GIL, with its machine code cached on disk if a folder can be written.

    Without ``fastmath``, so that every CPU gives the same results.
    """
    dispatcher: Any = njit(nogil=True, error_model="numpy")(function)
    with suppress(RuntimeError):  # neither this folder nor the user's cache can be written: compile in each process
        cache = FunctionCache(function)
        cache._cache_file = _CodeFiles(Path(cache.cache_path), f"{function.__module__}.{function.__qualname__}")
        dispatcher._cache = cache
    return dispatcher  # type: ignore[no-any-return]


class _CodeFiles:
    """One file per specialisation of a function, named after everything that its machine code depends on.

    Replaces numba's index file: processes that compile at the same time overwrite each other's entries there, and a
    killed process leaves an entry that names a file of older code. Either would run the wrong machine code.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name

    def load(self, key: Any) -> Any:
        data = kept(self._path(key))
        return None if data is None else pickle.loads(data)

    def save(self, key: Any, data: Any) -> None:
        with suppress(OSError):  # the code is used even if it cannot be cached
            keep(self._path(key), dumps(data))

    def _path(self, key: Any) -> Path:
        versions = f"{sys.implementation.cache_tag} {numba_version} {package_digest()}"
        digest = hashlib.sha256(f"{key!r} {versions}".encode()).hexdigest()[:24]
        return self._folder / f"{self._name}.{digest}.nbc"
