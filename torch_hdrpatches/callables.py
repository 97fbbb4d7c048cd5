"""Functions that users pass: their names, a check of their arguments, and errors that say where they happened."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from torch.utils.data import get_worker_info

from .errors import MovieError, WindowError

FunctionT = TypeVar("FunctionT")

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "transform": ("sample", "rng"),
    "accept": ("sample",),
    "degrade": ("frames", "scale", "rng"),
    "curve": ("light", "peak"),
    "where": ("fields",),
}
"""What each kind of function is called with, by position."""
RNG = ": rng is a numpy Generator seeded by the sample's address"


def name_of(choice: object) -> str:
    """The same text in every process: a string itself, a callable's module path, or a repr without memory addresses.

    It is for people; ``state_names.state_name`` tells objects of one class apart.
    """
    if isinstance(choice, str):
        return choice
    if hasattr(choice, "__qualname__"):
        # Without the sub-package, so that moving a built-in callable does not change manifests and saved states.
        module = re.sub(r"^torch_hdrpatches\..*\.", "torch_hdrpatches.", choice.__module__ or "")
        return f"{module}.{choice.__qualname__}".lstrip(".")  # methods of built-in types have no module
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(choice))


def checked(kind: str, function: FunctionT) -> FunctionT:
    """The same function. Raises TypeError if it cannot be called with the arguments of its kind (``ARGUMENTS``)."""
    names = ", ".join(ARGUMENTS[kind])
    takes = f"{kind} takes ({names}){RNG if 'rng' in names else ''}"
    if not callable(function):
        raise TypeError(f"{takes}; {function!r} is not a function")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # written in C, and without a signature
        return function
    try:
        signature.bind(*ARGUMENTS[kind])
    except TypeError as error:
        raise TypeError(f"{takes}; {name_of(function)}{signature} cannot be called so: {error}") from None
    return function


@contextmanager
def called(kind: str, function: object, key: str) -> Iterator[None]:
    """Adds to any error which function was called for which sample.

    The error stays the same object, except where it would be lost: in a worker of a ``DataLoader`` if torch cannot
    raise one like it in the main process, and if it is an error that the stream takes for a refused window or movie.
    There a RuntimeError takes its place.
    """
    try:
        yield
    except Exception as error:
        place = f"This happened in {kind} {name_of(function)} for sample {key}."
        if isinstance(error, (MovieError, WindowError)) or (get_worker_info() and not _crosses_processes(type(error))):
            raise RuntimeError(f"{type(error).__name__}: {error}\n{place}") from error
        error.add_note(place)
        raise


def _crosses_processes(kind: type[Exception]) -> bool:
    """Whether torch, which pickles the class and calls it with one text, gets an error that shows the text."""
    try:
        pickle.dumps(kind)
        return not getattr(kind, "message", None) and "text" in str(kind("text"))
    except Exception:  # noqa: BLE001 - constructors may raise anything
        return False
