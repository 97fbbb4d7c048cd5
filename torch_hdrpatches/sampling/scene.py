"""Whether a window shows one stable scene: no cut, flash, fade or repeated picture, and not black or flat.

With the measure ``steps``, each frame is reduced to a grid of about 3,600 cells (45 x 80 for 16:9): the mean luma of
squares of pixels, in SDR codes. Each block of 8 x 8 cells is searched for in the frame before, up to a tenth of the
frame's width away; the match weighs its pattern more than its brightness. The residual is the difference that the best
match, that is motion, does not explain. It tells the kinds of instability apart:

* cut, flash: the residual of one step is far larger than that of the others, relative to the contrast of the frame;
* fade, dissolve: the residual has the same sign from step to step, so that blocks become steadily brighter or darker;
* frozen: one step changes almost nothing while the steps around it do, or nothing changes at all;
* black, flat: a frame has no light, or no contrast, anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ..frames import Box, Planes
from ..recipe.settings import Instability, Measure
from .motion import CONTRAST_FLOOR, Cells, Grid, Residual, cells_of, residual

Reason: TypeAlias = Literal["", "cut", "flash", "black", "flat", "fade", "frozen", "unstable"]

# Thresholds, chosen on one half of the labelled set of benchmarks/stability. Codes are SDR codes, 0 to 255.
CUT, CUT_RESTLESS = 0.2, 0.68
"""Cut threshold: unexplained share of contrast > 0.2 + 0.68 x third-largest step (a flash has two large ones)."""
FADE_NOISE, FADE, FADE_CODES = 0.5, 1.8, 2.0
"""Fade threshold: blocks change by 2 codes or more, and by 1.8 x (0.5 codes + the residual of their pattern)."""
REPEAT, MOVING = 0.25, 0.25
"""A repeated frame changes by less than a quarter of what its neighbours do, if those change by 0.25 codes or more."""
REPEAT_OF_SECOND, STILL = 0.02, 0.002
"""A frame is repeated, too, if it changes by less than 2 % of the second-largest step, or by less than 0.002 codes."""
FLAT, BLACK = 6.0, 16.0
"""Flat: 98 % of the cells lie within 6 codes. Black: moreover, 99 % of them lie below code 16."""
WORST = 10.0
"""Largest score of ``steps``."""


@dataclass(frozen=True, slots=True)
class Stability:
    """How stable a window is."""

    score: float
    """Larger is less stable. ``steps``: 0 to 10, refused from 1; ``first_to_last``: 0 to 255 codes."""
    reason: Reason
    """Why the window is refused; ``""`` if it is not. ``first_to_last`` knows one reason only, ``unstable``."""


def judge(
    frames: Sequence[Planes],
    grey: Grid,
    area: Box,
    measure: Measure = "steps",
    max_scene_change: float = 45.0,
    tolerate: Collection[Instability] = (),
) -> Stability:
    """Whether the frames of a window show one stable scene in ``area``, by the settings of ``[sampling]`` in a recipe.

    ``grey`` is uint8 (luma codes,): SDR codes of neutral greys, so that thresholds hold for PQ, HLG and SDR movies.
    """
    if measure == "first_to_last":
        # Every eighth row and column: the mean of an ordinary frame moves by less than one code.
        first, last = (grey[frame.y[area.slices][::8, ::8]] for frame in (frames[0], frames[-1]))
        change = float(np.abs(first.astype(np.int16) - last).mean())
        return Stability(change, "unstable" if change > max_scene_change else "")
    scores = {kind: score for kind, score in scores_of(cells_of(frames, grey, area)).items() if kind not in tolerate}
    reason: Reason = next((kind for kind, score in scores.items() if score >= 1), "")
    return Stability(max(scores.values(), default=0.0), reason)


def scores_of(cells: Cells) -> dict[Instability, float]:
    """The score of each kind of instability, 0 to ``WORST``; a window is refused from 1.

    The order is that in which reasons are given: a cut also looks like a fade, and a black frame like a frozen one.
    """
    scores: dict[Instability, float] = {"cut": 0.0, "flash": 0.0, **_empty(cells)}
    if len(cells) > 1:
        steps = residual(cells[:-1], cells[1:])
        lost, repeated = _unexplained(steps), _repeated(cells)
        moving = sorted(share for share, score in zip(lost, repeated, strict=True) if score < 1)
        others = moving[max(0, len(moving) - 3)] if len(moving) > 1 else 0.0
        at = lost.index(max(lost))
        sudden = lost[at] / (CUT + CUT_RESTLESS * others)
        scores["fade"], scores["frozen"] = _fade(steps), max(repeated)
        if lost[at] > 2 * others or scores["fade"] < 1:  # otherwise it is a fast fade
            scores["flash" if sudden >= 1 and _returns(cells, at, lost[at] / 2) else "cut"] = sudden
    return {kind: min(score, WORST) for kind, score in scores.items()}


def _unexplained(steps: Residual) -> list[float]:
    """By step: the unexplained share of the frame's contrast. Sums are exact, as all terms have few binary digits."""
    contrast = steps.contrast + CONTRAST_FLOOR
    return [float(share) for share in steps.limited.sum(1) / contrast.sum(1)]


def _returns(cells: Cells, at: int, share: float) -> bool:
    """Whether a frame before step ``at`` comes back after it: less than ``share`` of the contrast is unexplained."""
    pairs = [(i, j) for i in range(at + 1) for j in range(max(at + 1, i + 2), len(cells))]
    before, after = np.array(pairs, np.intp).reshape(-1, 2).T
    return bool(pairs) and min(_unexplained(residual(cells[before], cells[after]))) < share


def _fade(steps: Residual) -> float:
    net = np.abs(steps.shift.sum(0))
    steady = np.maximum(0, net - (np.abs(steps.shift).sum(0) - net))
    relative = steady / (FADE_NOISE + steps.pattern.mean(0))
    # fsum does not depend on the order in which a CPU adds.
    return min(math.fsum(relative) / FADE, math.fsum(steady) / FADE_CODES) / len(net)


def _repeated(cells: Cells) -> list[float]:
    """By step: the change up to which a frame counts as repeated, divided by its change (mean absolute, per cell)."""
    steps = [int(step) / (16 * cells[0].size) for step in np.abs(np.diff(cells, axis=0)).sum((1, 2))]
    second = sorted(steps)[-2] if len(steps) > 1 else 0.0
    scores = []
    for at, change in enumerate(steps):
        before, after = max(steps[max(0, at - 2) : at], default=second), max(steps[at + 1 : at + 3], default=second)
        around = min(before, after, second)
        allowed = max(
            STILL, REPEAT * around if around >= MOVING else 0, REPEAT_OF_SECOND * second if second >= MOVING else 0
        )
        scores.append(allowed / change if change else WORST)
    return scores


def _empty(cells: Cells) -> dict[Instability, float]:
    """The scores ``black`` and ``flat`` of the frame with the least contrast."""
    ranked = np.sort(cells.reshape(len(cells), -1), axis=1) / 16
    low, high = ranked[:, ranked.shape[1] // 100], ranked[:, -1 - ranked.shape[1] // 100]
    least = int(np.argmin(high - low))
    score = FLAT / max(float(high[least] - low[least]), FLAT / WORST)
    return {"black": score, "flat": 0.0} if high[least] < BLACK else {"black": 0.0, "flat": score}
