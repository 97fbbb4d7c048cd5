"""The state of a loader between two batches, and the check that a saved state fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import StateError
from ..sampling.fingerprint import differing

STATE_VERSION = 2

HINTS = {
    "rank": "every rank saves and loads a state of its own",
    "num_workers": "PatchLoader resumes with any number of workers",
}


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between two batches of an epoch."""

    epoch: int = 0
    batches: int = 0
    """Number of batches given so far."""
    group: int = 0
    """Number of groups of items that are used up."""
    taken: int = 0
    """Number of samples taken from the next group."""
    waiting: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    """Bucket to number of its samples that wait until its batch is full: always the last ones so far."""
    items: tuple[int, ...] = ()
    """The items, sorted, that hold these samples; those of the next group are left out."""

    def to_json(self) -> dict[str, Any]:
        """The JSON form that ``from_json`` reads; ``waiting`` is a list of ``[*bucket, number]``."""
        waiting = [[*bucket, number] for bucket, number in self.waiting.items()]
        return {"version": STATE_VERSION, **asdict(self), "waiting": waiting}

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Cursor:
        """The cursor that ``to_json`` wrote; other keys are ignored. Raises StateError if a field is malformed."""
        try:
            epoch, batches, group, taken = (int(state[key]) for key in ("epoch", "batches", "group", "taken"))
            waiting = {tuple(map(str, bucket)): int(number) for *bucket, number in state["waiting"]}
            return cls(epoch, batches, group, taken, waiting, tuple(map(int, state["items"])))
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(f"this is not the state of a PatchLoader: {error!r}") from None


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
