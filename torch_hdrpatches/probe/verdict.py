"""Whether a movie can be used, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice, pairwise
from typing import Any, Literal, TypeAlias

from ..errors import MovieError, UntaggedMovieError
from ..video.decoder import Counters, Source
from ..video.facts import Facts
from .probe import EXAMPLE_TAGS, probe

Status: TypeAlias = Literal["usable", "usable with assume", "refused"]

PACKETS = 2000
"""Packets in which keyframes are looked for: more than a minute."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of looking into a movie."""

    path: str
    facts: Facts | None
    """None: it gives nothing."""
    keyframe_seconds: float
    """Longest time without a keyframe, at the beginning; a moment costs up to this much decoding. 0 = unknown."""
    reason: str = ""
    """Why it gives nothing."""
    remedy: str = ""
    is_untagged: bool = False
    """All that it lacks are colour tags, which a recipe may assume."""

    @property
    def status(self) -> Status:
        """In short."""
        if self.facts:
            return "usable"
        return "usable with assume" if self.is_untagged else "refused"

    @property
    def text(self) -> str:
        """One sentence."""
        if self.facts is None:
            return f"{self.status}: {self.reason}" + (f"; {self.remedy}" if self.remedy else "")
        return "usable" + (f", but {'; '.join(self.facts.warnings)}" if self.facts.warnings else "")

    def to_json(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        return asdict(self) | {"usable": self.facts is not None, "status": self.status, "verdict": self.text}


def verdict_on(path: str, assume: Mapping[str, str] | None = None) -> Verdict:
    """Look into a movie."""
    try:
        facts = probe(path, assume=assume)
    except UntaggedMovieError as error:
        otherwise = verdict_on(path, {**EXAMPLE_TAGS, **(assume or {})})
        return Verdict(path, None, 0.0, error.reason, error.remedy, is_untagged=True) if otherwise.facts else otherwise
    except MovieError as error:
        return Verdict(path, None, 0.0, error.reason, error.remedy)
    return Verdict(path, facts, _keyframe_seconds(path, facts))


def _keyframe_seconds(path: str, facts: Facts) -> float:
    with Source(path, facts.stream, Counters(), threads=1, strict=False) as source:
        packets = [
            (coded.pts, coded.key) for coded in islice(iter(source.read, None), PACKETS) if coded.pts is not None
        ]
        times = sorted([pts for pts, key in packets if key] + [pts for pts, _ in packets[-1:]])
        apart = (later - earlier for earlier, later in pairwise(times))
        return float(max(apart, default=0) * source.time_base)
