"""Every error this package raises, as one tree.

HDRPatchesError
├── RecipeError (ValueError)            a recipe or an argument cannot mean anything
├── MovieError (ValueError)             this movie gives nothing; the others go on
│   ├── MovieOpenError (OSError)        missing, unreadable, forbidden protocol
│   ├── DamagedMovieError               truncated, corrupt, no pictures
│   ├── UntaggedMovieError              colour tags are missing and nothing is assumed
│   └── UnsupportedMovieError           understood, and refused (Dolby Vision 5, interlaced, ICtCp, ...)
├── WindowError (LookupError)           no such window at this second; the slot is retried further on
├── NoSamplesError (RuntimeError)       the stream would give nothing
├── WorkerDiedError (RuntimeError)      a process that made samples was killed
├── ShardError (ValueError)             a shard or a folder of shards is not what it claims to be
├── ExportError (RuntimeError)          an export cannot go on, or not with this recipe
├── StorageError (RuntimeError)         a folder or file cannot be reached where it is said to lie
├── StateError (ValueError)             a state_dict of another recipe or version
└── MissingExtraError (ImportError)     an optional dependency is not installed
"""

from __future__ import annotations


class HDRPatchesError(Exception):
    """Base of all errors of this package."""


class RecipeError(HDRPatchesError, ValueError):
    """A recipe or an argument cannot mean anything; names the field and what would be valid."""


class MovieError(HDRPatchesError, ValueError):
    """A movie gives nothing: which, why, and what would help."""

    def __init__(self, path: str, reason: str, remedy: str = "") -> None:
        super().__init__(path, reason, remedy)
        self.path = path
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" + (f"; {self.remedy}" if self.remedy else "")


class MovieOpenError(MovieError, OSError):
    """The file is missing, cannot be read, or its protocol or format is not on the white list."""


class DamagedMovieError(MovieError):
    """The file is truncated or corrupt, or holds no pictures."""


class UntaggedMovieError(MovieError):
    """Colour tags are missing and the recipe assumes nothing in their place."""


class UnsupportedMovieError(MovieError):
    """The movie is understood and refused, with what would help."""


class WindowError(HDRPatchesError, LookupError):
    """No window can be given at this second. ``reason`` is the word under which it is tallied."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class NoSamplesError(HDRPatchesError, RuntimeError):
    """The stream would give nothing; says what refused everything."""


class WorkerDiedError(HDRPatchesError, RuntimeError):
    """A process that made samples was killed, ran out of memory or crashed; says what it was making."""


class ShardError(HDRPatchesError, ValueError):
    """A shard, or a folder of shards, is not what it claims to be."""


class ExportError(HDRPatchesError, RuntimeError):
    """An export cannot go on, or not with this recipe."""


class StorageError(HDRPatchesError, RuntimeError):
    """A folder or file cannot be reached where it is said to lie. No OSError, which a reader takes for damage."""


class StateError(HDRPatchesError, ValueError):
    """A state_dict belongs to another recipe, world size or version."""


class MissingExtraError(HDRPatchesError, ImportError):
    """An optional dependency is not installed; names the extra to install."""
