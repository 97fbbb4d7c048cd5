"""Paths as people write them (``pathlib.Path``, ``~``, ``$NAME``) as the plain text that everything else works with."""

from __future__ import annotations

import os
import re

from ..errors import StorageError
from .remote import is_url


def plain_path(path: str | os.PathLike[str]) -> str:
    """The text of a path, with ``~``, ``$NAME`` and ``${NAME}`` replaced; a URL stays as it is.

    A variable that is not set stays as written, as names of files may contain ``$``. Raises StorageError for a ``Path``
    made of a URL, which has lost a slash.
    """
    text = os.fspath(path)
    if not isinstance(path, str) and re.match(r"^[a-z][a-z0-9+.-]+:/[^/]", text):
        raise StorageError(f"{text}: a Path cannot hold a URL; give it as a str")
    return text if is_url(text) else os.path.expanduser(os.path.expandvars(text))  # noqa: PTH111


def unset_variables(path: str) -> str:
    """What a message about a path that was not found adds: the variables in it that are not set, or nothing."""
    names = re.findall(r"\$\{?([A-Za-z_]\w*)", "" if is_url(path) else path)
    return "".join(f"; the environment variable {name} is not set" for name in dict.fromkeys(names))
