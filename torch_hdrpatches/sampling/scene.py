"""Whether a window shows one stable scene: no cut, flash, fade or repeated picture, and not black or flat.

Pictures are reduced to grids of about 3,600 cells (45 x 80 for 16:9): mean luma of squares of pixels, in SDR codes.
Blocks of 8 x 8 cells are looked for in the picture before, up to a tenth of its width away, by their pattern more than
by their brightness. What is then left over is what motion does not explain, and tells the kinds apart (``steps``):

* cut, flash: one step leaves far more over than the others do, measured by the contrast of the picture;
* fade, dissolve: what is left over keeps its sign from step to step, so that blocks become brighter or darker;
* frozen: a step changes next to nothing while the steps around it do, or nothing at all;
* black, flat: a picture has light, or contrast, nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ..frames import Box, Planes
from ..recipe.settings import Kind, Measure
from .motion import SMOOTH, Cells, Grid, Leftover, cells_of, leftover

Reason: TypeAlias = Literal["", "cut", "flash", "black", "flat", "fade", "frozen", "unstable"]

STEP = 8
"""``first_to_last`` reads every eighth row and column: the mean of an ordinary picture moves by less than one code."""

# Where a kind begins: chosen on one half of the labelled set of benchmarks/scene_stability.py. Codes are SDR, 0 to 255.
CUT, CUT_RESTLESS = 0.2, 0.68
"""A cut leaves over so much of the picture's contrast, and so much of what the third largest step leaves over as well:
the two largest may both be of one flash."""
FADE_NOISE, FADE, FADE_CODES = 0.5, 1.8, 2.0
"""A fade changes the light of blocks by two codes or more, and by nearly twice what is left over beside it."""
REPEAT, MOVING = 0.25, 0.25
"""A repeated picture changes by a quarter of what its neighbours do, and those by a quarter of a code or more."""
HELD, STILL = 0.02, 0.002
"""Held: a fiftieth of the second largest step, whatever is next to it. Still: so few codes that nothing has changed."""
FLAT, BLACK = 6.0, 16.0
"""Codes that all but a hundredth of the cells at either end lie within; code below which nearly all of them lie."""
WORST = 10.0
"""Largest score of ``steps``: beyond, scores tell nothing."""


@dataclass(frozen=True, slots=True)
class Stability:
    """What a measure says of a window."""

    score: float
    """Larger is less stable. ``steps``: 0 to 10, refused from 1; ``first_to_last``: 0 to 255 codes."""
    reason: Reason
    """Why the window is refused, ``""`` if it is not; ``unstable`` is all that ``first_to_last`` has to say."""


def judge(
    pictures: Sequence[Planes],
    grey: Grid,
    area: Box,
    measure: Measure = "steps",
    max_scene_change: float = 45.0,
    tolerate: Collection[Kind] = (),
) -> Stability:
    """Whether consecutive pictures show one stable scene.

    Args:
        pictures: a window, in presentation order.
        grey: SDR code of a neutral, by luma code, so that thresholds mean the same for PQ, HLG and SDR movies.
        area: where to look: the picture inside its black bars.
        measure: ``steps`` looks at all pictures, ``first_to_last`` at the first and the last one only.
        max_scene_change: codes above which ``first_to_last`` refuses; without meaning for ``steps``.
        tolerate: kinds that ``steps`` lets pass, e.g. ``frozen`` for films drawn on twos.
    """
    if measure == "first_to_last":
        change = first_to_last(*(luma_grid(picture, grey, area) for picture in (pictures[0], pictures[-1])))
        return Stability(change, "unstable" if change > max_scene_change else "")
    scores = {kind: score for kind, score in kinds(cells_of(pictures, grey, area)).items() if kind not in tolerate}
    reason: Reason = next((kind for kind, score in scores.items() if score >= 1), "")
    return Stability(max(scores.values(), default=0.0), reason)


def luma_grid(picture: Planes, grey: Grid, area: Box) -> Grid:
    """uint8 (rows, columns): SDR codes of a picture's luma inside ``area``, every ``STEP`` pixels."""
    luma = picture.y[area.top : area.top + area.height : STEP, area.left : area.left + area.width : STEP]
    return grey[luma]


def first_to_last(first: Grid, last: Grid) -> float:
    """Mean absolute luma difference between two grids, in 8-bit SDR codes: 0 (same picture) to 255."""
    return float(np.abs(first.astype(np.int16) - last).mean())


def kinds(cells: Cells) -> dict[Kind, float]:
    """How far a window goes towards each kind: 1 is where it begins, ``WORST`` the most.

    In the order in which they are named: a cut explains a fade and a black picture a frozen one, not the reverse.
    """
    scores: dict[Kind, float] = {"cut": 0.0, "flash": 0.0, **_empty(cells)}
    if len(cells) > 1:
        left = leftover(cells[:-1], cells[1:])
        lost, repeated = _lost(left), _repeated(cells)
        moving = sorted(share for share, score in zip(lost, repeated, strict=True) if score < 1)
        others = moving[max(0, len(moving) - 3)] if len(moving) > 1 else 0.0
        at = lost.index(max(lost))
        sudden = lost[at] / (CUT + CUT_RESTLESS * others)
        scores["fade"], scores["frozen"] = _fade(left), max(repeated)
        if lost[at] > 2 * others or scores["fade"] < 1:  # else it is a fast fade
            scores["flash" if sudden >= 1 and _returns(cells, at, lost[at] / 2) else "cut"] = sudden
    return {kind: min(score, WORST) for kind, score in scores.items()}


def _lost(left: Leftover) -> list[float]:
    """By step: share of the picture's contrast that is left over. Sums are exact: all terms have few binary digits."""
    room = left.contrast + SMOOTH
    return [float(share) for share in left.lost.sum(1) / room.sum(1)]


def _returns(cells: Cells, at: int, share: float) -> bool:
    """Whether a picture up to step ``at`` comes back after it: less than ``share`` of their contrast is left over."""
    pairs = [(i, j) for i in range(at + 1) for j in range(max(at + 1, i + 2), len(cells))]
    before, after = np.array(pairs, np.intp).reshape(-1, 2).T
    return bool(pairs) and min(_lost(leftover(cells[before], cells[after]))) < share


def _fade(left: Leftover) -> float:
    net = np.abs(left.shift.sum(0))
    steady = np.maximum(0, net - (np.abs(left.shift).sum(0) - net))
    relative = steady / (FADE_NOISE + left.pattern.mean(0))
    # fsum: the same whatever order a CPU adds in
    return min(math.fsum(relative) / FADE, math.fsum(steady) / FADE_CODES) / len(net)


def _repeated(cells: Cells) -> list[float]:
    """By step: what a repeated picture may change by over what changes, from the mean absolute change of a cell."""
    steps = [int(step) / (16 * cells[0].size) for step in np.abs(np.diff(cells, axis=0)).sum((1, 2))]
    second = sorted(steps)[-2] if len(steps) > 1 else 0.0
    scores = []
    for at, change in enumerate(steps):
        before, after = max(steps[max(0, at - 2) : at], default=second), max(steps[at + 1 : at + 3], default=second)
        around = min(before, after, second)
        allowed = max(STILL, REPEAT * around if around >= MOVING else 0, HELD * second if second >= MOVING else 0)
        scores.append(allowed / change if change else WORST)
    return scores


def _empty(cells: Cells) -> dict[Kind, float]:
    """Of the picture with the least contrast."""
    ranked = np.sort(cells.reshape(len(cells), -1), axis=1) / 16
    low, high = ranked[:, ranked.shape[1] // 100], ranked[:, -1 - ranked.shape[1] // 100]
    least = int(np.argmin(high - low))
    score = FLAT / max(float(high[least] - low[least]), FLAT / WORST)
    return {"black": score, "flat": 0.0} if high[least] < BLACK else {"black": 0.0, "flat": score}
