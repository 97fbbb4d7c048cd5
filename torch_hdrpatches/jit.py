"""Loops compiled by numba, alike in every module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """``numba.njit`` without the GIL, its machine code kept on disk where there is a place to keep it.

    There is no ``fastmath``: every CPU gives the same bytes.
    """
    try:
        return njit(nogil=True, error_model="numpy", cache=True)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # neither this folder nor the user's cache can be written: each process compiles anew
        return njit(nogil=True, error_model="numpy")(function)  # type: ignore[no-any-return]
