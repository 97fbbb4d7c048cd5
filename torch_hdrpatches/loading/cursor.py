"""The state of a loader between two batches, the same on all ranks, and the check that a saved state fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import StateError
from ..sampling.fingerprint import differing

STATE_VERSION = 3

HINTS = {"num_workers": "PatchLoader resumes with any number of workers"}


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between two batches of an epoch. Every rank has the same one after the same number of batches."""

    epoch: int = 0
    batches: int = 0
    """Number of batches that each rank has given in this epoch."""
    start: int = 0
    """Where the segment of the epoch begins in which the cursor stands; see ``Segment``."""
    parts: int = 0
    """Number of parts of this segment; 0 at its start, where the number of ranks decides."""
    given: int = 0
    """Number of batches of this segment that all ranks together have given."""

    def to_json(self) -> dict[str, Any]:
        """The JSON form that ``from_json`` reads."""
        return {"version": STATE_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Cursor:
        """The cursor that ``to_json`` wrote; other keys are ignored. Raises StateError if a field is malformed."""
        try:
            numbers = {name: int(state[name]) for name in cls.__dataclass_fields__}
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(f"this is not the state of a PatchLoader: {error!r}") from None
        cursor = cls(**numbers)
        if min(numbers.values()) < 0 or (cursor.given > 0 and cursor.parts == 0):
            raise StateError(f"this is not the state of a PatchLoader: {cursor}")
        return cursor


def check_state(saved: Mapping[str, Any], own: Mapping[str, Any], keys: tuple[str, ...] = ()) -> None:
    """Raise StateError if a saved state differs from the present one in version, identity or one of these keys."""
    found, expected = saved.get("version"), own["version"]
    if found != expected:
        earlier = isinstance(found, int) and found < expected
        reason = "; it was saved by an earlier version of this package" if earlier else ""
        raise StateError(f"the state has version {found!r}, expected {expected}{reason}")
    parts = [dict(state.get("identity", {})) | {key: state.get(key) for key in keys} for state in (saved, own)]
    if differences := differing(*parts):
        hints = [hint for key, hint in HINTS.items() if key in differences]
        what = "; ".join([", ".join(differences), *hints])
        raise StateError(f"the state belongs to another stream; differing: {what}")
