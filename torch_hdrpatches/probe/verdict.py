"""Decides whether a movie can be used, with a sentence for people and JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice, pairwise
from typing import Any, Literal, TypeAlias

from ..errors import MovieError, UntaggedMovieError
from ..video.decoder import Decoder
from ..video.facts import Facts
from .movie_facts import EXAMPLE_TAGS, probe

Status: TypeAlias = Literal["usable", "usable with assume", "refused"]
"""``usable with assume``: usable if the recipe's key ``assume`` gives the missing colour tags."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a movie can be used; if not, it has a reason instead of facts."""

    path: str
    facts: Facts | None
    keyframe_seconds: float
    """Longest interval between early keyframes, so the most that a window needs decoded; 0 = unknown."""
    reason: str = ""
    remedy: str = ""
    is_untagged: bool = False
    """Only colour tags are missing, which a recipe may assume."""

    @property
    def status(self) -> Status:
        """The verdict in a few words."""
        if self.facts:
            return "usable"
        return "usable with assume" if self.is_untagged else "refused"

    @property
    def text(self) -> str:
        """The verdict in a sentence, with reason or warnings."""
        if self.facts is None:
            return f"{self.status}: {self.reason}" + (f"; {self.remedy}" if self.remedy else "")
        return "usable" + (f", but {'; '.join(self.facts.warnings)}" if self.facts.warnings else "")

    def to_json(self) -> dict[str, Any]:
        """All fields and properties as JSON-able values."""
        return asdict(self) | {"usable": self.facts is not None, "status": self.status, "verdict": self.text}


def verdict_on(path: str, assume: Mapping[str, str] | None = None) -> Verdict:
    """Probe a movie; an unusable one is no error."""
    try:
        facts = probe(path, assume=assume)
    except UntaggedMovieError as error:
        otherwise = verdict_on(path, {**EXAMPLE_TAGS, **(assume or {})})
        return Verdict(path, None, 0.0, error.reason, error.remedy, is_untagged=True) if otherwise.facts else otherwise
    except MovieError as error:
        return Verdict(path, None, 0.0, error.reason, error.remedy)
    with Decoder(facts.path, facts.stream) as decoder:
        early = islice(decoder, 2000)  # packets: more than a minute
        packets = [(coded.pts, coded.is_key) for coded in early if coded.pts is not None]
        times = sorted([pts for pts, is_key in packets if is_key] + [pts for pts, _ in packets[-1:]])
        longest = max((later - earlier for earlier, later in pairwise(times)), default=0)
        return Verdict(path, facts, float(longest * decoder.time_base))
