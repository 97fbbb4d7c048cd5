"""Memory that decoders freed: taken again by the next of the same kind, else given back to the system."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Hashable


def _glibc_trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another C library, which manages its memory in another way
        return None
    return trim


_TRIM = _glibc_trim()
_last_kind: Hashable = None
"""Of decoder that this process opened. Decides what memory is kept, and nothing else."""


def give_back() -> None:
    """Give all freed memory back."""
    if _TRIM:
        _TRIM(0)


def prepare_for(kind: Hashable) -> None:
    """Before a decoder of this kind is opened, give back what one of another kind has left.

    glibc keeps what a decoder frees, so that a process would grow with every size of picture; but to get the same
    memory back from the system, run after run, would cost a few per cent of the time at 4K.
    """
    global _last_kind
    if kind != _last_kind:
        give_back()
        _last_kind = kind
