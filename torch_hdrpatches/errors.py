"""Every error that this package raises, as one tree.

HDRPatchesError
├── RecipeError (ValueError)            invalid recipe or arguments
├── MovieError (ValueError)             a movie cannot be used; other movies still can
│   ├── MovieOpenError (OSError)        missing, unreadable, or opened by a forbidden protocol
│   ├── DamagedMovieError               truncated or corrupt, or has no frames
│   ├── UntaggedMovieError              colour tags are missing, and the recipe assumes none
│   └── UnsupportedMovieError           a kind of movie that is refused (Dolby Vision 5, interlaced, ICtCp, ...)
├── WindowError (LookupError)           no usable window at this time; another time is tried for the same slot
├── NoSamplesError (RuntimeError)       a stream has no samples at all
├── WorkerDiedError (RuntimeError)      a worker process was killed or crashed
├── ShardError (ValueError)             a damaged or foreign shard, or folder of shards
├── ExportError (RuntimeError)          an export cannot continue, or not with this recipe
├── StorageError (RuntimeError)         a folder or file behind a URL cannot be reached
├── StateError (ValueError)             a state_dict of another recipe, batch size or version
├── RanksError (RuntimeError)           ranks would get the same data twice, or not all of it
└── MissingExtraError (ImportError)     an optional dependency is not installed
"""

from __future__ import annotations


class HDRPatchesError(Exception):
    """Base of all errors of this package."""


class RecipeError(HDRPatchesError, ValueError):
    """Invalid recipe or arguments; names the field and valid values."""


class MovieError(HDRPatchesError, ValueError):
    """A movie cannot be used: which, why, and what would help."""

    def __init__(self, path: str, reason: str, remedy: str = "") -> None:
        super().__init__(path, reason, remedy)
        self.path, self.reason, self.remedy = path, reason, remedy

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" + (f"; {self.remedy}" if self.remedy else "")


class MovieOpenError(MovieError, OSError):
    """The file is missing or cannot be read, or its protocol or format is not allowed."""


class DamagedMovieError(MovieError):
    """The file is truncated or corrupt, or has no frames."""


class UntaggedMovieError(MovieError):
    """Colour tags are missing, and the recipe assumes none in their place."""


class UnsupportedMovieError(MovieError):
    """The movie is of a kind that is refused; says what would help."""


class WindowError(HDRPatchesError, LookupError):
    """There is no usable window at this time. ``reason`` is the short text under which such refusals are counted."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class NoSamplesError(HDRPatchesError, RuntimeError):
    """A stream has no samples at all; says why every window was refused."""


class WorkerDiedError(HDRPatchesError, RuntimeError):
    """A worker process was killed, ran out of memory or crashed; says which sample or job it was working on."""


class ShardError(HDRPatchesError, ValueError):
    """A shard or a folder of shards is damaged, or was not written by this package."""


class ExportError(HDRPatchesError, RuntimeError):
    """An export cannot continue, or not with this recipe."""


class StorageError(HDRPatchesError, RuntimeError):
    """A folder or file cannot be reached. Not an OSError, so that no reader takes it for a damaged movie."""


class StateError(HDRPatchesError, ValueError):
    """A state_dict belongs to another recipe, batch size or version."""


class RanksError(HDRPatchesError, RuntimeError):
    """The ranks of a distributed training would get the same data twice, or not all of it; says what would help."""


class MissingExtraError(HDRPatchesError, ImportError):
    """An optional dependency is not installed; names the extra to install."""
