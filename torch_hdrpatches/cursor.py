"""Where an epoch stands: all that a resumed loader needs, and nothing that can be computed again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import StateError

STATE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between two batches."""

    epoch: int = 0
    batches: int = 0
    """Batches given."""
    group: int = 0
    """Groups of items that are used up."""
    taken: int = 0
    """Samples taken of the group after these."""
    waiting: frozenset[tuple[int, int]] = frozenset()
    """(item, sample of it) of the samples whose batch is not full yet."""

    def to_json(self) -> dict[str, Any]:
        """A small JSON-able form that ``from_json`` reads back."""
        return {
            "version": STATE_VERSION,
            "epoch": self.epoch,
            "batches": self.batches,
            "group": self.group,
            "taken": self.taken,
            "waiting": _written(self.waiting),
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Cursor:
        """The cursor that ``to_json`` wrote.

        Raises:
            StateError: if it is none.
        """
        if state.get("version") != STATE_VERSION:
            raise StateError(f"state has version {state.get('version')!r}, expected {STATE_VERSION}")
        try:
            epoch, batches, group, taken = (int(state[key]) for key in ("epoch", "batches", "group", "taken"))
            return cls(epoch, batches, group, taken, frozenset(_read(state["waiting"])))
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(f"state is not one of a PatchLoader: {error!r}") from None


def _written(waiting: Iterable[tuple[int, int]]) -> str:
    """Hexadecimal ``step:samples`` per item, by commas: steps lead from item to item, samples are bits of a number."""
    samples: dict[int, int] = {}
    for item, number in waiting:
        samples[item] = samples.get(item, 0) | 1 << number
    before, parts = 0, []
    for item, bits in sorted(samples.items()):
        parts.append(f"{item - before:x}:{bits:x}")
        before = item
    return ",".join(parts)


def _read(written: str) -> Iterable[tuple[int, int]]:
    item = 0
    for part in filter(None, written.split(",")):
        step, bits = (int(number, 16) for number in part.split(":"))
        item += step
        yield from ((item, number) for number in range(bits.bit_length()) if bits >> number & 1)
