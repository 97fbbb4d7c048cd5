"""Counts of samples, refusals and failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from .sweep import Outcome


@dataclass(slots=True, repr=False)
class Tally:
    """Counts over a part of the stream. The tallies of parts add up to the tally of the whole."""

    slots: int = 0
    windows: int = 0
    """Windows that were asked for: slots plus retries."""
    samples: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(category, format, movie) to samples."""
    rejects: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(movie, reason) to refused windows and categories."""
    failures: dict[str, str] = field(default_factory=dict)
    """Movie to the reason why it could not be read."""

    def add(self, outcome: Outcome) -> None:
        """Count one slot."""
        if outcome.failure is not None:
            self.failures[outcome.movie] = str(outcome.failure)
            return
        self.slots += 1
        self.windows += outcome.windows
        self.samples.update((sample["category"], sample["format"], sample["movie"]) for sample in outcome.samples)
        self.rejects.update((outcome.movie, reason) for _, reason in (*outcome.rejects, *outcome.refused))

    def __iadd__(self, other: Tally) -> Self:
        self.slots += other.slots
        self.windows += other.windows
        self.samples.update(other.samples)
        self.rejects.update(other.rejects)
        self.failures.update(other.failures)
        return self

    @property
    def total(self) -> int:
        """All samples."""
        return self.samples.total()

    def by(self, what: str) -> dict[str, int]:
        """Samples by ``"category"``, ``"format"`` or ``"movie"``, names sorted."""
        return _sums(self.samples, ("category", "format", "movie").index(what))

    def reasons(self) -> dict[str, int]:
        """Refusals by reason, sorted by name."""
        return _sums(self.rejects, 1)

    def by_movie(self) -> dict[str, dict[str, Any]]:
        """Samples and refusals by reason of each movie, sorted by name."""
        samples = self.by("movie")
        return {
            movie: {
                "samples": samples.get(movie, 0),
                "rejects": {reason: count for (name, reason), count in sorted(self.rejects.items()) if name == movie},
            }
            for movie in sorted({*samples, *(name for name, _ in self.rejects), *self.failures})
        }

    def counts(self) -> dict[str, Any]:
        """All counts as JSON-able values, for other programs."""
        return {
            "total": self.total,
            "slots": self.slots,
            "windows": self.windows,
            "categories": self.by("category"),
            "formats": self.by("format"),
            "movies": self.by_movie(),
            "rejects": self.reasons(),
            "failures": dict(sorted(self.failures.items())),
        }

    def explain(self) -> str:
        """Why there are no more samples, in one line."""
        parts = [f"{count} x {reason}" for reason, count in self.reasons().items()]
        parts += [f"{movie} failed ({reason})" for movie, reason in sorted(self.failures.items())]
        return "; ".join(parts) or "nothing was refused"

    def __repr__(self) -> str:
        parts = [f"{self.total} samples from {self.slots} slots", _listed(self.by("category"))]
        if reasons := self.reasons():
            parts.append(f"refused: {_listed(reasons)}")
        if self.failures:
            parts.append(f"failed: {', '.join(sorted(self.failures))}")
        return f"<Tally: {'; '.join(filter(None, parts))}>"

    def _repr_html_(self) -> str:
        from .notebook import section, table

        samples = Counter[tuple[str, str]]()
        for (category, format, _), count in self.samples.items():
            samples[category, format] += count
        return section(
            f"{self.total} samples from {self.slots} slots; {self.windows} windows were decoded",
            table(("category", "format", "samples"), ((*names, count) for names, count in sorted(samples.items()))),
            table(("refused because", "windows"), self.reasons().items()),
            table(("movie", "cannot be used because"), sorted(self.failures.items())),
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON-able form that ``from_json`` reads back."""
        return {
            "slots": self.slots,
            "windows": self.windows,
            "samples": [[*names, count] for names, count in sorted(self.samples.items())],
            "rejects": [[*names, count] for names, count in sorted(self.rejects.items())],
            "failures": dict(sorted(self.failures.items())),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The tally that ``to_json`` wrote."""
        samples = Counter({tuple(names): count for *names, count in fields["samples"]})
        rejects = Counter({tuple(names): count for *names, count in fields["rejects"]})
        return cls(fields["slots"], fields["windows"], samples, rejects, dict(fields["failures"]))

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Self:
        """The tally of these outcomes."""
        tally = cls()
        for outcome in outcomes:
            tally.add(outcome)
        return tally


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _sums(counts: Counter[Any], part: int) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for names, count in counts.items():
        sums[names[part]] += count
    return dict(sorted(sums.items()))
