"""What is behind a URL, by fsspec: asked again when it fails, and an error of our own when it fails for good."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

import fsspec

from ..errors import MissingExtraError, StorageError

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "http": "http", "https": "http"}
"""Protocols to the extra of this package that brings what fsspec needs for them."""
PAUSES = (0.5, 2.0, 8.0)
"""Seconds before a store that failed is asked again."""

Answer = TypeVar("Answer")

log = logging.getLogger(__name__)


def is_url(path: str) -> bool:
    """Whether fsspec rather than the file system opens this path."""
    return re.match(r"^[a-z][a-z0-9+.-]+://", path) is not None


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, which belongs to this process, and the path in it.

    Raises:
        MissingExtraError: if a package for this protocol is not installed.
        StorageError: if there is no such protocol.
    """
    protocol = url.partition("://")[0]
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(url)
        return found
    except ImportError as error:
        what = f"torch_hdrpatches[{EXTRAS[protocol]}]" if protocol in EXTRAS else f"what fsspec needs for {protocol}"
        raise MissingExtraError(f"{url}: {error}; pip install '{what}'") from None
    except ValueError as error:
        raise StorageError(f"{url}: {error}") from None


def asked(url: str, question: Callable[[Any, str], Answer]) -> Answer:
    """The answer to ``question(file_system, path)``, which may be asked several times.

    Nothing that fsspec remembers of the store counts: others write there too.

    Raises:
        FileNotFoundError, PermissionError: at once.
        MissingExtraError: if a package for this protocol is not installed.
        StorageError: if the question makes no sense to the store, or it fails again and again, in whatever way.
    """
    system, path = file_system(url)
    for pause in (*PAUSES, None):
        try:
            system.invalidate_cache()
            return question(system, path)
        except (FileNotFoundError, PermissionError):
            raise
        except ValueError as error:
            raise StorageError(f"{url}: {error}") from error
        except Exception as error:
            if pause is None:
                raise StorageError(
                    f"{url}: its store fails ({type(error).__name__}: {error}); the same command goes on later"
                ) from error
            log.warning("%s: %r; asked again in %g s", url, error, pause)
            time.sleep(pause)
    raise AssertionError("the last pause is None")
