"""Requests to servers and object stores through fsspec: repeated when they fail, with errors of this package."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

import fsspec

from ..errors import MissingExtraError, StorageError

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "http": "http", "https": "http"}
"""Protocol -> the extra of this package that installs what fsspec needs for it."""
PAUSES = (0.5, 2.0, 8.0)
"""Seconds between attempts of a request."""

Answer = TypeVar("Answer")

log = logging.getLogger(__name__)


def is_url(path: str) -> bool:
    """Whether a path is a URL, which fsspec opens."""
    return re.match(r"^[a-z][a-z0-9+.-]+://", path) is not None


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, created in this process, and the path in it.

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


def with_retries(url: str, request: Callable[[Any, str], Answer]) -> Answer:
    """The result of ``request(file_system, path)``, which is called again if it fails.

    fsspec's cached listings are dropped first, because other processes write there too.

    Raises:
        FileNotFoundError, PermissionError: at once.
        MissingExtraError: if a package for this protocol is not installed.
        StorageError: at once if the request is invalid; after the last attempt for all other errors.
    """
    system, path = file_system(url)
    for pause in (*PAUSES, None):
        try:
            system.invalidate_cache()
            return request(system, path)
        except (FileNotFoundError, PermissionError):
            raise
        except ValueError as error:
            raise StorageError(f"{url}: {error}") from error
        except Exception as error:
            if pause is None:
                raise StorageError(
                    f"{url}: request failed after {len(PAUSES) + 1} attempts ({type(error).__name__}: {error}); "
                    "run the same command again to resume"
                ) from error
            log.warning("%s: request failed (%r); next attempt in %g s", url, error, pause)
            time.sleep(pause)
    raise AssertionError("the last pause is None")
