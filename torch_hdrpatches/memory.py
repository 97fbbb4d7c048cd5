"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes
from collections.abc import Callable


def _glibc_trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another C library, which manages its memory in another way
        return None
    return trim


_TRIM = _glibc_trim()


def give_back() -> None:
    """Give freed memory back. glibc keeps what a decoder frees, so that a process grows with every kind of movie."""
    if _TRIM:
        _TRIM(0)
