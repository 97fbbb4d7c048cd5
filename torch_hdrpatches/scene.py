"""Whether a window shows one stable scene, judged on a subsampled grid of SDR luma."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from .frames import Box, Planes

Grid: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]

STEP = 8
"""Every eighth row and column: the mean of an ordinary picture moves by less than one code, at 1/64 of the cost."""


def luma_grid(picture: Planes, grey: Grid, area: Box) -> Grid:
    """uint8 (rows, columns): SDR codes of a picture's luma inside ``area``, every ``STEP`` pixels.

    ``grey`` maps a luma code to the SDR code of a neutral of that luma, so that a threshold means the same for
    PQ, HLG and SDR movies.
    """
    luma = picture.y[area.top : area.top + area.height : STEP, area.left : area.left + area.width : STEP]
    return grey[luma]


def first_to_last(first: Grid, last: Grid) -> float:
    """Mean absolute luma difference between two grids, in 8-bit SDR codes: 0 (same picture) to 255."""
    return float(np.abs(first.astype(np.int16) - last).mean())
